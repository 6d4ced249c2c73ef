"""As much of the Docker Engine API as setting up needs, with the standard library only."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit


class EngineAnswerError(Exception):
    """The engine answered with an error."""


@dataclass(frozen=True)
class Endpoint:
    """Where an engine listens, as the `DOCKER_…` variables that lead a client there."""

    url: str
    certificates: str | None = None

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables that point a Docker client at this engine."""
        variables = {"DOCKER_HOST": self.url}
        if self.certificates:
            variables |= {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": self.certificates}
        return variables


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def connect(endpoint: Endpoint, timeout: float) -> http.client.HTTPConnection:
    """Open a connection to an engine at `unix://`, `tcp://` or `http(s)://`."""
    parts = urlsplit(endpoint.url)
    if parts.scheme == "unix":
        return _UnixConnection(parts.path, timeout)
    if parts.scheme not in {"tcp", "http", "https"} or not parts.hostname:
        raise OSError(f"{endpoint.url} cannot be asked directly")
    if not endpoint.certificates and parts.scheme != "https":
        return http.client.HTTPConnection(parts.hostname, parts.port or 2375, timeout=timeout)
    context = ssl.create_default_context()
    if endpoint.certificates:
        folder = Path(endpoint.certificates)
        context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return http.client.HTTPSConnection(
        parts.hostname, parts.port or 2376, timeout=timeout, context=context
    )


def ask(
    endpoint: Endpoint,
    method: str,
    path: str,
    *,
    query: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    body: Any = None,
    timeout: float = 30.0,
) -> bytes:
    """Make one request and return the whole answer.

    Parameters
    ----------
    body
        Bytes, an open file or an iterable of bytes, sent as a tar.
    timeout
        Seconds for each read or write, not for the whole.

    Raises
    ------
    EngineAnswerError
        The status was 400 or more.
    OSError
        The engine could not be reached.
    """
    connection = connect(endpoint, timeout)
    pairs = list(query.items()) if isinstance(query, Mapping) else list(query)
    target = f"{path}?{urlencode(pairs)}" if pairs else path
    headers = {"Content-Type": "application/x-tar"} if body is not None else {}
    try:
        connection.request(method, target, body=body, headers=headers)
        answer = connection.getresponse()
        content = answer.read()
    except http.client.HTTPException as exc:
        raise OSError(f"{endpoint.url} does not speak HTTP: {exc!r}") from exc
    finally:
        connection.close()
    if answer.status >= 400:
        raise EngineAnswerError(
            f"{method} {path}: {answer.status} {content.decode(errors='replace')}"
        )
    return content


def answers(endpoint: Endpoint, timeout: float = 2.0) -> bool:
    """Tell whether an engine is there."""
    try:
        return ask(endpoint, "GET", "/_ping", timeout=timeout).startswith(b"OK")
    except (OSError, EngineAnswerError):
        return False


@dataclass(frozen=True)
class Candidate:
    """A place to look for an engine, and what named it."""

    source: str
    endpoint: Endpoint = field()


def candidates(environ: Mapping[str, str] | None = None) -> list[Candidate]:
    """Return where Docker's own command line would look, and the default socket, in order."""
    env = os.environ if environ is None else environ
    found = []
    if env.get("DOCKER_HOST"):
        certificates = None
        if env.get("DOCKER_TLS_VERIFY"):
            certificates = env.get("DOCKER_CERT_PATH") or str(_config_folder(env))
        found.append(Candidate("DOCKER_HOST", Endpoint(env["DOCKER_HOST"], certificates)))
    context = _current_context(env)
    if context is not None:
        found.append(context)
    found.append(Candidate("the default socket", Endpoint("unix:///var/run/docker.sock")))
    return found


def _config_folder(env: Mapping[str, str]) -> Path:
    return Path(env.get("DOCKER_CONFIG") or Path(env.get("HOME") or Path.home()) / ".docker")


def _current_context(env: Mapping[str, str]) -> Candidate | None:
    import hashlib

    folder = _config_folder(env)
    try:
        config = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError):
        config = {}
    name = env.get("DOCKER_CONTEXT") or config.get("currentContext")
    if not name or name == "default":
        return None
    key = hashlib.sha256(name.encode()).hexdigest()
    try:
        meta = json.loads((folder / "contexts" / "meta" / key / "meta.json").read_text())
        url = meta["Endpoints"]["docker"]["Host"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    tls = folder / "contexts" / "tls" / key / "docker"
    return Candidate(
        f"the Docker context {name}", Endpoint(url, str(tls) if tls.is_dir() else None)
    )
