"""Values that describe a job: its specification, its record, phases, states and limits.

Pure: no clock, no IO. Both the server and the kernel import this module.
"""

from __future__ import annotations

import enum
import hashlib
import secrets
from datetime import UTC, datetime

import msgspec

from nds_jupyter.jobs.parameter_sweep import SweepPoint


class JobState(enum.StrEnum):
    """The four states of the REST API."""

    UNKNOWN = "UNKNOWN"
    RUNNING = "RUNNING"
    FAILED = "FAILED"
    COMPLETED = "COMPLETED"


class Phase(enum.StrEnum):
    """Where a job stands, finer than its state; in the order in which they are walked."""

    ACCEPTED = "accepted"
    PULLING = "pulling"
    STAGING = "staging"
    RUNNING = "running"
    COLLECTING = "collecting"
    FINISHED = "finished"


class Reason(enum.StrEnum):
    """Why a job FAILED."""

    EXIT = "exit"
    OOM = "oom"
    STOPPED = "stopped"
    TIMEOUT = "timeout"
    IMAGE = "image"
    DATA = "data"
    OUTPUT = "output"
    ENGINE = "engine"


BUILT_IMAGE_NAME = "nds-build"
"""The name of every image that was built for a job; its tag is a digest of its sources."""


class Network(enum.StrEnum):
    """The networks a job may ask for."""

    NONE = "none"
    BRIDGE = "bridge"


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a pull or a transfer is.

    Parameters
    ----------
    done, total
        Amounts in `unit`; `total` is None while it is not known.
    unit
        ``bytes``, ``layers`` or ``files``.
    """

    done: int
    total: int | None
    unit: str


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a container may use.

    Parameters
    ----------
    cpus
        CPUs, as a fraction of one: 0.5 is half a CPU.
    memory
        Bytes of memory; swap is not added to it.
    pids
        Processes and threads at one time.
    """

    cpus: float
    memory: int
    pids: int


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """A path of the data root, and the absolute path that it gets in the container."""

    path: str
    to: str


class SentFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was sent to the server for a job, and its absolute path in the container.

    Parameters
    ----------
    sha256
        Hexadecimal digest of its content, by which the server knows it.
    size
        Bytes.
    """

    sha256: str
    to: str
    size: int = 0


class BuildSpec(msgspec.Struct, frozen=True, kw_only=True):
    """An image that is built for a job, unless the engine has it from an earlier one.

    Parameters
    ----------
    dockerfile
        The text of its Dockerfile.
    requirements
        The file that pip reads, where the Dockerfile is made by us; else empty.
    network
        The network of its steps.
    """

    dockerfile: str
    requirements: str = ""
    network: Network = Network.NONE

    @property
    def tag(self) -> str:
        """The full reference of the image; its tag is a digest of what it is built from."""
        content = f"{self.dockerfile}\0{self.requirements}".encode()
        return f"{BUILT_IMAGE_NAME}:{hashlib.sha256(content).hexdigest()[:32]}"


class JobSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Specification of a job, after the policy has filled in the defaults. It never changes.

    Parameters
    ----------
    scriptname
        File name under ``/nds`` in the container.
    script_sha256
        Hexadecimal digest of the script, whose bytes the journal keeps apart.
    script_shebang
        Whether the script begins with ``#!``, so that the kernel starts it by itself.
    image
        Full reference: ``name:tag``, or ``name@sha256:…``; the base of `build`.
    build
        The image that is built on top of `image` to run the script; None to run it in `image`.
    command
        Replaces the interpreter; the script's path and `args` are not added to it.
    args
        Added after the script's path.
    env
        Environment variables of the script.
    timeout
        Seconds from the start of the script; None for no limit.
    constraints
        Constraints on the node, where there are several: ``node.labels.gpu==true``.
    gpus
        Whole GPUs.
    retries
        How often the script may be run again when its node or its container was lost, so that
        nobody knows how it ended.
    output
        Collection of the data root that gets what is under ``/results``.
    overwrite
        Whether what `output` holds already may be replaced.
    output_on_failure
        Whether results are delivered also when the script fails.
    sweep
        Its point of a parameter sweep; None for a job of no sweep.
    files
        The files that were sent with it.
    """

    scriptname: str
    script_sha256: str
    script_shebang: bool
    image: str
    limits: Limits
    name: str = ""
    command: tuple[str, ...] | None = None
    args: tuple[str, ...] = ()
    env: dict[str, str] = msgspec.field(default_factory=dict)
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    timeout: float | None = None
    network: Network = Network.BRIDGE
    constraints: tuple[str, ...] = ()
    gpus: int = 0
    retries: int = 0
    sweep: SweepPoint | None = None
    data: tuple[Input, ...] = ()
    output: str | None = None
    overwrite: bool = False
    output_on_failure: bool = False
    build: BuildSpec | None = None
    files: tuple[SentFile, ...] = ()

    @property
    def run_image(self) -> str:
        """The full reference of the image that the container is made of."""
        return self.image if self.build is None else self.build.tag


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Record of one job, as the journal stores it.

    Parameters
    ----------
    intent
        The first recorded stop request, ``stopped`` or ``timeout``; it decides the reason.
    state
        RUNNING until `phase` is ``finished``.
    removed
        When retention removed the container; None while it may still be there.
    background
        Whether the cell that waits for it is to let it run, and go on.
    attempts
        Containers that it was given to run in; the script ran in more than one of them only where
        `JobSpec.retries` allows it.
    """

    job_id: str
    owner: str
    spec: JobSpec
    created: datetime
    phase: Phase = Phase.ACCEPTED
    state: JobState = JobState.RUNNING
    intent: Reason | None = None
    reason: Reason | None = None
    message: str = ""
    container_id: str | None = None
    worker: str | None = None
    image_digest: str | None = None
    exit_code: int | None = None
    oom: bool = False
    progress: Progress | None = None
    started: datetime | None = None
    ended: datetime | None = None
    finished: datetime | None = None
    removed: datetime | None = None
    background: bool = False
    attempts: int = 0

    @property
    def is_finished(self) -> bool:
        """Whether the job has reached its end, which never changes again."""
        return self.phase is Phase.FINISHED


def new_job_id() -> str:
    """Return 16 random lower-case hexadecimal digits."""
    return secrets.token_hex(8)


def container_name(job_id: str) -> str:
    """Return the one name of a job's container, so that creating it twice is an error."""
    return f"nds-{job_id}"


def utc_now() -> datetime:
    """Return the current time, with its zone."""
    return datetime.now(UTC)
