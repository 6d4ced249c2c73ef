"""One line in a notebook that changes in place."""

from __future__ import annotations

from typing import Any

from IPython.display import DisplayHandle, display

STATUS_TYPE = "application/vnd.nds-jupyter.job+json"
"""MIME type of a status with buttons, for JupyterLab with our extension; others show the text."""


class StatusLine:
    """One line that changes in place."""

    def __init__(self) -> None:
        self._handle: DisplayHandle | None = None
        self._shown: dict[str, Any] = {}

    def show(self, text: str, *, waits_for: str = "") -> None:
        """Show a text instead of the one before.

        Parameters
        ----------
        waits_for
            Id of a job that the cell waits for: it can be stopped or sent to the background there.
        """
        content: dict[str, Any] = {"text/plain": text}
        if waits_for:
            content[STATUS_TYPE] = {"job_id": waits_for}
        if content == self._shown:
            return
        self._shown = content
        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)
