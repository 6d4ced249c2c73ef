"""Discovery of the server's URL and token by a kernel."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import msgspec
from jupyter_core.paths import jupyter_runtime_dir

from nds_jupyter.errors import ServerNotFound
from nds_jupyter.rest.routes import PREFIX


class ServerAddress(msgspec.Struct, frozen=True, kw_only=True):
    """URL and token of a server, and how it was found.

    Parameters
    ----------
    url
        The server's base URL, without the routes' prefix.
    how
        How it was found, for people.
    """

    url: str
    token: str
    how: str
    prefix: str = PREFIX

    def __repr__(self) -> str:
        return f"ServerAddress(url={self.url!r}, how={self.how!r})"

    def route(self, path: str) -> str:
        """Return the URL of a route."""
        return f"{self.url.rstrip('/')}/{self.prefix.strip('/')}".rstrip("/") + path


def find_server(
    url: str = "", token: str = "", environ: Mapping[str, str] | None = None
) -> ServerAddress:
    """Return the address of the server, from the first source that has one.

    Parameters
    ----------
    url, token
        Configured by `%config NdsMagics` or the caller; they take precedence.
    environ
        Default: this process's environment.

    Raises
    ------
    ServerNotFound
        With the sources that were tried, and what to do.
    """
    env = os.environ if environ is None else environ
    prefix = env.get("NDS_ROUTE_PREFIX", PREFIX)
    if url:
        token = token or env.get("NDS_TOKEN") or _token_for(url)
        return ServerAddress(url=url, token=token, how="the configured URL", prefix=prefix)
    tried: list[str] = []
    sources: tuple[Callable[[Mapping[str, str]], ServerAddress | None], ...] = (
        _from_environment,
        _from_parent_server,
        _from_hub,
        _from_runtime_files,
    )
    for find in sources:
        address = find(env)
        if address is not None:
            token = token or address.token
            return msgspec.structs.replace(address, token=token, prefix=prefix)
        tried.append((find.__doc__ or "").rstrip("."))
    raise ServerNotFound(
        "No Jupyter server with nds_jupyter was found. Tried: "
        + "; ".join(tried)
        + ". Start JupyterLab with nds_jupyter installed, or set NDS_URL and NDS_TOKEN, or "
        "%config NdsMagics.url and NdsMagics.token."
    )


def _from_environment(env: Mapping[str, str]) -> ServerAddress | None:
    """NDS_URL in the environment (not set)."""
    url = env.get("NDS_URL")
    if not url:
        return None
    token = env.get("NDS_TOKEN") or _parent_token(env) or env.get("JUPYTERHUB_API_TOKEN")
    return ServerAddress(url=url, token=token or _token_for(url), how="NDS_URL")


def _from_parent_server(env: Mapping[str, str]) -> ServerAddress | None:
    """The server that started this kernel, by JPY_PARENT_PID (no runtime file)."""
    info = _parent_server_info(env)
    if info is None:
        return None
    return ServerAddress(url=info["url"], token=info.get("token", ""), how="JPY_PARENT_PID")


def _from_hub(env: Mapping[str, str]) -> ServerAddress | None:
    """JupyterHub's variables (not set)."""
    prefix, token = env.get("JUPYTERHUB_SERVICE_PREFIX"), env.get("JUPYTERHUB_API_TOKEN")
    service = env.get("JUPYTERHUB_SERVICE_URL")
    if not (prefix and token and service):
        return None
    return ServerAddress(url=urljoin(service, prefix), token=token, how="JupyterHub")


def _from_runtime_files(env: Mapping[str, str]) -> ServerAddress | None:
    """The runtime files of living servers (none)."""
    del env
    for info in _running_servers():
        return ServerAddress(url=info["url"], token=info.get("token", ""), how="runtime files")
    return None


def _parent_server_info(env: Mapping[str, str]) -> dict[str, Any] | None:
    pid = env.get("JPY_PARENT_PID", "")
    if not pid.isdigit():
        return None
    return _read_server_info(Path(jupyter_runtime_dir(), f"jpserver-{pid}.json"))


def _parent_token(env: Mapping[str, str]) -> str:
    info = _parent_server_info(env)
    return str(info.get("token", "")) if info else ""


def _token_for(url: str) -> str:
    base_url = url.rstrip("/")
    for info in _running_servers():
        if str(info["url"]).rstrip("/") == base_url:
            return str(info.get("token", ""))
    return ""


def _running_servers() -> Iterator[dict[str, Any]]:
    """Yield the runtime files of this user's running servers, newest first."""
    files = Path(jupyter_runtime_dir()).glob("jpserver-*.json")
    for path in sorted(files, key=_negative_mtime):
        info = _read_server_info(path)
        if info is not None and _is_alive(info.get("pid")):
            yield info


def _negative_mtime(path: Path) -> float:
    try:
        return -path.stat().st_mtime
    except OSError:
        return 0.0


def _read_server_info(path: Path) -> dict[str, Any] | None:
    try:
        if path.stat().st_uid != os.getuid():
            return None
        info = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return info if isinstance(info, dict) and info.get("url") else None


def _is_alive(pid: object) -> bool:
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
