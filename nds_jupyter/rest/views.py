"""JSON bodies of the REST API as types: handlers encode them, the client decodes them.

Times are RFC 3339 in UTC, sizes bytes. A field that a client does not know is ignored by it, so
that an older kernel can talk to a newer server.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from nds_jupyter.data.entries import Kind
from nds_jupyter.jobs.inputs import format_input, unparse_input
from nds_jupyter.jobs.job import (
    Input,
    Job,
    JobSpec,
    JobState,
    Limits,
    Network,
    Phase,
    Progress,
    Reason,
    SentFile,
)
from nds_jupyter.jobs.parameter_sweep import SweepPoint


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """A job, as `GET /upload`, `POST /upload` and `GET /jobs` give it.

    Parameters
    ----------
    env
        Names of the script's variables; their values may be secrets.
    timeout
        Seconds from the start of the script; None for no limit.
    removed
        When retention removed the container.
    background
        Whether the cell that waits for it is to let it run, and go on.
    retries, attempts
        How often its script may be run again, and how many containers it was given.
    """

    job_id: str
    container_id: str | None
    worker: str | None
    state: JobState
    phase: Phase
    progress: Progress | None
    exit_code: int | None
    reason: Reason | None
    message: str
    owner: str
    name: str
    scriptname: str
    image: str
    image_digest: str | None
    data: tuple[str, ...]
    output: str | None
    limits: Limits
    created: datetime
    started: datetime | None
    finished: datetime | None
    command: tuple[str, ...] | None = None
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    timeout: float | None = None
    network: Network = Network.BRIDGE
    script_sha256: str = ""
    removed: datetime | None = None
    sweep: SweepPoint | None = None
    background: bool = False
    retries: int = 0
    attempts: int = 0
    files: tuple[SentFile, ...] = ()


def job_view(job: Job) -> JobView:
    """Return what the REST API shows of a job."""
    return JobView(
        job_id=job.job_id,
        container_id=job.container_id,
        worker=job.worker,
        state=job.state,
        phase=job.phase,
        progress=job.progress,
        exit_code=job.exit_code,
        reason=job.reason,
        message=job.message,
        owner=job.owner,
        name=job.spec.name,
        scriptname=job.spec.scriptname,
        image=job.spec.image,
        image_digest=job.image_digest,
        data=tuple(map(format_input, job.spec.data)),
        output=job.spec.output,
        limits=job.spec.limits,
        created=job.created,
        started=job.started,
        finished=job.finished,
        command=job.spec.command,
        args=job.spec.args,
        env=tuple(sorted(job.spec.env)),
        labels=job.spec.labels,
        timeout=job.spec.timeout,
        network=job.spec.network,
        script_sha256=job.spec.script_sha256,
        removed=job.removed,
        sweep=job.spec.sweep,
        background=job.background,
        retries=job.spec.retries,
        attempts=job.attempts,
        files=job.spec.files,
    )


class DataLoginView(msgspec.Struct, frozen=True, kw_only=True):
    """Whose account opens the data root for an owner: `/data_login`.

    Parameters
    ----------
    identity
        `server`, `proxy` or `own`; only with `own` an owner logs in.
    user
        The owner's iRODS user, where that is known.
    logged_in
        Whether the data root can be used without logging in first.
    expires
        When the login ends.
    conversation, prompt, secret
        What an interactive login asks now; `secret` says whether the answer is one.
    """

    identity: str
    user: str | None = None
    logged_in: bool = True
    expires: datetime | None = None
    conversation: str | None = None
    prompt: str | None = None
    secret: bool = False


class SpecView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a job was asked for, as `POST /upload` takes it: `GET /jobs/{job_id}`.

    Either `script` or `file` is there, the script as text or as bytes that are no UTF-8.
    """

    scriptname: str
    image_name: str
    cpus: float
    memory: int
    network: Network
    script: str | None = None
    file: bytes | None = None
    name: str | None = None
    command: tuple[str, ...] | None = None
    args: tuple[str, ...] | None = None
    env: dict[str, str] | None = None
    labels: dict[str, str] | None = None
    timeout: float | None = None
    data: tuple[str | Input, ...] | None = None
    output: str | None = None
    constraint: tuple[str, ...] | None = None
    gpus: int | None = None
    retries: int | None = None
    requirements: str | None = None
    dockerfile: str | None = None
    overwrite: bool = False
    output_on_failure: bool = False
    files: tuple[SentFile, ...] | None = None


def spec_view(spec: JobSpec, script: bytes) -> SpecView:
    """Return what a job was asked for."""
    text, content = None, None
    build = spec.build
    try:
        text = script.decode("utf-8")
    except UnicodeDecodeError:
        content = script
    return SpecView(
        scriptname=spec.scriptname,
        image_name=spec.image,
        cpus=spec.limits.cpus,
        memory=spec.limits.memory,
        network=spec.network,
        script=text,
        file=content,
        name=spec.name or None,
        command=spec.command,
        args=spec.args or None,
        env=spec.env or None,
        labels=spec.labels or None,
        timeout=spec.timeout,
        data=tuple(map(unparse_input, spec.data)) or None,
        output=spec.output,
        constraint=spec.constraints or None,
        gpus=spec.gpus or None,
        retries=spec.retries or None,
        requirements=build.requirements or None if build else None,
        dockerfile=build.dockerfile if build and not build.requirements else None,
        overwrite=spec.overwrite,
        output_on_failure=spec.output_on_failure,
        files=spec.files or None,
    )


