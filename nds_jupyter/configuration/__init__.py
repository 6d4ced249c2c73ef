"""Configuration of the server extension by traits, and what kernels are told of it."""
