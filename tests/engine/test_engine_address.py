"""What is said of the address of an engine that is none."""

from __future__ import annotations

import pytest

from nds_jupyter.engines.docker.engine import DockerEngine
from nds_jupyter.engines.docker.engine_address import find_address
from nds_jupyter.errors import EngineUnavailable

MALFORMED = ["tcp://", "tcp://host:port:1", "tcp://host:99999999", "https://[host", "fd://"]


@pytest.mark.parametrize("url", MALFORMED)
async def test_url_that_is_none_is_named(url: str) -> None:
    engine = DockerEngine(url)
    with pytest.raises(EngineUnavailable) as caught:
        await engine.info()
    await engine.close()
    assert caught.value.message.startswith(f"{url} is no address of a Docker Engine (")
    assert "tcp://HOST:PORT" in caught.value.message


@pytest.mark.parametrize("url", MALFORMED)
def test_url_in_the_environment_is_looked_at_too(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", url)
    with pytest.raises(EngineUnavailable, match="no address of a Docker Engine"):
        find_address(None)


@pytest.mark.parametrize(
    "url", ["unix:///var/run/docker.sock", "tcp://node-1:2376", "ssh://me@node-1", "http://h:1"]
)
def test_url_stays_as_it_was_given(url: str) -> None:
    assert find_address(url).url == url