class FileView(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was sent for jobs: `PUT /files/{sha256}`; `size` in bytes."""

    sha256: str
    size: int


class LogText(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a log; `truncated` says that there was more before it."""

    stdout: str
    truncated: bool


class LogLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of `application/x-ndjson`; `text` is without its line end.

    `cut` says that the line was too long to be held, and goes on in the next one.
    """

    stream: str
    time: str
    text: str
    cut: bool = False


class DataRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `/list_data`.

    Parameters
    ----------
    url
        Opens the object, or lists the collection; relative to the server's origin.
    path
        Absolute in the data root.
    """

    name: str
    url: str
    path: str
    kind: Kind
    size: int
    modified: datetime | None
    checksum: str | None


class StopView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer of `/stop`: `msg` on success, `error` otherwise."""

    state: str
    msg: str = ""
    error: str = ""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """An error body (RFC 9457, extended); an error may add members of its own, as `matches`."""

    message: str
    reason: str
    code: str
    title: str
    status: int
    detail: str
    type: str = "about:blank"


class ImageView(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `/list_images`; `present` is false for one that a pull would bring."""

    name: str
    tag: str
    id: str
    size: int
    created: datetime | None
    present: bool = True
    workers: tuple[str, ...] = ()


class ContainerRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `/list_container`."""

    id: str
    name: str
    image: str
    state: str
    status: str
    created: datetime
    worker: str
    job_id: str
    owner: str


class MountView(msgspec.Struct, frozen=True, kw_only=True):
    """Something mounted in a container."""

    type: str
    source: str
    destination: str
    read_only: bool


class ContainerView(msgspec.Struct, frozen=True, kw_only=True):
    """One container, as `/info` gives it.

    Parameters
    ----------
    note
        Why its files, changes and metrics can't be had; empty where they can.
    """

    id: str
    name: str
    image: str
    command: tuple[str, ...]
    state: str
    status: str
    exit_code: int | None
    created: datetime
    started: datetime | None
    finished: datetime | None
    limits: Limits
    mounts: tuple[MountView, ...]
    labels: dict[str, str]
    worker: str
    job_id: str
    owner: str
    last_used: datetime | None = None
    note: str = ""


class ChangeView(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `/diff`.

    Parameters
    ----------
    type
        ``file``, ``dir``, ``link`` or ``other``; None for what was deleted or is not known.
    size
        Bytes of a file.
    """

    path: str
    kind: str
    type: str | None = None
    size: int | None = None


class ResultRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `/list_results`; `kind` is ``file``, ``dir``, ``link`` or ``other``."""

    name: str
    path: str
    kind: str | None = None
    size: int | None = None
    modified: datetime | None = None


class SampleView(msgspec.Struct, frozen=True, kw_only=True):
    """What a container used at one time: CPU in percent of one CPU, the rest in bytes."""

    at: datetime
    cpu_percent: float
    memory_usage: int
    memory_limit: int
    network_rx: int
    network_tx: int
    block_read: int
    block_write: int
    pids: int


class MetricView(msgspec.Struct, frozen=True, kw_only=True):
    """`/metric`: now (None when it is not running), the samples so far, and the container."""

    now: SampleView | None
    history: tuple[SampleView, ...]
    info: ContainerView | None


class LoadView(msgspec.Struct, frozen=True, kw_only=True):
    """`/load`: one owner's jobs, and the engine that all share.

    Parameters
    ----------
    running, queued
        The owner's jobs that have a place, and those that wait for one.
    places
        Jobs that run at once; None until the engine has said how many CPUs it has.
    cpus, memory
        What the engine has; None while it does not answer.
    cpu_percent, memory_usage
        What all jobs of this server use: percent of one CPU, bytes.
    """

    running: int
    queued: int
    places: int | None
    cpus: int | None
    memory: int | None
    cpu_percent: float
    memory_usage: int


class PartHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One part of `/health`; `latency` in seconds."""

    reachable: bool
    version: str
    latency: float
    message: str = ""


class NodeHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One node of a Swarm in `/health`; `message` says what is wrong or could be better."""

    name: str
    reachable: bool
    message: str


class HealthView(msgspec.Struct, frozen=True, kw_only=True):
    """`/health`; `version` is this package's, `catalogue` None while none is configured.

    `nodes` is empty where one engine runs the jobs. `disk_free` is in bytes, on the disk that holds
    the jobs' record.
    """

    version: str
    engine: PartHealth
    journal: PartHealth
    catalogue: PartHealth | None = None
    nodes: tuple[NodeHealth, ...] = ()
    disk_free: int | None = None
