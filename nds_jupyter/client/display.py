"""Text and HTML representations of jobs and lists, and a status line that updates in place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any, overload

from IPython.display import DisplayHandle, display

from nds_jupyter.jobs.byte_sizes import size_text
from nds_jupyter.jobs.job import JobState, Phase
from nds_jupyter.rest.views import JobView

STATUS_TYPE = "application/vnd.nds-jupyter.job+json"
"""MIME type of a status with buttons, for JupyterLab with our extension; others show the text."""


class StatusLine:
    """Line of a cell's output that is updated in place."""

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


BAR_WIDTH = 30
"""Characters of a progress bar."""


def progress_bar(done: int, total: int) -> str:
    """Return a progress bar; it is full where the total is zero."""
    filled = BAR_WIDTH if total <= 0 else min(BAR_WIDTH, BAR_WIDTH * done // total)
    return "█" * filled + "░" * (BAR_WIDTH - filled)


_COLOURS = {
    JobState.RUNNING: "#1976d2",
    JobState.COMPLETED: "#388e3c",
    JobState.FAILED: "#d32f2f",
    JobState.UNKNOWN: "#757575",
}


class Table(Sequence[tuple[object, ...]]):
    """Table with text and HTML representations: rows under named columns.

    Parameters
    ----------
    columns
        Their names.
    rows
        A value for each column.
    """

    def __init__(self, columns: Sequence[str], rows: Sequence[tuple[object, ...]]) -> None:
        self.columns = tuple(columns)
        self._rows = list(rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[tuple[object, ...]]:
        return iter(self._rows)

    @overload
    def __getitem__(self, index: int) -> tuple[object, ...]: ...

    @overload
    def __getitem__(self, index: slice) -> list[tuple[object, ...]]: ...

    def __getitem__(self, index: int | slice) -> tuple[object, ...] | list[tuple[object, ...]]:
        return self._rows[index]

    def __repr__(self) -> str:
        texts = [self.columns, *(tuple(map(_cell_text, row)) for row in self._rows)]
        widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
        lines = [
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
            for row in texts
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(name)}</th>" for name in self.columns)
        body = "".join(
            f"<tr>{''.join(f'<td>{escape(_cell_text(value))}</td>' for value in row)}</tr>"
            for row in self._rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell_text(value: object) -> str:
    return "" if value is None else str(value)


def duration_text(view: JobView) -> str:
    """Return how long the script ran, or an empty text while that is not known."""
    if view.started is None or view.finished is None:
        return ""
    return f"{(view.finished - view.started).total_seconds():.1f} s"


def headline(view: JobView) -> str:
    """Return a line with a job's id, state, run time and message."""
    parts = [f"Job {view.job_id}", view.state.value]
    if view.phase is not Phase.FINISHED:
        parts.append(f"({progress_text(view)})")
    elif view.reason is not None:
        parts.append(f"({view.reason.value})")
    ran = duration_text(view)
    if ran:
        parts.append(f"in {ran}")
    if view.worker:
        parts.append(f"on {view.worker}")
    return " ".join(parts) + (f": {view.message}" if view.message else "")


def progress_text(view: JobView) -> str:
    """Return the phase, with its progress in bytes."""
    progress = view.progress
    if progress is None:
        return view.phase.value
    total = f" of {size_text(progress.total)}" if progress.total else ""
    return f"{view.phase.value}, {size_text(progress.done)}{total}"


def job_html(view: JobView) -> str:
    """Return a job as HTML."""
    rows = [
        ("state", view.state.value if view.phase is Phase.FINISHED else progress_text(view)),
        ("name", view.name),
        ("image", view.image),
        ("worker", view.worker),
        ("took", duration_text(view)),
        ("exit code", view.exit_code),
        ("message", view.message),
    ]
    cells = "".join(
        f'<tr><th style="text-align:left">{escape(name)}</th>'
        f'<td style="text-align:left">{escape(_cell_text(value))}</td></tr>'
        for name, value in rows
        if value not in {None, ""}
    )
    colour = _COLOURS[view.state]
    return (
        f'<div style="border-left:4px solid {colour};padding-left:8px">'
        f"<b>Job {escape(view.job_id)}</b><table>{cells}</table></div>"
    )


def job_table(views: Sequence[JobView]) -> Table:
    """Return jobs as a table."""
    columns = ("job", "state", "name", "image", "worker", "created", "took", "message")
    rows: list[tuple[object, ...]] = [
        (
            view.job_id,
            view.state.value if view.phase is Phase.FINISHED else progress_text(view),
            view.name,
            view.image,
            view.worker,
            f"{view.created:%Y-%m-%d %H:%M:%S}",
            duration_text(view),
            view.message,
        )
        for view in views
    ]
    return Table(columns, rows)


def apply_carriage_returns(line: str) -> str:
    """Return what a terminal shows of a line whose carriage returns overwrite its beginning."""
    shown = ""
    for part in line.rstrip("\r").split("\r"):
        # Escape sequences take no place, so positions would not match.
        coloured = "\x1b" in part or "\x1b" in shown
        shown = part if coloured else part + shown[len(part) :]
    return shown
