"""Protocol of an engine of many nodes beyond `Engine`, and its values."""

from __future__ import annotations

import enum
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Protocol, runtime_checkable

import msgspec

from nds_jupyter.jobs.job import Limits


class NodeReport(msgspec.Struct, frozen=True, kw_only=True):
    """One node of an engine of many.

    Parameters
    ----------
    message
        A sentence: what is wrong with it, or what could be better; empty if all is well.
    """

    name: str
    reachable: bool
    message: str


class StagerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A container that helps another one, on its node.

    Parameters
    ----------
    secret, secret_path
        What it alone is told, and the file in which it finds that.
    folder
        Of the other one's volume, in both.
    """

    image: str
    command: tuple[str, ...]
    secret: bytes
    secret_path: str
    folder: str
    limits: Limits


class JobFate(enum.StrEnum):
    """What has become of a job.

    GONE is one that was deleted, or whose container retention has removed. ENDED is also one that
    the journal does not know: its container is left alone.
    """

    UNDER_WAY = "under_way"
    ENDED = "ended"
    GONE = "gone"


Fates = Callable[[Mapping[str, str]], Awaitable[Mapping[str, JobFate]]]
"""Given the owners of jobs by the jobs' ids, says what has become of each."""


@runtime_checkable
class Cluster(Protocol):
    """What an engine of many nodes tells beside the rest."""

    async def nodes(self) -> tuple[NodeReport, ...]:
        """Look at every node, none longer than its deadline."""


@runtime_checkable
class RunsStagers(Protocol):
    """What an engine can do that runs helper containers."""

    def help(self, container_id: str, spec: StagerSpec) -> AsyncGenerator[str, None]:
        """Run a helper beside a container that was not started, and give the lines it writes.

        Nothing of it is left at the end; leaving early ends it.

        Raises
        ------
        EngineError
            If it ends with another exit code than 0.
        ImageNotFound
            If the node can't get its image.
        """


@runtime_checkable
class CleansUpJobs(Protocol):
    """What an engine can do that keeps more of a job than its container."""

    async def tidy(self, server: str, fates: Fates) -> int:
        """Remove what no job of a server needs, and return how much; nothing of another server's.

        Parameters
        ----------
        server
            What the label `LABEL_SERVER` says.
        """
