"""Parts shared by all measurements: processes, the sandbox, the environments of the clients, tables."""
