"""What kernels inherit from a server's environment."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from nds_jupyter.configuration.kernel_environment import export_server_url, local_base_url


def a_server(url: str = "http://127.0.0.1:8888/", ip: str = "127.0.0.1") -> Any:
    return SimpleNamespace(connection_url=url, ip=ip)


def test_server_tells_its_url() -> None:
    environ: dict[str, str] = {}
    export_server_url(environ, a_server(), "nds")
    assert environ == {
        "NDS_URL": "http://127.0.0.1:8888/",
        "NDS_URL_OF_SERVER": "http://127.0.0.1:8888/",
    }


def test_url_of_an_administrator_stays() -> None:
    environ = {"NDS_URL": "https://hub.example/services/nds/"}
    export_server_url(environ, a_server(), "nds")
    assert environ == {"NDS_URL": "https://hub.example/services/nds/"}


def test_server_in_a_terminal_of_another_tells_its_own_url() -> None:
    environ: dict[str, str] = {}
    export_server_url(environ, a_server("http://127.0.0.1:1/"), "jobs")
    export_server_url(environ, a_server("http://127.0.0.1:2/"), "nds")
    assert environ["NDS_URL"] == "http://127.0.0.1:2/"
    assert "NDS_ROUTE_PREFIX" not in environ


@pytest.mark.parametrize(
    ("server", "url"),
    [
        (a_server("http://host.lab:8888/base/", "host.lab"), "http://host.lab:8888/base/"),
        (a_server("http://host.lab:8888/base/", ""), "http://127.0.0.1:8888/base/"),
        (a_server("https://host.lab:443/", "0.0.0.0"), "https://127.0.0.1:443/"),
        (a_server("http+unix://%2Frun%2Fj.sock/", ""), None),
    ],
)
def test_url_is_reachable_from_this_machine(server: Any, url: str | None) -> None:
    assert local_base_url(server) == url
