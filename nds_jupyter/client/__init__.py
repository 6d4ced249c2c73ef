"""The kernel's side: the REST API from Python. It needs nothing of the server."""

from nds_jupyter.client.core import Client

__all__ = ["Client"]
