"""An iRODS zone for tests: a server that speaks the protocol of a real one, on disk and SQLite."""
