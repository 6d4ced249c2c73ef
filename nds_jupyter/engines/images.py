"""Values about images that engines and their callers speak in."""

from __future__ import annotations

from datetime import datetime

import msgspec

from nds_jupyter.jobs import Limits, Network


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """An image on the engine.

    Parameters
    ----------
    references
        Every ``name:tag`` it is known by.
    size
        Bytes.
    path
        Folders of the image's ``PATH``, in order.
    workers
        The nodes that have it, where there are several.
    labels
        Where a list of images says them.
    is_root
        Whether its containers run as root; not said by lists.
    """

    id: str
    references: tuple[str, ...]
    size: int
    created: datetime | None = None
    path: tuple[str, ...] = ()
    workers: tuple[str, ...] = ()
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    is_root: bool = False


class ImageSpec(msgspec.Struct, frozen=True, kw_only=True):
    """An image to be built.

    Parameters
    ----------
    reference
        The name and tag that it gets.
    files
        What lies beside the Dockerfile, by name.
    limits, network
        What its steps may use and reach.
    """

    reference: str
    dockerfile: str
    files: dict[str, bytes]
    labels: dict[str, str]
    limits: Limits
    network: Network
