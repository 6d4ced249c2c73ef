"""Jobs over data, through a real Jupyter server, on a real Docker Engine; a folder or a zone."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from tornado.httpclient import HTTPResponse

from nds_jupyter.engines.base import ContainerSpec
from nds_jupyter.engines.docker import DockerEngine
from nds_jupyter.errors import EngineError
from nds_jupyter.jobs import Limits, Network
from tests.irods_zone.codes import Api
from tests.irods_zone.fixtures import AnyZone
from tests.irods_zone.zone import Zone

pytestmark = [
    pytest.mark.engine,
    # The iRODS client leaves the sockets of broken connections to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]

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


WRONG = "not the password"


class Root:
    """A data root as its owner reaches it, beside the server.

    Parameters
    ----------
    url
        What `c.NdsApp.data_root` says.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.fs, self.base = fsspec.core.url_to_fs(url, skip_instance_cache=True)

    def put(self, path: str, content: bytes) -> None:
        self.fs.makedirs(f"{self.base}{path}".rpartition("/")[0], exist_ok=True)
        self.fs.pipe_file(f"{self.base}{path}", content)

    def get(self, path: str) -> bytes:
        return bytes(self.fs.cat_file(f"{self.base}{path}"))

    def names(self, path: str) -> set[str]:
        below = self.fs.ls(f"{self.base}{path}", detail=False)
        return {each.rpartition("/")[2] for each in below}


