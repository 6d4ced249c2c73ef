"""The errors of this package, as one tree that knows no HTTP.

    NdsError
    ├── InvalidRequest          a parameter is missing, repeated, unknown or malformed
    ├── NotFound
    │   ├── JobNotFound
    │   ├── ContainerNotFound
    │   ├── ImageNotFound
    │   └── PathNotFound
    ├── Conflict                the state of things forbids it
    │   ├── AmbiguousId         a prefix that several jobs or containers share
    │   ├── NameTaken           a container of that name exists
    │   ├── DataBusy            an object is being written, and locked
    │   └── PreconditionFailed  it is not, or no longer, what the request takes it for
    ├── Removed                 it was there, and retention removed it
    ├── TooLarge
    ├── RefusedByPolicy
    ├── NotOffered              not built into this version
    ├── Unauthorized            who asks is not known
    ├── Forbidden               who asks may not
    ├── EngineError             the container engine failed
    │   ├── EngineUnavailable   it does not answer
    │   ├── NoEndpoint          the node is known, and how to reach its engine is not
    │   └── NodeLost            the node went down with the container on it
    ├── DataError               the data root failed
    │   ├── DataUnavailable     it does not answer
    │   ├── DataLoginRefused    it does not accept the server's credentials
    │   ├── DataLoginRequired   its owner must log in to it first, or again
    │   ├── DataChanged         an object changed while it was read
    │   └── DataRootFull        it has no space left
    ├── GatewayUnavailable      the server that runs the jobs of this one does not answer
    ├── NotReady                try again later
    │   ├── NotPlaced           no node has room for the container yet
    │   ├── TooBusy             every place for a stream or a request is taken
    │   └── StorageFull         the disk that holds the jobs' record is full
    ├── DeadlineExceeded
    ├── ServerNotFound          (kernel) no Jupyter server to talk to
    ├── UnexpectedAnswer        (kernel) what answered does not speak this API
    └── JobFailed               (kernel) the job ended, and not well

`code` is stable: programs may rely on it, over REST too. `reason` is a short phrase for people.
"""

from __future__ import annotations

from typing import ClassVar


class NdsError(Exception):
    """Anything this package raises on purpose; ``str()`` is a sentence for people.

    Parameters
    ----------
    message
        What happened, to what, and what to do about it.
    **details
        JSON-able facts that a program can use, for example ``matches`` of an ambiguous id.
    """

    code: ClassVar[str] = "internal"
    reason: ClassVar[str] = "internal error"

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class InvalidRequest(NdsError):
    """A parameter is missing, repeated, unknown or malformed; the message names it."""

    code = "invalid_request"
    reason = "malformed request"


class NotFound(NdsError):
    """Nothing by that name exists for who asks."""

    code = "not_found"
    reason = "not found"


class JobNotFound(NotFound):
    """No job of this owner has that id."""

    code = "job_not_found"
    reason = "no such job"


class ContainerNotFound(NotFound):
    """No container of this owner has that id or name."""

    code = "container_not_found"
    reason = "no such container"


class ImageNotFound(NotFound):
    """Neither the engine nor a registry has the image."""

    code = "image_not_found"
    reason = "no such image"


class PathNotFound(NotFound):
    """The path does not exist in the container or in the data root."""

    code = "path_not_found"
    reason = "no such path"


class Conflict(NdsError):
    """The state of the thing forbids what was asked."""

    code = "conflict"
    reason = "conflict"


class AmbiguousId(Conflict):
    """Several things share the prefix; ``details["matches"]`` lists them."""

    code = "ambiguous_id"
    reason = "ambiguous id"


class NameTaken(Conflict):
    """The engine has a container of that name already."""

    code = "name_taken"
    reason = "name taken"


class DataBusy(Conflict):
    """Another writes the object of the data root, which locks it."""

    code = "data_busy"
    reason = "data is being written"


class PreconditionFailed(Conflict):
    """The request holds for another version of the object than the one that is there."""

    code = "precondition_failed"
    reason = "precondition failed"


