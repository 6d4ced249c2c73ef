"""The REST contract, shared by server and kernel: routes, queries, JSON bodies, OpenAPI."""
