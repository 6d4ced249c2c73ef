"""How old an engine says that something is, and what it would say a moment later. Pure.

The words are those of Docker's `HumanDuration` (go-units, ``duration.go``).
"""

from __future__ import annotations

import re

import msgspec

_NOTHING = "Less than a second"
_MINUTE = 60
_HOUR = 60 * _MINUTE

_COUNTING = re.compile(
    r"(?P<before>Up |(?:Exited|Restarting) \(-?\d+\) )"
    rf"(?P<age>{_NOTHING}|\d+ seconds?)(?P<after>.*)",
    re.DOTALL,
)


class CountingText(msgspec.Struct, frozen=True, kw_only=True):
    """A text that says another thing each second: ``Up 12 seconds (healthy)``.

    Parameters
    ----------
    before, after
        What stays of it.
    seconds
        How old it was when it was written, in whole seconds that had passed.
    """

    before: str
    seconds: int
    after: str

    def later(self, passed: float) -> str:
        """Return what it says after so many seconds: the engine's own may be a second ahead."""
        return f"{self.before}{age(self.seconds + int(passed))}{self.after}"


def counting(status: str) -> CountingText | None:
    """Return a text that counts seconds; None for any other: minutes and more, or no age."""
    found = _COUNTING.fullmatch(status)
    if found is None:
        return None
    said = found["age"]
    seconds = 0 if said == _NOTHING else int(said.partition(" ")[0])
    return CountingText(before=found["before"], seconds=seconds, after=found["after"])


def age(seconds: int) -> str:
    """Return the engine's words for so many seconds, of a day at most."""
    if seconds < 1:
        return _NOTHING
    if seconds < _MINUTE:
        return "1 second" if seconds == 1 else f"{seconds} seconds"
    if seconds < _HOUR:
        minutes = seconds // _MINUTE
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    hours = (seconds + _HOUR // 2) // _HOUR
    return "About an hour" if hours == 1 else f"{hours} hours"
