"""Panels in a notebook's output, mounted by anywidget."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from nds_jupyter._version import __version__
from nds_jupyter.client import Client
from nds_jupyter.client.job import Job
from nds_jupyter.widgets.request_relay import RequestRelay

STATIC = Path(__file__).parent / "static"
_IMPORT = re.compile(r'^@import "\./([\w.]+)";$', re.MULTILINE)


def _flat(sheet: Path) -> str:
    """Return a style sheet with those that it imports in it: a notebook has no address for them."""
    text = sheet.read_text("utf-8")
    return _IMPORT.sub(lambda found: _flat(sheet.parent / found[1]), text)


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
    _css = _flat(STATIC / "nds.css")
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
