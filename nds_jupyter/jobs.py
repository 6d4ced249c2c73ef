"""What a job is, and the one table that says how it may move.

Pure: no clock, no IO. Both the server and the kernel import this module.
"""

from __future__ import annotations

import enum
import hashlib
import secrets
from datetime import UTC, datetime
from pathlib import PurePosixPath

import msgspec

from nds_jupyter.sweeps import SweepPoint


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


class JobSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for, after policy filled in what was left out. It never changes.

    Parameters
    ----------
    scriptname
        File name under ``/nds`` in the container.
    script_sha256
        Hexadecimal digest of the script, whose bytes the journal keeps apart.
    script_shebang
        Whether the script begins with ``#!``, so that the kernel starts it by itself.
    image
        Full reference: ``name:tag``, or ``name@sha256:…``.
    command
        Replaces the interpreter; the script's path and `args` are not added to it.
    args
        Added after the script's path.
    env
        Environment variables of the script.
    timeout
        Seconds from the start of the script; None for no limit.
    constraints
        What the node must fulfil, where there are several: ``node.labels.gpu==true``.
    gpus
        Whole GPUs.
    output
        Collection of the data root that gets what is under ``/results``.
    overwrite
        Whether what `output` holds already may be replaced.
    output_on_failure
        Whether results are delivered also when the script fails.
    sweep
        Its place among the jobs of one request; None for a job of its own.
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
    sweep: SweepPoint | None = None
    data: tuple[Input, ...] = ()
    output: str | None = None
    overwrite: bool = False
    output_on_failure: bool = False


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One job as the journal has it.

    Parameters
    ----------
    intent
        The first recorded wish to end it, ``stopped`` or ``timeout``; it decides the reason.
    state
        RUNNING until `phase` is ``finished``.
    removed
        When retention removed the container; None while it may still be there.
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

    @property
    def is_finished(self) -> bool:
        """Whether the job has reached its end, which never changes again."""
        return self.phase is Phase.FINISHED


