"""One module a figure, each with a ``measure`` that returns its section."""
