"""Panels in a notebook's output, mounted by anywidget."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from nds_jupyter._version import __version__
from nds_jupyter.client import Client
from nds_jupyter.client.job import Job
from nds_jupyter.errors import NdsError

STATIC = Path(__file__).parent / "static"
_IMPORT = re.compile(r'^@import "\./([\w.]+)";$', re.MULTILINE)


def _inline_imports(sheet: Path) -> str:
    """Return a style sheet with those that it imports in it: a notebook has no address for them."""
    text = sheet.read_text("utf-8")
    return _IMPORT.sub(lambda found: _inline_imports(sheet.parent / found[1]), text)


class Panel(anywidget.AnyWidget):
    """A panel that talks to the server by itself, so that it works while the kernel is busy.

    Where its page can't reach the server, it asks through the kernel instead.

    Parameters
    ----------
    client
        The server to ask where the page can't; found by itself where left out.
    height
        Of the panel, in CSS units.
    """

    _esm = STATIC / "widget.js"
    _css = _inline_imports(STATIC / "nds.css")
    _version = traitlets.Unicode(__version__).tag(sync=True)
    _panel = traitlets.Unicode("jobs").tag(sync=True)
    _options = traitlets.Dict().tag(sync=True)
    height = traitlets.Unicode("420px").tag(sync=True)

    def __init__(self, client: Client | None = None, **traits: Any) -> None:
        super().__init__(**traits)
        self.on_msg(RequestRelay(client, STATIC).answer)

    def dock(self, title: str, anchor: str = "split-right") -> Any:
        """Show it beside the notebook instead of below the cell, by the package ``sidecar``.

        Parameters
        ----------
        anchor
            ``split-right``, ``split-left``, ``tab-after``, ``right`` and the others of sidecar.

        Raises
        ------
        ImportError
            If ``sidecar`` is not installed.
        """
        from sidecar import Sidecar

        docked = Sidecar(title=title, anchor=anchor)
        self.height = "100%"
        docked.append_display_data(self)
        return docked


class JobPanel(Panel):
    """All jobs, or one of them.

    Parameters
    ----------
    job
        A job or its id; the table of all where left out.
    """

    def __init__(self, job: Job | str = "", client: Client | None = None, **traits: Any) -> None:
        job_id = job if isinstance(job, str) else job.id
        super().__init__(client, _panel="jobs", _options={"job_id": job_id}, **traits)


class DataBrowser(Panel):
    """The data root.

    Parameters
    ----------
    path
        Collection to open; the user's home where left out.
    """

    def __init__(self, path: str = "", client: Client | None = None, **traits: Any) -> None:
        super().__init__(client, _panel="data", _options={"path": path}, **traits)


ALLOWED_VERBS = frozenset({"GET", "POST", "PUT", "DELETE"})
FORWARDED_HEADERS = frozenset({"content-type", "link", "x-total-count", "content-disposition"})
MAX_BODY = 16 * 2**20
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
        if verb not in ALLOWED_VERBS:
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
            most=MAX_BODY,
        )
        kept = {name: value for name, value in headers.items() if name.lower() in FORWARDED_HEADERS}
        return {"status": status, "headers": kept}, body
