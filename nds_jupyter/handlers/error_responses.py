"""Error responses (RFC 9457): the table from error class to HTTP status, and their bodies."""

from __future__ import annotations

from http import HTTPStatus
from http.client import responses

from nds_jupyter import errors
from nds_jupyter.archives.tar_conversion import RangeNotSatisfiable
from nds_jupyter.errors import NdsError

STATUS_BY_CLASS: dict[type[NdsError], HTTPStatus] = {
    errors.InvalidRequest: HTTPStatus.BAD_REQUEST,
    RangeNotSatisfiable: HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    errors.Unauthorized: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.PreconditionFailed: HTTPStatus.PRECONDITION_FAILED,
    errors.Removed: HTTPStatus.GONE,
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.RefusedByPolicy: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.NotOffered: HTTPStatus.NOT_IMPLEMENTED,
    errors.EngineError: HTTPStatus.BAD_GATEWAY,
    errors.DataError: HTTPStatus.BAD_GATEWAY,
    errors.DataLoginRequired: HTTPStatus.FORBIDDEN,
    errors.DataRootFull: HTTPStatus.INSUFFICIENT_STORAGE,
    errors.GatewayUnavailable: HTTPStatus.BAD_GATEWAY,
    errors.NotReady: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.DeadlineExceeded: HTTPStatus.GATEWAY_TIMEOUT,
}
"""A class that is not here has its base's status."""

CODE_BY_STATUS: dict[int, tuple[str, str]] = {
    400: (errors.InvalidRequest.code, errors.InvalidRequest.reason),
    401: (errors.Unauthorized.code, errors.Unauthorized.reason),
    403: (errors.Forbidden.code, errors.Forbidden.reason),
    404: (errors.NotFound.code, errors.NotFound.reason),
    405: ("method_not_allowed", "method not allowed"),
    413: (errors.TooLarge.code, errors.TooLarge.reason),
    416: ("range_not_satisfiable", "range not satisfiable"),
}
"""Code and reason of the statuses that Jupyter and Tornado raise by themselves."""


def status_of(error: NdsError) -> int:
    """Return the status of an error: its class's, or that of the nearest base."""
    for each in type(error).__mro__:
        if each in STATUS_BY_CLASS:
            return int(STATUS_BY_CLASS[each])
    return int(HTTPStatus.INTERNAL_SERVER_ERROR)


def make_problem(status: int, error: BaseException | None, message: str = "") -> dict[str, object]:
    """Return the body of an error response (RFC 9457, with `message`, `reason` and `code`).

    Parameters
    ----------
    error
        The exception; of one that is not ours nothing is shown but the status.
    message
        The sentence, where Jupyter or Tornado chose it.
    """
    title = responses.get(status, "Error")
    details: dict[str, object] = {}
    if isinstance(error, NdsError):
        message, reason, code, details = error.message, error.reason, error.code, error.details
    else:
        code, reason = CODE_BY_STATUS.get(status, (NdsError.code, NdsError.reason))
    message = message or f"{title}."
    return {
        **details,
        "message": message,
        "reason": reason,
        "code": code,
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": message,
    }
