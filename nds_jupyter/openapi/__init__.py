"""The OpenAPI document, made from the routes and the types that handlers decode and encode."""
