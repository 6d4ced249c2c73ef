"""Lines of logs, and resuming of followed logs."""
