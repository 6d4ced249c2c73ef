"""What a job gets whose cell does not say."""

from __future__ import annotations

import msgspec

from nds_jupyter.magics.settings import NdsMagics
from nds_jupyter.values import LARGEST


class Defaults(msgspec.Struct, frozen=True, kw_only=True):
    """What a job gets whose cell does not say; None leaves it to the server.

    Parameters
    ----------
    timeout
        Seconds.
    most_of_value
        Bytes of a variable that travels.
    """

    image: str | None = None
    memory: str | None = None
    cpus: float | None = None
    timeout: float | None = None
    most_of_value: int = LARGEST


def defaults_of(settings: NdsMagics) -> Defaults:
    """Return what the settings of a notebook say."""
    return Defaults(
        image=settings.image or None,
        memory=settings.memory or None,
        cpus=settings.cpus,
        timeout=settings.timeout,
        most_of_value=settings.max_value_bytes,
    )