class Removed(NdsError):
    """Retention removed it; the message says when, and what is still there."""

    code = "removed"
    reason = "removed by retention"


class TooLarge(NdsError):
    """More bytes than the configuration allows."""

    code = "too_large"
    reason = "too large"


class RefusedByPolicy(NdsError):
    """The administrator's policy does not allow it."""

    code = "refused_by_policy"
    reason = "refused by policy"


class NotOffered(NdsError):
    """This version does not do that yet."""

    code = "not_offered"
    reason = "not offered by this version"


class Unauthorized(NdsError):
    """The request does not say who asks, or its token is wrong."""

    code = "unauthorized"
    reason = "not authenticated"


class Forbidden(NdsError):
    """Who asks may not do this."""

    code = "forbidden"
    reason = "not allowed"


class EngineError(NdsError):
    """The container engine refused or failed."""

    code = "engine_failed"
    reason = "container engine failed"


class EngineUnavailable(EngineError):
    """The container engine does not answer."""

    code = "engine_unavailable"
    reason = "container engine unreachable"


class NoEndpoint(EngineError):
    """A node runs the container, and this server was not told how to reach that node's engine."""

    code = "no_endpoint"
    reason = "node's engine not configured"


class NodeLost(EngineError):
    """The node went down with the container on it; whether the script ended nobody knows."""

    code = "node_lost"
    reason = "node lost"


class DataError(NdsError):
    """The data root refused or failed."""

    code = "data_failed"
    reason = "data root failed"


class DataUnavailable(DataError):
    """The data root does not answer."""

    code = "data_unavailable"
    reason = "data root unreachable"


class DataLoginRefused(DataError):
    """The data root does not accept the server's user and password; the message says what to do."""

    code = "data_login_refused"
    reason = "data root refused the login"


class DataLoginRequired(DataError):
    """Who asks must log in to the data root first, or again."""

    code = "data_login_required"
    reason = "login to the data root needed"


class DataChanged(DataError):
    """An object changed while it was read, so what was read is neither version."""

    code = "data_changed"
    reason = "data changed meanwhile"


class DataRootFull(DataError):
    """The data root has no space left."""

    code = "data_root_full"
    reason = "data root full"


class GatewayUnavailable(NdsError):
    """This server passes requests on to another, and that one does not answer."""

    code = "gateway_unavailable"
    reason = "jobs' server unreachable"


class NotReady(NdsError):
    """The server can't do it now, and could later."""

    code = "not_ready"
    reason = "not ready"


class NotPlaced(NotReady):
    """The container is accepted and waits for a node; create it again to go on waiting."""

    code = "not_placed"
    reason = "waiting for a node"


class TooBusy(NotReady):
    """Every place is taken; ``details["retry_after"]`` is in seconds."""

    code = "too_busy"
    reason = "too busy"


class StorageFull(NotReady):
    """The record of jobs can't be written."""

    code = "storage_full"
    reason = "storage full"


class DeadlineExceeded(NdsError):
    """Something upstream did not answer in time."""

    code = "deadline_exceeded"
    reason = "deadline exceeded"


class ServerNotFound(NdsError):
    """No Jupyter server with this extension could be found from the kernel."""

    code = "server_not_found"
    reason = "no server found"


class UnexpectedAnswer(NdsError):
    """Something answered that does not speak this API."""

    code = "unexpected_answer"
    reason = "unexpected answer"


class JobFailed(NdsError):
    """A job ended as FAILED or UNKNOWN; ``details["job_id"]`` says which."""

    code = "job_failed"
    reason = "job failed"


def _classes_by_code(base: type[NdsError]) -> dict[str, type[NdsError]]:
    found = {base.code: base}
    for child in base.__subclasses__():
        found |= _classes_by_code(child)
    return found


def error_class(code: str) -> type[NdsError]:
    """Return the class whose `code` this is, or `NdsError` for a code of a newer server."""
    return _classes_by_code(NdsError).get(code, NdsError)
