"""Panels in a notebook's output, mounted by anywidget, and the relay of their requests."""

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
    """Return a style sheet with its imports in it: a notebook has no address for them."""
    text = sheet.read_text("utf-8")
    return _IMPORT.sub(lambda match: _inline_imports(sheet.parent / match[1]), text)


class Panel(anywidget.AnyWidget):
    """Panel that talks to the server by itself, so that it works while the kernel is busy.

    Where its page can't reach the server, the kernel relays its requests instead.

    Parameters
    ----------
    client
        Client for the relay; created when it is first needed where left out.
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
        self.on_msg(RequestRelay(client, STATIC).handle_message)

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
    """Panel of all jobs, or of one of them.

    Parameters
    ----------
    job
        A job or its id; the table of all where left out.
    """

    def __init__(self, job: Job | str = "", client: Client | None = None, **traits: Any) -> None:
        job_id = job if isinstance(job, str) else job.id
        super().__init__(client, _panel="jobs", _options={"job_id": job_id}, **traits)


class DataBrowser(Panel):
    """Panel of the data root.

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
"""Bytes of a response that the kernel relays; more belongs in a download."""


class RequestRelay:
    """Relay of one panel's requests through the kernel, for a page that can't reach the server.

    Parameters
    ----------
    client
        Created when it is first needed where it is None.
    static
        Folder of the front-end modules.
    """

    def __init__(self, client: Client | None, static: Path) -> None:
        self._client = client
        self._static = static

    def handle_message(self, widget: Any, content: dict[str, Any], buffers: Any) -> None:
        """Respond to one message of the page."""
        del buffers
        actions: dict[str, Callable[[dict[str, Any]], tuple[dict[str, Any], bytes]]] = {
            "modules": self._read_modules,
            "request": self._relay_request,
        }
        action = actions.get(str(content.get("what")))
        if action is None:
            return
        try:
            response, body = action(content)
        except (NdsError, OSError) as exc:
            response, body = {"error": str(exc)}, b""
        widget.send({**response, "id": content.get("id")}, buffers=[body] if body else None)

    def _read_modules(self, content: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        del content
        sources = {path.name: path.read_text("utf-8") for path in self._static.glob("*.js")}
        return {"sources": sources}, b""

    def _relay_request(self, content: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
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
        forwarded = {
            name: value for name, value in headers.items() if name.lower() in FORWARDED_HEADERS
        }
        return {"status": status, "headers": forwarded}, body