@pytest.fixture(params=["folder", "irods"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Root]:
    """Give a folder or a zone; where a test asks, a zone that fails or knows another password."""
    if request.param == "folder":
        (tmp_path / "stored").mkdir()
        yield Root(str(tmp_path / "stored"))
    elif request.param == "irods":
        zone: AnyZone = request.getfixturevalue("irods_zone")
        yield from zone_root(zone, request.getfixturevalue("irods_home"), zone.password(), request)
    else:
        faulty: Zone = request.getfixturevalue("faulty_zone")
        password = faulty.password() if request.param == "faulty" else WRONG
        yield from zone_root(faulty, faulty.home(), password, request)


def zone_root(
    zone: AnyZone, collection: str, password: str, request: pytest.FixtureRequest
) -> Iterator[Root]:
    """Configure a zone as its users do, by one environment file."""
    monkeypatch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
    file = request.getfixturevalue("tmp_path") / "irods_environment.json"
    file.write_text(json.dumps(zone.environment()))
    monkeypatch.setenv("IRODS_ENVIRONMENT_FILE", str(file))
    monkeypatch.setenv("IRODS_PASSWORD", password)
    made = Root(f"irods://{collection}")
    yield made
    made.fs.close()


@pytest.fixture
def jp_server_config(docker_engine_url: str, tmp_path: Path, root: Root) -> dict[str, Any]:
    return {
        "ServerApp": {"jpserver_extensions": {"nds_jupyter": True}},
        "NdsApp": {
            "engine_url": docker_engine_url,
            "default_image": "nds/shell:test",
            "journal_dir": str(tmp_path / "journal"),
            "data_root": root.url,
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


async def log_of(ask: Ask, job: dict[str, Any]) -> str:
    return str(json.loads((await ask("GET", "stdout", job_id=job["job_id"])).body)["stdout"])


async def test_job_over_awkward_names_and_back(ask: Ask, root: Root) -> None:
    for name in AWKWARD:
        root.put(f"/in/deep/{name}", f"<{name}>".encode())
    script = "cp -r /data/in/deep /results/copy; ln -s copy /results/link; ls -ld /data/in/deep"
    job = await ended(ask, script, data=["/in"], output="/out")
    assert (job["state"], job["data"]) == ("COMPLETED", ["/in"]), job
    assert "1 left out" in job["message"]
    assert root.names("/out") == {"copy"}
    assert root.names("/out/copy") == set(AWKWARD)
    for name in AWKWARD:
        assert root.get(f"/out/copy/{name}") == f"<{name}>".encode()
    assert (await log_of(ask, job)).startswith("drwxr-xr-x")
    diff = json.loads((await ask("GET", "diff", job_id=job["job_id"])).body)
    assert not [row for row in diff if row["path"].startswith("/data")]


async def test_results_say_where_they_come_from(ask: Ask, root: Root) -> None:
    root.put("/in/x", b"1")
    job = await ended(ask, "cp /data/x '/results/the copy'", data=["/in/x"], output="/out")
    assert job["state"] == "COMPLETED", job
    found = json.loads((await ask("GET", "metadata/out/the copy")).body)
    told = {avu["name"]: avu["value"] for avu in found}
    assert set(told) == {"nds.job", "nds.image_digest", "nds.script_sha256", "nds.input"}
    script = b"cp /data/x '/results/the copy'"
    assert told["nds.script_sha256"] == hashlib.sha256(script).hexdigest()
    assert (told["nds.job"], told["nds.input"]) == (job["job_id"], "/in/x")
    assert told["nds.image_digest"].startswith("sha256:")


async def test_large_input_and_result_keep_their_checksum(ask: Ask, root: Root) -> None:
    data = os.urandom(2**20) * 40
    root.put("/big", data)
    job = await ended(ask, "cp /in/big /results/; sha256sum /in/big", data="/big:/in/", output="/o")
    assert job["state"] == "COMPLETED", job
    digest = hashlib.sha256(data)
    assert (await log_of(ask, job)).split()[0] == digest.hexdigest()
    assert root.get("/o/big") == data
    if root.url.startswith("irods:"):
        registered = base64.b64encode(digest.digest()).decode()
        assert root.fs.info(f"{root.base}/o/big")["checksum"] == f"sha2:{registered}"


async def test_hard_link_is_delivered_as_a_copy(ask: Ask, root: Root) -> None:
    script = "echo 1 > /results/a; ln /results/a /results/b; mkdir /results/empty"
    job = await ended(ask, script, output="/o")
    assert job["state"] == "COMPLETED", job
    assert [root.get(f"/o/{name}") for name in "ab"] == [b"1\n", b"1\n"]
    assert root.names("/o") == {"a", "b", "empty"}
    assert root.names("/o/empty") == set()


@pytest.mark.parametrize("root", ["folder"], indirect=True)
async def test_forms_take_lines_of_data(ask: Ask, root: Root, jp_fetch: Any) -> None:
    root.put("/x", b"1")
    root.put("/y", b"2")
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
    assert await log_of(ask, job) == "12"


@pytest.mark.parametrize(
    ("fields", "reason", "named"),
    [
        ({"data": "/none"}, "data", "/none"),
        ({"output": "/full"}, "output", "/full"),
        ({"output": "/full/x/y"}, "output", "/full/x"),
    ],
)
async def test_what_can_not_be_fails_with_the_path(
    ask: Ask, root: Root, fields: dict[str, object], reason: str, named: str
) -> None:
    root.put("/full/x", b"1")
    job = await ended(ask, "echo 1 > /results/a", **fields)
    assert (job["state"], job["reason"]) == ("FAILED", reason), job
    assert named in job["message"]
    assert root.base not in job["message"]
    assert root.names("/full") == {"x"}


@pytest.mark.parametrize("root", ["password"], indirect=True)
async def test_wrong_password_fails_the_job_and_says_what_to_renew(ask: Ask) -> None:
    job = await ended(ask, "true", data="/x")
    assert (job["state"], job["reason"]) == ("FAILED", "data"), job
    assert "password" in job["message"]
    assert WRONG not in json.dumps(job)


@pytest.mark.parametrize("root", ["faulty"], indirect=True)
async def test_connection_that_drops_while_staging_is_taken_up(
    ask: Ask, root: Root, faulty_zone: Zone
) -> None:
    data = os.urandom(2**20) * 12
    root.put("/in/big", data)
    for number in range(20):
        root.put(f"/in/small-{number}", f"{number}\n".encode())
    faulty_zone.faults.drop_after(7 * 2**20)
    faulty_zone.faults.drop(Api.READ, nth=12)
    script = "sha256sum /data/in/big; cat /data/in/small-*"
    job = await ended(ask, script, data="/in")
    assert job["state"] == "COMPLETED", job
    digest, *rest = (await log_of(ask, job)).splitlines()
    assert digest.split()[0] == hashlib.sha256(data).hexdigest()
    assert sorted(rest, key=int) == [str(number) for number in range(20)]
    assert faulty_zone.faults.bytes_left is None


@pytest.mark.parametrize("root", ["folder"], indirect=True)
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
