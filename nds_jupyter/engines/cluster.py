"""Protocols of what an engine of many nodes can do beyond `Engine`, and their values."""

from __future__ import annotations

import enum
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Protocol, runtime_checkable

import msgspec

from nds_jupyter.jobs.job import Limits


class NodeReport(msgspec.Struct, frozen=True, kw_only=True):
    """Health of one node of an engine of many.

    Parameters
    ----------
    message
        A sentence: what is wrong with it, or what could be better; empty if all is well.
    """

    name: str
    reachable: bool
    message: str


class StagerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A stager: a container that fills a job's volume, on the node of the job's container.

    Parameters
    ----------
    secret, secret_path
        Content of a Swarm secret that it alone gets, and the file in which it finds it.
    folder
        Where the job's volume is mounted, in both containers.
    """

    image: str
    command: tuple[str, ...]
    secret: bytes
    secret_path: str
    folder: str
    limits: Limits


class JobPhase(enum.StrEnum):
    """Whether something that belongs to a job is still needed.

    REMOVED is a job that was deleted, or whose container retention has removed. ENDED is also one
    that the journal does not know: its container is left alone.
    """

    ACTIVE = "active"
    ENDED = "ended"
    REMOVED = "removed"


FindJobPhases = Callable[[Mapping[str, str]], Awaitable[Mapping[str, JobPhase]]]
"""Returns the phases of jobs by id, given the jobs' owners by id."""


@runtime_checkable
class SupportsNodeReports(Protocol):
    """Engine of many nodes that reports on them."""

    async def nodes(self) -> tuple[NodeReport, ...]:
        """Check every node, none longer than its deadline."""


@runtime_checkable
class SupportsStagers(Protocol):
    """Engine that runs stagers beside the containers of jobs."""

    def run_stager(self, container_id: str, spec: StagerSpec) -> AsyncGenerator[str, None]:
        """Run a stager beside a container that was not started, and give the lines it writes.

        Nothing of it is left at the end; leaving early ends it.

        Raises
        ------
        EngineError
            If it ends with another exit code than 0.
        ImageNotFound
            If the node can't get its image.
        """


@runtime_checkable
class SupportsCleanup(Protocol):
    """Engine that keeps more of a job than its container, and can remove it."""

    async def remove_leftovers(self, server: str, find_phases: FindJobPhases) -> int:
        """Remove what no job of a server needs, and return how much; nothing of another server's.

        Parameters
        ----------
        server
            The value of the label `LABEL_SERVER`.
        """
