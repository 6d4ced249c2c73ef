"""Clients of the Docker SDK, one for each thread, and translation of its exceptions."""

from __future__ import annotations

import contextlib
import errno
import shutil
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import docker
import docker.auth
import requests
import urllib3
from docker import errors as docker_errors
from docker.constants import DEFAULT_DOCKER_API_VERSION

from nds_jupyter.engines.docker.engine_address import EngineAddress, find_address
from nds_jupyter.engines.docker.transports import (
    SSH_SCHEME,
    SshError,
    mount_ssh,
    mount_unix_socket,
)
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


PLACEHOLDER_URL = "http://127.0.0.1:9"
"""The SDK's URL where the connections are made for it."""


class SdkClients:
    """Factory of clients for one engine.

    Parameters
    ----------
    url_or_context
        A URL or the name of a Docker context; None for DOCKER_HOST, else the current context, else
        the default socket. It is read for each client: a context may change.
    deadline
        Seconds for a call.
    certificates
        Folder for ``tcp://``; see `find_address`.
    """

    def __init__(self, url_or_context: str | None, deadline: float, certificates: str = "") -> None:
        self._url_or_context = url_or_context
        self._certificates = certificates
        self._deadline = deadline
        self._local = threading.local()
        self._version: str | None = None
        self._thread_clients: list[Any] = []
        self._lock = threading.Lock()
        self._closed = False

    def thread_client(self) -> Any:
        """Return this thread's client: one is not safe across threads.

        Raises
        ------
        EngineUnavailable
            After `close`: a call that was given up may still be under way in its thread.
        """
        client = getattr(self._local, "client", None)
        if client is None:
            client = self.new(self._deadline)
            with self._lock:
                if self._closed:
                    client.close()
                    raise EngineUnavailable("The connections to the Docker Engine are closed.")
                self._thread_clients.append(client)
            self._local.client = client
        return client

    @property
    def version(self) -> str | None:
        """The API's version; None until a client was made."""
        return self._version

    def address(self) -> EngineAddress:
        """Return the address of the engine, as the contexts and the environment are now."""
        return find_address(self._url_or_context, self._certificates)

    def new(self, timeout: float | None) -> Any:
        """Return a new client; the API's version is fetched once."""
        address = self.address()
        if self._version is None:
            probe = self._create(address, DEFAULT_DOCKER_API_VERSION, self._deadline)
            with contextlib.closing(probe):
                self._version = str(probe.version(api_version=False)["ApiVersion"])
        return self._create(address, self._version, timeout)

    def _create(self, address: EngineAddress, version: str, timeout: float | None) -> Any:
        by_ssh = address.url is not None and address.url.startswith(SSH_SCHEME)
        client: Any = docker.APIClient(
            base_url=PLACEHOLDER_URL if by_ssh else address.url,
            version=version,
            timeout=cast("int", timeout),
            tls=False if by_ssh else address.tls or False,
        )
        if by_ssh:
            mount_ssh(client, str(address.url), timeout)
        if address.tls:
            # REQUESTS_CA_BUNDLE would go before the engine's own authority (requests #3829).
            client.trust_env = False
        mount_unix_socket(client)
        return client

    def open_stream(self, send: Callable[[Any], Any], timeout: float | None) -> tuple[Any, Any]:
        """Send a request whose answer is read as it comes; return its client and the answer.

        Parameters
        ----------
        send
            Given a client of its own, to be closed by who reads the answer.
        timeout
            Seconds until the answer begins.
        """
        client = self.new(timeout)
        try:
            response = send(client)
            client._raise_for_status(response)
        except BaseException:
            client.close()
            raise
        return client, response

    def disk_free(self, folder: str) -> int | None:
        """Return the free bytes of the engine's disk, if it is a disk of this machine."""
        url = self.address().url or "unix://"
        if not url.startswith(("unix://", "http+unix://")):
            return None
        try:
            return shutil.disk_usage(folder).free
        except OSError:
            return None

    def close(self) -> None:
        """Close the threads' clients, and those that a thread is about to make."""
        with self._lock:
            self._closed = True
        for client in self._thread_clients:
            client.close()


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


def registry_auth(client: Any, reference: str) -> dict[str, str]:
    """Return the header with the Docker configuration's credentials for an image's registry."""
    registry, _ = docker.auth.resolve_repository_name(reference.partition("@")[0])
    header = docker.auth.get_config_header(client, registry)
    return {"X-Registry-Auth": header.decode("ascii")} if header else {}
