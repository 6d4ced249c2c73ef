"""Relay of a panel's requests through the kernel, for pages that cannot reach the server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nds_jupyter.client import Client
from nds_jupyter.errors import NdsError

VERBS = frozenset({"GET", "POST", "PUT", "DELETE"})
KEPT = frozenset({"content-type", "link", "x-total-count", "content-disposition"})
MOST = 16 * 2**20
"""Bytes of an answer that go through the kernel; more belongs in a download."""


class RequestRelay:
    """One panel's way to the server.

    Parameters
    ----------
    client
        Whom to ask; found when first needed where it is None.
    static
        Folder of the front-end modules.
    """

    def __init__(self, client: Client | None, static: Path) -> None:
        self._client = client
        self._static = static

    def answer(self, widget: Any, content: dict[str, Any], buffers: Any) -> None:
        """Answer one message of the page."""
        del buffers
        asked: dict[str, Callable[[dict[str, Any]], tuple[dict[str, Any], bytes]]] = {
            "modules": self._modules,
            "request": self._request,
        }
        act = asked.get(str(content.get("what")))
        if act is None:
            return
        try:
            said, body = act(content)
        except (NdsError, OSError) as exc:
            said, body = {"error": str(exc)}, b""
        widget.send({**said, "id": content.get("id")}, buffers=[body] if body else None)

    def _modules(self, content: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        del content
        sources = {path.name: path.read_text("utf-8") for path in self._static.glob("*.js")}
        return {"sources": sources}, b""

    def _request(self, content: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        verb = str(content.get("verb"))
        if verb not in VERBS:
            return {"error": f"{verb} is no verb of the REST API."}, b""
        if self._client is None:
            self._client = Client()
        status, headers, body = self._client.relay(
            verb,
            str(content.get("path")),
            str(content.get("query") or ""),
            content=content.get("body"),
            headers={
                name: value
                for name, value in dict(content.get("headers") or {}).items()
                if name in {"accept", "content-type", "range"}
            },
            most=MOST,
        )
        kept = {name: value for name, value in headers.items() if name.lower() in KEPT}
        return {"status": status, "headers": kept}, body
