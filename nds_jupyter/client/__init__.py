"""Client of the REST API in Python; it needs nothing of the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nds_jupyter.client.client import Client

__all__ = ["Client"]


def __getattr__(name: str) -> object:
    # The package is imported whenever `nds_jupyter` is; what a client needs only for a client.
    if name == "Client":
        from nds_jupyter.client.client import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