class Pulling(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The image is about to be fetched."""


class Staging(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The container is about to be created and filled.

    `image_digest` is the id of the image it is made from.
    """

    image_digest: str


class Launching(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Everything is in place in this container, which is about to be started."""

    container_id: str
    worker: str


class Waiting(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """No node has room for the container yet; the message says what is missing."""

    message: str


class Started(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The engine started the script."""

    at: datetime


class Exited(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The script ended."""

    exit_code: int
    oom: bool
    at: datetime
    started: datetime | None = None


class Delivered(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Every output is where it belongs; `message` says what else there is to know."""

    at: datetime
    message: str = ""


class StopAsked(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Someone wants it ended (``stopped``), or its time is up (``timeout``)."""

    intent: Reason
    at: datetime


class Broke(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """It can't go on, for a reason that is not the script's."""

    reason: Reason
    message: str
    at: datetime


class Vanished(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The container was removed behind our back before its end was known."""

    at: datetime


class Progressed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A pull or a transfer has come this far."""

    progress: Progress


class ContainerRemoved(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Retention removed the container of a finished job."""

    at: datetime


Event = (
    Pulling
    | Staging
    | Waiting
    | Launching
    | Started
    | Exited
    | Delivered
    | StopAsked
    | Broke
    | Vanished
    | Progressed
    | ContainerRemoved
)

_BEFORE_SCRIPT = frozenset({Phase.ACCEPTED, Phase.PULLING, Phase.STAGING})
_UNFINISHED = frozenset(Phase) - {Phase.FINISHED}

APPLIES: dict[type[Event], frozenset[Phase]] = {
    Pulling: frozenset({Phase.ACCEPTED, Phase.PULLING}),
    Staging: _BEFORE_SCRIPT,
    Waiting: frozenset({Phase.STAGING}),
    Launching: frozenset({Phase.STAGING}),
    Started: frozenset({Phase.RUNNING}),
    Exited: frozenset({Phase.RUNNING}),
    Delivered: frozenset({Phase.COLLECTING}),
    StopAsked: _UNFINISHED,
    Broke: _UNFINISHED,
    Vanished: frozenset({Phase.RUNNING}),
    Progressed: frozenset({Phase.PULLING, Phase.STAGING, Phase.COLLECTING}),
    ContainerRemoved: frozenset({Phase.FINISHED}),
}
"""The phases in which an event means something; in any other it is stale and changes nothing."""


def advance(job: Job, event: Event) -> Job:
    """Return the job after the event, or the same job if the event is stale.

    Parameters
    ----------
    job
        The job before.
    event
        What happened to it.
    """
    if job.phase not in APPLIES[type(event)]:
        return job
    match event:
        case Exited():
            return _exited(job, event)
        case Delivered(at=at, message=message):
            return _end(job, at, message=message)
        case Broke(reason=reason, message=message, at=at):
            return _end(job, at, reason, message)
        case Vanished(at=at):
            return _end(job, at, None, "The container was removed before its end was known.")
        case StopAsked(intent=intent):
            # A script that has ended is past stopping; only its outputs can still be held back.
            past = job.phase is Phase.COLLECTING and job.spec.output is None
            return job if job.intent or past else msgspec.structs.replace(job, intent=intent)
        case _:
            return msgspec.structs.replace(job, **_changed_fields(job, event))


def _changed_fields(job: Job, event: Event) -> dict[str, object]:
    match event:
        case Pulling():
            return {"phase": Phase.PULLING, "progress": None}
        case Staging(image_digest=digest):
            return {"phase": Phase.STAGING, "image_digest": digest, "progress": None}
        case Launching(container_id=container_id, worker=worker):
            place = {"container_id": container_id, "worker": worker}
            return {"phase": Phase.RUNNING, "progress": None, "message": "", **place}
        case Waiting(message=message):
            return {"message": message}
        case Started(at=at):
            return {"started": job.started or at}
        case Progressed(progress=progress):
            return {"progress": progress}
        case ContainerRemoved(at=at):
            return {"removed": job.removed or at}
    raise AssertionError(f"an event without a transition: {event!r}")


def _exited(job: Job, event: Exited) -> Job:
    return msgspec.structs.replace(
        job,
        phase=Phase.COLLECTING,
        exit_code=event.exit_code,
        oom=event.oom,
        ended=event.at,
        started=job.started or event.started,
    )


def _end(job: Job, at: datetime, reason: Reason | None = None, message: str = "") -> Job:
    state = JobState.FAILED
    if job.intent is not None:
        reason, message = job.intent, _sentence(job, job.intent)
    elif reason is None and job.exit_code is None:
        state = JobState.UNKNOWN
    elif reason is None:
        reason = _verdict(job)
        message = f"{_sentence(job, reason) if reason else ''} {message}".strip()
        state = JobState.FAILED if reason else JobState.COMPLETED
    return msgspec.structs.replace(
        job,
        phase=Phase.FINISHED,
        state=state,
        reason=reason,
        message=message,
        finished=at,
        progress=None,
    )


def _verdict(job: Job) -> Reason | None:
    if job.exit_code == 0:
        return None
    return Reason.OOM if job.oom else Reason.EXIT


def _sentence(job: Job, reason: Reason) -> str:
    match reason:
        case Reason.STOPPED:
            return "Stopped on request."
        case Reason.TIMEOUT:
            return f"Stopped: it reached its time limit of {job.spec.timeout or 0:g} s."
        case Reason.OOM:
            limit = size_text(job.spec.limits.memory)
            return f"Killed: out of memory at {limit}. Ask for more memory."
        case _:
            return f"The script exited with code {job.exit_code}."


def size_text(size: int) -> str:
    """Return a number of bytes for people, in binary units: ``512 MiB``."""
    amount = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.4g} {unit}"
        amount /= 1024
    return f"{amount:.4g} TiB"


def new_job_id() -> str:
    """Return 16 random lower-case hexadecimal digits."""
    return secrets.token_hex(8)


def container_name(job_id: str) -> str:
    """Return the one name that a job's container has, so that making it twice is an error."""
    return f"nds-{job_id}"


def script_facts(script: bytes) -> tuple[str, bool]:
    """Return a script's SHA-256 in hexadecimal, and whether it begins with ``#!``."""
    return hashlib.sha256(script).hexdigest(), script.startswith(b"#!")


INTERPRETERS: dict[str, tuple[str, ...]] = {
    ".py": ("python3", "python"),
    ".sh": ("sh",),
    ".R": ("Rscript",),
    ".r": ("Rscript",),
    ".jl": ("julia",),
}
"""What runs a script without a shebang, by its suffix, in the order of preference."""


def script_path(spec: JobSpec) -> str:
    """Return where the script lies in the container."""
    return f"/nds/{spec.scriptname}"


def interpreter_candidates(spec: JobSpec) -> tuple[str, ...]:
    """Return the programs that could run the script; empty if nothing needs to be looked up."""
    if spec.command is not None or spec.script_shebang:
        return ()
    return INTERPRETERS.get(PurePosixPath(spec.scriptname).suffix, ())


def command_line(spec: JobSpec, interpreter: str | None) -> tuple[str, ...]:
    """Return what the container runs.

    Parameters
    ----------
    spec
        The job.
    interpreter
        The one of `interpreter_candidates` that the image has; None where there are none.
    """
    if spec.command is not None:
        return spec.command
    head = (interpreter,) if interpreter else ()
    return (*head, script_path(spec), *spec.args)


def utc_now() -> datetime:
    """Return the time, with its zone."""
    return datetime.now(UTC)
