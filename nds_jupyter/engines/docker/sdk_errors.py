"""Exceptions of the Docker SDK and of its connections, translated into `nds_jupyter.errors`."""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
from collections.abc import Iterator

import requests
import urllib3
from docker import errors as docker_errors

from nds_jupyter.engines.docker.transports import SshError
from nds_jupyter.engines.missing_program import find_missing_program
from nds_jupyter.errors import (
    AmbiguousId,
    ContainerNotFound,
    DeadlineExceeded,
    EngineError,
    EngineUnavailable,
    ImageNotFound,
    NameTaken,
    NdsError,
)

UNKNOWN_REASON = ". Start it, or set c.NdsApp.engine_url."
"""How "The Docker Engine does not answer" goes on where nothing more is known."""

_ERRNO_REASONS = {
    errno.ECONNREFUSED: f": nothing listens there{UNKNOWN_REASON}",
    errno.ENOENT: f": its socket is not there{UNKNOWN_REASON}",
    errno.EHOSTUNREACH: ": there is no way to its machine. Look at the network between.",
    errno.ENETUNREACH: ": there is no way to its network. Look at the network between.",
    errno.EACCES: ": the server's account may not open its socket. Put it into the group docker.",
}


def connection_error_reason(error: BaseException) -> str:
    """Return how "The Docker Engine does not answer" goes on; empty if nothing more is known."""
    for each in _causes(error):
        if isinstance(each, SshError):
            return f": by ssh, {each}."
        if isinstance(each, ssl.SSLCertVerificationError):
            return (
                f": its certificate is not good for this address ({each.verify_message}). Look at "
                "ca.pem here, and at the names in its certificate."
            )
        if isinstance(each, ssl.SSLError):
            return (
                f": TLS failed ({each.reason or each}). Look whether it listens with TLS, and "
                "whether it accepts the authority of cert.pem here."
            )
        if isinstance(each, socket.gaierror):
            return ": no machine of that name is known. Mend its address."
        if isinstance(each, OSError) and each.errno in _ERRNO_REASONS:
            return _ERRNO_REASONS[each.errno]
    return ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that it came from or wraps, each once."""
    seen: set[int] = set()
    left: list[object] = [error]
    while left:
        each = left.pop(0)
        if not isinstance(each, BaseException) or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        left += [*each.args, getattr(each, "reason", None), each.__cause__, each.__context__]


@contextlib.contextmanager
def translate_errors(what: str, missing: type[NdsError] = ContainerNotFound) -> Iterator[None]:
    """Raise what the SDK raises as errors of `nds_jupyter.errors`.

    Parameters
    ----------
    what
        The thing, as a sentence begins: ``The image python:3.11``.
    missing
        What a 404 means here.
    """
    try:
        yield
    except docker_errors.APIError as exc:
        raise _translate_api_error(exc, what, missing) from exc
    except (requests.Timeout, TimeoutError) as exc:
        raise DeadlineExceeded(f"{what}: the engine has not answered in time.") from exc
    except (
        docker_errors.DockerException,
        requests.RequestException,
        urllib3.exceptions.HTTPError,
        OSError,
    ) as exc:
        reason = connection_error_reason(exc)
        if "timed out" in str(exc) and not reason:
            raise DeadlineExceeded(f"{what}: the engine has not answered in time.") from exc
        raise EngineUnavailable(
            f"The Docker Engine does not answer{reason or UNKNOWN_REASON}"
        ) from exc


def _translate_api_error(
    exc: docker_errors.APIError, what: str, missing: type[NdsError]
) -> NdsError:
    message = str(exc.explanation or exc)
    status = exc.status_code
    if (program := find_missing_program(message)) is not None:
        return ImageNotFound(f"{what}: its image has no program {program!r}.")
    if "multiple" in message.lower() and "prefix" in message.lower():
        return AmbiguousId(f"{what}: several containers have this prefix.")
    if "no space left" in message:
        return EngineError(f"{what}: the engine's disk is full. Free space there.")
    if status == 404 and "no such image" in message.lower():
        return ImageNotFound(f"{what}: the engine does not have it.")
    if status == 404 and "no such container" in message.lower():
        return ContainerNotFound(f"{what}: there is no such container.")
    if status == 404:
        return missing(f"{what} does not exist.")
    if status == 409 and "already in use" in message:
        return NameTaken(f"{what} exists already.")
    return EngineError(f"{what}: the engine said: {message.strip()[:500]}")
