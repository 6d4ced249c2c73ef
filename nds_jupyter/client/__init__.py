"""Client of the REST API in Python; it needs nothing of the server."""

from nds_jupyter.client.client import Client

__all__ = ["Client"]
