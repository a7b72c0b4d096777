"""
Engine that writes customers, without Airflow: the operator only runs it.

::

    upsert    creates or changes the customer of each row             → lookup, changes, progress
    survey    the whole input, read once before anything is sent      → rows
    rejects   rows that were not applied, to be mended and given again → survey

The engine yields a :class:`~.upsert.Result` for each row, records it in its :class:`~.progress.Progress`, and can be
interrupted between any two requests: it compares before it writes, so what was done before is not done again.
"""
