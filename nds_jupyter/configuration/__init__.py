"""Configuration of the server extension: its traits, its authorizer, the variables of kernels."""
