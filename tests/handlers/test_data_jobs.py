"""Jobs over data, through a real Jupyter server, on a real Docker Engine."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import HTTPResponse

from nds_jupyter.engines.base import ContainerSpec
from nds_jupyter.engines.docker import DockerEngine
from nds_jupyter.errors import EngineError
from nds_jupyter.jobs import Limits, Network

pytestmark = pytest.mark.engine

Ask = Callable[..., Awaitable[HTTPResponse]]

AWKWARD = [
    "with space",
    "ünï-名前-🙂",
    'quote\'s "double"',
    "star*[a]?{b}",
    "back\\slash",
    "-dash",
    "new\nline",
    "n" * 255,
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "stored").mkdir()
    return tmp_path / "stored"


@pytest.fixture
def jp_server_config(docker_engine_url: str, tmp_path: Path, folder: Path) -> dict[str, Any]:
    return {
        "ServerApp": {"jpserver_extensions": {"nds_jupyter": True}},
        "NdsApp": {
            "engine_url": docker_engine_url,
            "default_image": "nds/shell:test",
            "journal_dir": str(tmp_path / "journal"),
            "data_root": str(folder),
            "max_running": 4,
        },
    }


@pytest.fixture
def ask(
    jp_serverapp: Any, jp_asyncio_loop: asyncio.AbstractEventLoop, jp_fetch: Any
) -> Iterator[Ask]:
    app = next(iter(jp_serverapp.extension_manager.extension_apps["nds_jupyter"]))
    jp_asyncio_loop.run_until_complete(app._start_jupyter_server_extension(jp_serverapp))

    async def ask(verb: str, route: str, body: Any = None, **query: object) -> HTTPResponse:
        return await jp_fetch(
            "nds",
            route,
            method=verb,
            params={key: str(value) for key, value in query.items()},
            body=None if body is None else json.dumps(body),
            headers={"Content-Type": "application/json"},
            raise_error=False,
            request_timeout=60,
        )

    yield ask
    os.environ.pop("NDS_URL", None)


async def ended(ask: Ask, script: str, **fields: object) -> dict[str, Any]:
    answer = await ask("POST", "upload", {"script": script, "scriptname": "a.sh", **fields})
    assert answer.code == 201, answer.body
    job_id = json.loads(answer.body)["job_id"]
    return json.loads((await ask("GET", "upload", job_id=job_id, wait=55)).body)


async def test_job_over_awkward_names_and_back(ask: Ask, folder: Path) -> None:
    (folder / "in" / "deep").mkdir(parents=True)
    for name in AWKWARD:
        (folder / "in" / "deep" / name).write_text(f"<{name}>")
    script = "cp -r /data/in/deep /results/copy; ln -s copy /results/link; ls -ld /data/in/deep"
    job = await ended(ask, script, data=["/in"], output="/out")
    assert (job["state"], job["data"]) == ("COMPLETED", ["/in"]), job
    assert "1 left out" in job["message"]
    assert not (folder / "out" / "link").exists()
    found = {each.name: each.read_text() for each in (folder / "out" / "copy").iterdir()}
    assert found == {name: f"<{name}>" for name in AWKWARD}
    log = json.loads((await ask("GET", "stdout", job_id=job["job_id"])).body)["stdout"]
    assert log.startswith("drwxr-xr-x")
    diff = json.loads((await ask("GET", "diff", job_id=job["job_id"])).body)
    assert not [row for row in diff if row["path"].startswith("/data")]
    avus = json.loads((await ask("GET", "metadata/out/copy/with space")).body)
    assert {"name": "nds.job", "value": job["job_id"], "unit": ""} in avus


async def test_large_input_and_result_keep_their_checksum(ask: Ask, folder: Path) -> None:
    data = os.urandom(2**20) * 40
    (folder / "big").write_bytes(data)
    job = await ended(ask, "cp /in/big /results/; sha256sum /in/big", data="/big:/in/", output="/o")
    assert job["state"] == "COMPLETED", job
    log = json.loads((await ask("GET", "stdout", job_id=job["job_id"])).body)["stdout"]
    assert log.split()[0] == hashlib.sha256(data).hexdigest()
    assert (folder / "o" / "big").read_bytes() == data


async def test_hard_link_is_delivered_as_a_copy(ask: Ask, folder: Path) -> None:
    script = "echo 1 > /results/a; ln /results/a /results/b; mkdir /results/empty"
    job = await ended(ask, script, output="/o")
    assert job["state"] == "COMPLETED", job
    assert [(folder / "o" / name).read_text() for name in "ab"] == ["1\n", "1\n"]
    assert (folder / "o" / "empty").is_dir()


async def test_forms_take_lines_of_data(ask: Ask, folder: Path, jp_fetch: Any) -> None:
    (folder / "x").write_text("1")
    (folder / "y").write_text("2")
    form = "script=cat+/data/x+/in/y&scriptname=a.sh&data=/x%0A/y:/in/y&output_on_failure=true"
    answer = await jp_fetch(
        "nds",
        "upload",
        method="POST",
        body=form,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    job_id = json.loads(answer.body)["job_id"]
    job = json.loads((await ask("GET", "upload", job_id=job_id, wait=55)).body)
    assert job["state"] == "COMPLETED", job
    assert json.loads((await ask("GET", "stdout", job_id=job_id)).body)["stdout"] == "12"


@pytest.mark.parametrize(
    ("fields", "reason", "named"),
    [
        ({"data": "/none"}, "data", "/none"),
        ({"output": "/full"}, "output", "/full"),
        ({"output": "/full/x/y"}, "output", "/full/x"),
    ],
)
async def test_what_can_not_be_fails_with_the_path(
    ask: Ask, folder: Path, fields: dict[str, object], reason: str, named: str
) -> None:
    (folder / "full").mkdir()
    (folder / "full" / "x").write_text("1")
    job = await ended(ask, "echo 1 > /results/a", **fields)
    assert (job["state"], job["reason"]) == ("FAILED", reason), job
    assert named in job["message"]
    assert str(folder) not in job["message"]
    assert [each.name for each in (folder / "full").iterdir()] == ["x"]


@pytest.mark.parametrize("data", ["/a/../b", "s3://b/x", "/x:/nds/y", '["/x", "/y/x"]'])
async def test_malformed_data_is_refused_at_once(ask: Ask, data: str) -> None:
    answer = await ask("POST", "upload", {"script": "true", "scriptname": "a.sh", "data": data})
    assert answer.code == 400
    assert "data" in json.loads(answer.body)["message"]


async def test_full_disk_in_a_container_is_told(docker_engine_url: str) -> None:
    import docker

    client = docker.APIClient(base_url=docker_engine_url)
    volume = client.create_volume(driver_opts={"type": "tmpfs", "device": "tmpfs", "o": "size=1m"})[
        "Name"
    ]
    config = client.create_host_config(binds={volume: {"bind": "/data", "mode": "rw"}})
    container = client.create_container(
        "nds/shell:test", "true", host_config=config, volumes=["/data"], labels={"nds.job": "0"}
    )["Id"]
    engine = DockerEngine(docker_engine_url)

    async def archive() -> Any:
        import tarfile

        info = tarfile.TarInfo("data/big")
        info.size = 64 * 2**20
        yield info.tobuf()
        for _ in range(64):
            yield bytes(2**20)
        yield bytes(1024)

    try:
        with pytest.raises(EngineError, match="disk is full"):
            await engine.put_archive(container, "/", archive())
    finally:
        await engine.close()
        client.remove_container(container, force=True)
        client.remove_volume(volume)
        client.close()


async def test_error_of_the_source_breaks_the_upload_off(docker_engine_url: str) -> None:
    engine = DockerEngine(docker_engine_url)
    spec = ContainerSpec(
        name=f"nds-test-{os.urandom(4).hex()}",
        image="nds/shell:test",
        command=("true",),
        env={},
        labels={"nds.job": "0"},
        limits=Limits(cpus=1, memory=2**26, pids=64),
        network=Network.NONE,
    )
    container = await engine.create(spec)

    async def broken() -> Any:
        yield bytes(2**20)
        raise EOFError("the source ended")

    try:
        with pytest.raises(EOFError):
            await engine.put_archive(container, "/", broken())
        assert not await engine.path_exists(container, "/data/x")
    finally:
        await engine.remove(container)
        await engine.close()
