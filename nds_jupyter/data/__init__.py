"""The data root: what is stored, how it is listed, and how it gets into containers and out."""
