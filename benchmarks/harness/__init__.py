"""What all measurements share: processes, the sandbox, the environments of the clients, tables."""
