"""What may be asked for with a job: the request, and what the server's policy says of it. Pure."""
