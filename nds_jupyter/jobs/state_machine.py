"""State machine of a job: the events that can happen to it, and the transition for each.

Pure: no clock, no IO.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from nds_jupyter.jobs.byte_sizes import size_text
from nds_jupyter.jobs.job import Job, JobState, Phase, Progress, Reason


class ImagePullStarted(msgspec.Struct, frozen=True, kw_only=True):
    """The image is about to be pulled or built."""


class StagingStarted(msgspec.Struct, frozen=True, kw_only=True):
    """The container is about to be created and filled.

    `image_digest` is the id of the image it is made from.
    """

    image_digest: str


class ContainerReady(msgspec.Struct, frozen=True, kw_only=True):
    """The container has its inputs, and is about to be started."""

    container_id: str
    worker: str


class PlacementDelayed(msgspec.Struct, frozen=True, kw_only=True):
    """No node has room for the container yet; `message` says what is missing."""

    message: str


class ScriptStarted(msgspec.Struct, frozen=True, kw_only=True):
    """The engine has started the script.

    `container_id` and `worker` are given where the container was created anew to start it.
    """

    at: datetime
    container_id: str | None = None
    worker: str | None = None


class ScriptExited(msgspec.Struct, frozen=True, kw_only=True):
    """The script has ended."""

    exit_code: int
    oom: bool
    at: datetime
    started: datetime | None = None


class OutputsDelivered(msgspec.Struct, frozen=True, kw_only=True):
    """Every output was delivered, or there was none; `message` is a remark."""

    at: datetime
    message: str = ""


class StopRequested(msgspec.Struct, frozen=True, kw_only=True):
    """The job is to end: on request (``stopped``), or at its time limit (``timeout``)."""

    intent: Reason
    at: datetime


class JobAborted(msgspec.Struct, frozen=True, kw_only=True):
    """The job can't go on, for a reason that is not the script's.

    `exit_code` is given where its container has ended without having run the script.
    """

    reason: Reason
    message: str
    at: datetime
    exit_code: int | None = None


class ContainerVanished(msgspec.Struct, frozen=True, kw_only=True):
    """The container was removed by somebody else before its end was known."""

    at: datetime


class NodeWentDown(msgspec.Struct, frozen=True, kw_only=True):
    """The container was lost with its node before its end was known.

    `ran` is false if its script had not begun.
    """

    message: str
    at: datetime
    ran: bool = True


class TransferProgressed(msgspec.Struct, frozen=True, kw_only=True):
    """A pull or a transfer has made progress."""

    progress: Progress


class SentToBackground(msgspec.Struct, frozen=True, kw_only=True):
    """The cell that waits for the job is to go on without it."""


class BuildOutputReceived(msgspec.Struct, frozen=True, kw_only=True):
    """A build has written a line to its log."""

    message: str


class ContainerRemoved(msgspec.Struct, frozen=True, kw_only=True):
    """Retention has removed the container of a finished job."""

    at: datetime


JobEvent = (
    ImagePullStarted
    | StagingStarted
    | PlacementDelayed
    | ContainerReady
    | ScriptStarted
    | ScriptExited
    | OutputsDelivered
    | StopRequested
    | JobAborted
    | ContainerVanished
    | NodeWentDown
    | TransferProgressed
    | SentToBackground
    | BuildOutputReceived
    | ContainerRemoved
)

_RERUN_HINT = "Run the job again if it may run twice, or ask for retries."

MAX_REPLACEMENTS = 3
"""Containers beyond the first for a script that has not begun in any of them."""

_BEFORE_SCRIPT = frozenset({Phase.ACCEPTED, Phase.PULLING, Phase.STAGING})

_UNFINISHED = frozenset(Phase) - {Phase.FINISHED}

APPLICABLE_PHASES: dict[type[JobEvent], frozenset[Phase]] = {
    ImagePullStarted: frozenset({Phase.ACCEPTED, Phase.PULLING}),
    StagingStarted: _BEFORE_SCRIPT,
    PlacementDelayed: frozenset({Phase.STAGING}),
    ContainerReady: frozenset({Phase.STAGING}),
    ScriptStarted: frozenset({Phase.RUNNING}),
    ScriptExited: frozenset({Phase.RUNNING}),
    OutputsDelivered: frozenset({Phase.COLLECTING}),
    StopRequested: _UNFINISHED,
    JobAborted: _UNFINISHED,
    ContainerVanished: frozenset({Phase.RUNNING}),
    NodeWentDown: frozenset({Phase.RUNNING}),
    TransferProgressed: frozenset({Phase.PULLING, Phase.STAGING, Phase.COLLECTING}),
    SentToBackground: _UNFINISHED,
    BuildOutputReceived: frozenset({Phase.PULLING}),
    ContainerRemoved: frozenset({Phase.FINISHED}),
}
"""The phases in which an event applies; in any other it is stale and changes nothing."""


def advance(job: Job, event: JobEvent) -> Job:
    """Return the job after the event, or the same job if the event is stale.

    Parameters
    ----------
    job
        The job before.
    event
        What happened to it.
    """
    if job.phase not in APPLICABLE_PHASES[type(event)]:
        return job
    match event:
        case ScriptExited():
            return _apply_exit(job, event)
        case OutputsDelivered(at=at, message=message):
            return _finish(job, at, message=message)
        case JobAborted(reason=reason, message=message, at=at, exit_code=code):
            base = job if code is None else msgspec.structs.replace(job, exit_code=code)
            return _finish(base, at, reason, message)
        case ContainerVanished(at=at):
            return _retry_or_finish(
                job, at, None, "The container was removed before its end was known."
            )
        case NodeWentDown(at=at, message=message, ran=ran):
            began = ran or job.started is not None
            return (
                _retry_or_finish(job, at, Reason.ENGINE, message)
                if began
                else _place_again_or_finish(job, at, message)
            )
        case StopRequested(intent=intent):
            # A script that has ended can't be stopped; only its outputs can still be held back.
            past = job.phase is Phase.COLLECTING and job.spec.output is None
            return job if job.intent or past else msgspec.structs.replace(job, intent=intent)
        case _:
            return msgspec.structs.replace(job, **_changed_fields(job, event))


def _changed_fields(job: Job, event: JobEvent) -> dict[str, object]:
    match event:
        case ImagePullStarted():
            return {"phase": Phase.PULLING, "progress": None}
        case StagingStarted(image_digest=digest):
            # What a build said last is over; what a node lacks is not.
            message = "" if job.phase is Phase.PULLING else job.message
            here = {"phase": Phase.STAGING, "image_digest": digest}
            return {**here, "progress": None, "message": message}
        case ContainerReady(container_id=container_id, worker=worker):
            fields = {"container_id": container_id, "worker": worker, "attempts": job.attempts + 1}
            return {"phase": Phase.RUNNING, "progress": None, "message": "", **fields}
        case PlacementDelayed(message=message) | BuildOutputReceived(message=message):
            return {"message": message}
        case ScriptStarted(at=at, container_id=container_id, worker=worker):
            fields = {"container_id": container_id or job.container_id}
            return {**fields, "worker": worker or job.worker, "started": job.started or at}
        case TransferProgressed(progress=progress):
            return {"progress": progress}
        case SentToBackground():
            return {"background": True}
        case ContainerRemoved(at=at):
            return {"removed": job.removed or at}
    raise AssertionError(f"an event without a transition: {event!r}")


def _apply_exit(job: Job, event: ScriptExited) -> Job:
    return msgspec.structs.replace(
        job,
        phase=Phase.COLLECTING,
        exit_code=event.exit_code,
        oom=event.oom,
        ended=event.at,
        started=job.started or event.started,
    )


def _retry_or_finish(job: Job, at: datetime, reason: Reason | None, message: str) -> Job:
    """Retry a script whose end nobody knows if that was requested, else finish the job."""
    attempt = max(1, job.attempts)
    most = job.spec.retries + 1
    if job.intent is not None or attempt >= most:
        if reason is Reason.ENGINE:
            message += f" It was attempt {attempt} of {most}." if most > 1 else f" {_RERUN_HINT}"
        return _finish(job, at, reason, message)
    return _back_to_accepted(job, f"{message} It runs again: attempt {attempt + 1} of {most}.")


def _place_again_or_finish(job: Job, at: datetime, message: str) -> Job:
    """Place a job whose script had not begun in another container, a limited number of times."""
    if job.intent is not None or job.attempts >= job.spec.retries + 1 + MAX_REPLACEMENTS:
        return _finish(job, at, Reason.ENGINE, f"{message} {_RERUN_HINT}")
    return _back_to_accepted(job, f"{message} It is placed again.")


def _back_to_accepted(job: Job, message: str) -> Job:
    return msgspec.structs.replace(
        job,
        phase=Phase.ACCEPTED,
        container_id=None,
        worker=None,
        started=None,
        progress=None,
        message=message,
    )


def _finish(job: Job, at: datetime, reason: Reason | None = None, message: str = "") -> Job:
    state = JobState.FAILED
    if job.intent is not None:
        reason, message = job.intent, _end_message(job, job.intent)
    elif reason is None and job.exit_code is None:
        state = JobState.UNKNOWN
    elif reason is None:
        reason = _failure_reason(job)
        message = f"{_end_message(job, reason) if reason else ''} {message}".strip()
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


def _failure_reason(job: Job) -> Reason | None:
    if job.exit_code == 0:
        return None
    return Reason.OOM if job.oom else Reason.EXIT


def _end_message(job: Job, reason: Reason) -> str:
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
