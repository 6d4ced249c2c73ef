"""Where the nodes' engines are: URLs, or names of Docker contexts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docker import ContextAPI
from docker.tls import TLSConfig

from nds_jupyter.engines.swarm.node_engine import NodeEngine
from nds_jupyter.errors import InvalidRequest


def open_endpoint(
    text: str | None, certificates: str, *, threads: int, max_streams: int, deadline: float
) -> NodeEngine:
    """Return the engine at an endpoint; nothing talks to it yet.

    Parameters
    ----------
    text
        ``unix://``, ``tcp://`` or ``ssh://``, else the name of a Docker context; None for where the
        environment leads.
    certificates
        Folder with ``ca.pem``, ``cert.pem`` and ``key.pem`` for ``tcp://``; empty for none.

    Raises
    ------
    InvalidRequest
        If there is no context of that name.
    """
    url, tls = text, None
    if text is None:
        return NodeEngine(None, threads=threads, max_streams=max_streams, deadline=deadline)
    if "://" not in text:
        url, tls = _context(text)
    elif text.startswith("tcp://") and certificates:
        tls = _tls(Path(certificates))
    return NodeEngine(url, threads=threads, max_streams=max_streams, deadline=deadline, tls=tls)


def _context(name: str) -> tuple[str, Any]:
    context = ContextAPI.get_context(name)
    if context is None:
        raise InvalidRequest(
            f"c.NdsApp.endpoints: there is no Docker context {name!r}. `docker context ls` lists "
            "those that are; or give a URL."
        )
    return str(context.Host), context.TLSConfig


def _tls(folder: Path) -> Any:
    return TLSConfig(
        client_cert=(str(folder / "cert.pem"), str(folder / "key.pem")),
        ca_cert=str(folder / "ca.pem"),
        verify=True,
    )
