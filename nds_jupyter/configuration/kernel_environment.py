"""Environment variables that tell kernels the server's URL, never its token."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from nds_jupyter.rest import routes

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

URL_VARIABLE = "NDS_URL"
PREFIX_VARIABLE = "NDS_ROUTE_PREFIX"
EXPORTED_URL_VARIABLE = "NDS_URL_OF_SERVER"
"""Has the URL that a server has exported, so that it is not taken for an administrator's."""

ANY_ADDRESS = frozenset({"", "*", "0.0.0.0", "::"})  # noqa: S104


def export_server_url(
    environ: MutableMapping[str, str], serverapp: ServerApp, route_prefix: str
) -> None:
    """Export the server's base URL to the environment that its kernels inherit.

    A URL that an administrator has set stays: it leads to a server that runs jobs for many. One
    that another server exported is replaced: this server was started from a terminal of that one.

    Parameters
    ----------
    environ
        The environment that kernels inherit.
    """
    if configured_url(environ):
        return
    url = local_base_url(serverapp)
    if url is None:
        return
    environ[URL_VARIABLE] = environ[EXPORTED_URL_VARIABLE] = url
    if route_prefix != routes.PREFIX:
        environ[PREFIX_VARIABLE] = route_prefix
    else:
        environ.pop(PREFIX_VARIABLE, None)


def configured_url(environ: Mapping[str, str]) -> str:
    """Return the URL that an administrator has set; empty if none, or if a server exported it."""
    named = environ.get(URL_VARIABLE, "")
    return "" if named == environ.get(EXPORTED_URL_VARIABLE) else named


def local_base_url(serverapp: ServerApp) -> str | None:
    """Return the base URL as seen from this machine; None for a server on a Unix socket."""
    # `local_url` will not do: it leads to the page that opens first (/lab), and has the token.
    parts = urlsplit(serverapp.connection_url)
    if parts.scheme not in {"http", "https"}:
        return None
    host = f"127.0.0.1:{parts.port}" if serverapp.ip in ANY_ADDRESS else parts.netloc
    return urlunsplit((parts.scheme, host, parts.path, "", ""))
