"""OpenAPI document of the REST API, made from the routes and their types."""
