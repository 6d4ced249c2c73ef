"""Clients of the Docker SDK, one for each thread."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Callable
from typing import Any, cast

import docker
import docker.auth
from docker.constants import DEFAULT_DOCKER_API_VERSION

from nds_jupyter.engines.docker.engine_address import EngineAddress, find_address
from nds_jupyter.engines.docker.transports import (
    SSH_SCHEME,
    mount_ssh,
    mount_unix_socket,
)
from nds_jupyter.errors import EngineUnavailable

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


def registry_auth(client: Any, reference: str) -> dict[str, str]:
    """Return the header with the Docker configuration's credentials for an image's registry."""
    registry, _ = docker.auth.resolve_repository_name(reference.partition("@")[0])
    header = docker.auth.get_config_header(client, registry)
    return {"X-Registry-Auth": header.decode("ascii")} if header else {}
