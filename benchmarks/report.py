"""Figures against a rival, with the goal they are held to."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured claim.

    Parameters
    ----------
    what
        The claim.
    rival
        Whom it is measured against, in the same run.
    ours, theirs
        Medians, in `unit`.
    at_most, at_least
        The goal for `compared`; one of the two, or neither where nothing was promised.
    difference
        Whether the goal is for ours minus theirs, not for ours divided by theirs.
    """

    what: str
    rival: str
    ours: float
    theirs: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    difference: bool = False

    @property
    def compared(self) -> float:
        """Ours against theirs."""
        return self.ours - self.theirs if self.difference else self.ours / self.theirs

    @property
    def verdict(self) -> str:
        """Whether the goal is met."""
        if self.at_most is not None:
            return "met" if self.compared <= self.at_most else "MISSED"
        if self.at_least is not None:
            return "met" if self.compared >= self.at_least else "MISSED"
        return "-"

    @property
    def goal(self) -> str:
        """The goal in words."""
        if self.at_most is not None:
            return f"<= {self.at_most:g}"
        return "-" if self.at_least is None else f">= {self.at_least:g}"


def median(values: Iterable[float]) -> float:
    """Return the middle one."""
    return statistics.median(values)


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the value that so many percent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a Markdown table."""
    head = ("what", "against", "ours", "theirs", "unit", "ratio", "goal", "")
    rows = [head, tuple("---" for _ in head)]
    rows += [
        (
            figure.what,
            figure.rival,
            f"{figure.ours:.4g}",
            f"{figure.theirs:.4g}",
            figure.unit,
            f"{figure.compared:+.3g}" if figure.difference else f"{figure.compared:.3f}",
            figure.goal,
            figure.verdict,
        )
        for figure in figures
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows)
