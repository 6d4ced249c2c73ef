"""Messages of the `/events` WebSocket as types (docs/events.md)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from nds_jupyter.errors import InvalidRequest
from nds_jupyter.rest.views import SampleView

MAX_FOLLOWED_JOBS = 32
"""Jobs that one subscriber follows at a time: each may need a stream of the engine."""

Time = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$")]


class Follow(msgspec.Struct, frozen=True, kw_only=True):
    """One job that a subscriber follows.

    Parameters
    ----------
    log_since
        Send the lines after this time; `log_tail` is then ignored.
    log_tail
        Begin with at most so many of the last lines.
    """

    job_id: str
    log: bool = True
    log_since: Time | None = None
    log_tail: Annotated[int, Meta(ge=0, le=10_000)] = 1000
    metrics: bool = False


class FollowRequest(msgspec.Struct, frozen=True, kw_only=True):
    """All jobs that a subscriber follows; replaces what it followed before."""

    follow: Annotated[tuple[Follow, ...], Meta(max_length=MAX_FOLLOWED_JOBS)]


def decode_follow_request(message: str | bytes) -> FollowRequest:
    """Decode the message of a subscriber.

    Raises
    ------
    InvalidRequest
        If it is something else.
    """
    try:
        return msgspec.json.decode(message, type=FollowRequest)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise InvalidRequest(f"The message is not understood: {exc}.") from exc


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of a log, or a part of one; `cut` says that it goes on in the next."""

    stream: str
    time: str
    text: str
    cut: bool = False


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Base of all messages; `seq` is ``<epoch>.<n>``."""

    seq: str


class Hello(Message, frozen=True, kw_only=True, tag="hello"):
    """First message: the connection goes on where `since` was."""


class Reset(Message, frozen=True, kw_only=True, tag="reset"):
    """First message: nothing can be resumed, so fetch `GET /jobs`."""


class JobChanged(Message, frozen=True, kw_only=True, tag="job"):
    """A job was accepted, changed its phase or progressed; `job` is a `JobView`."""

    job_id: str
    job: msgspec.Raw


class JobDeleted(Message, frozen=True, kw_only=True, tag="job"):
    """The job was deleted."""

    job_id: str
    deleted: bool = True


class LogLines(Message, frozen=True, kw_only=True, tag="log"):
    """Lines of a followed log, each a `Line`.

    Parameters
    ----------
    skipped
        Lines missing before these; None where it is not known how many.
    refetch_since
        The time after which lines are missing; None if none are.
    end
        The job has ended, and there is nothing more to come.
    """

    job_id: str
    lines: tuple[msgspec.Raw, ...]
    skipped: int | None = 0
    refetch_since: str | None = None
    end: bool = False


class NewSample(Message, frozen=True, kw_only=True, tag="metric"):
    """A sample of what a followed job uses."""

    job_id: str
    sample: SampleView


class LoadChanged(Message, frozen=True, kw_only=True, tag="load"):
    """The load has changed; the fields are those of `LoadView`."""

    running: int
    queued: int
    places: int | None
    cpus: int | None
    memory: int | None
    cpu_percent: float
    memory_usage: int


class ErrorMessage(Message, frozen=True, kw_only=True, tag="error"):
    """A request failed, or a followed log can't be read."""

    job_id: str | None
    message: str
    code: str
    reason: str


def normalize_time(time: str) -> str:
    """Return a time as the engine writes it, so that times compare as strings."""
    whole, _, fraction = time.removesuffix("Z").partition(".")
    return f"{whole}.{fraction:0<9}Z"
