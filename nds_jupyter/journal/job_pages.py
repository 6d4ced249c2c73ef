"""Which jobs of the journal are wanted, and a page of them."""

from __future__ import annotations

from datetime import datetime

import msgspec

from nds_jupyter.jobs import Job, JobState

WANTED = (
    "owner = :owner"
    " AND (:q IS NULL OR instr(lower(name), lower(:q)) OR instr(lower(image), lower(:q))"
    "  OR instr(job_id, lower(:q)))"
    " AND (:state IS NULL OR state = :state)"
    " AND (:name IS NULL OR instr(lower(name), lower(:name)))"
    " AND (:image IS NULL OR instr(image, :image))"
    " AND (:since IS NULL OR created >= :since)"
    " AND (:sweep IS NULL OR job_id IN (SELECT job_id FROM sweeps WHERE sweep_id = :sweep))"
)
"""The condition of a page, over the names of `JobFilter` and ``owner``."""


class JobFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs of an owner are wanted; None means any.

    Parameters
    ----------
    q
        Part of the name, the image or the id, in letters of either case.
    name
        Part of the name.
    since
        Only jobs created at this time or later.
    before
        Only jobs older than the one with this position; for paging.
    """

    q: str | None = None
    state: JobState | None = None
    name: str | None = None
    image: str | None = None
    since: datetime | None = None
    sweep: str | None = None
    before: int | None = None
    limit: int = 100


class JobPage(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs, newest first.

    Parameters
    ----------
    next
        The `before` of the following page, None at the end.
    total
        How many there are on all pages.
    """

    jobs: tuple[Job, ...]
    next: int | None
    total: int
