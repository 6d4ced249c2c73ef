"""Address of a Docker Engine, from a URL, a Docker context or the environment.

Contexts are read here: the SDK looks for them beside `config.json` only, finds none where that file
is missing, and drops the authority of a context without a client's certificate.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import msgspec
from docker import errors as docker_errors
from docker.tls import TLSConfig
from docker.utils import kwargs_from_env, parse_host

from nds_jupyter.errors import EngineUnavailable

DEFAULT_CONTEXT = "default"
"""The name of Docker's command line for no context at all."""


class EngineAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Address at which an engine listens, with its TLS configuration.

    Parameters
    ----------
    url
        None for the default socket.
    tls
        The SDK's TLS configuration; None for none.
    """

    url: str | None = None
    tls: Any = None


def find_address(url_or_context: str | None, certificates: str = "") -> EngineAddress:
    """Return the address of an engine, as the contexts and the environment are now.

    Parameters
    ----------
    url_or_context
        A URL, else the name of a Docker context; None for DOCKER_HOST, else the current context,
        else the default socket.
    certificates
        Folder with ``ca.pem``, ``cert.pem`` and ``key.pem`` for ``tcp://``; empty for none.

    Raises
    ------
    EngineUnavailable
        If there is no such context, its files or the certificates can't be read, or the URL is
        none.
    """
    address = _read_address(url_or_context, certificates)
    if address.url is not None:
        _check_url(address.url)
    return address


def _check_url(url: str) -> None:
    try:
        parse_host(url)
    except (docker_errors.DockerException, ValueError) as exc:
        raise EngineUnavailable(
            f"{url} is no address of a Docker Engine ({exc}). It is unix:///…, tcp://HOST:PORT, "
            "ssh://USER@HOST or the name of a Docker context."
        ) from exc


def _read_address(url_or_context: str | None, certificates: str) -> EngineAddress:
    if url_or_context is None:
        return _from_environment()
    if "://" not in url_or_context:
        return _from_context(url_or_context)
    if url_or_context.startswith("tcp://") and certificates:
        return EngineAddress(url=url_or_context, tls=_load_tls(Path(certificates), verify=True))
    return EngineAddress(url=url_or_context)


def _from_environment() -> EngineAddress:
    try:
        environment: dict[str, Any] = dict(kwargs_from_env())
    except docker_errors.DockerException as exc:
        raise EngineUnavailable(f"DOCKER_CERT_PATH: {exc}") from exc
    if "base_url" in environment:
        return EngineAddress(url=environment["base_url"], tls=environment.get("tls") or None)
    name = os.environ.get("DOCKER_CONTEXT") or _read_config("currentContext")
    return _from_context(name) if name else EngineAddress()


def _config_folder() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")


def _read_config(name: str) -> str:
    try:
        return str(json.loads((_config_folder() / "config.json").read_text()).get(name) or "")
    except (OSError, ValueError, AttributeError):
        return ""


def _from_context(name: str) -> EngineAddress:
    if name == DEFAULT_CONTEXT:
        return EngineAddress()
    folder = _config_folder() / "contexts"
    key = hashlib.sha256(name.encode()).hexdigest()
    try:
        stored = json.loads((folder / "meta" / key / "meta.json").read_text())
        docker = stored["Endpoints"]["docker"]
        url, verify = str(docker["Host"]), not docker.get("SkipTLSVerify")
    except FileNotFoundError as exc:
        raise EngineUnavailable(
            f"There is no Docker context {name!r} in {folder}. `docker context ls` lists those "
            "that are; make it for the server's account, or give a URL."
        ) from exc
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise EngineUnavailable(
            f"The Docker context {name!r} in {folder} can't be read: {exc!r}. Make it anew."
        ) from exc
    tls = folder / "tls" / key / "docker"
    return EngineAddress(url=url, tls=_load_tls(tls, verify=verify) if tls.is_dir() else None)


def _load_tls(folder: Path, *, verify: bool) -> Any:
    authority, certificate, key = (folder / f"{name}.pem" for name in ("ca", "cert", "key"))
    try:
        return TLSConfig(
            client_cert=(str(certificate), str(key)) if certificate.exists() else None,
            ca_cert=str(authority) if authority.exists() else None,
            verify=verify,
        )
    except docker_errors.TLSParameterError as exc:
        raise EngineUnavailable(
            f"The certificates in {folder} can't be used: cert.pem and key.pem are needed there, "
            "and ca.pem, all readable for the server's account."
        ) from exc
