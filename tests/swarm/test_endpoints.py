"""Endpoints by ssh and by Docker contexts, and what is said of those that lead nowhere."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from dev.certificates import make_certificates
from dev.debian import find_program
from dev.swarm import Swarm
from nds_jupyter.engines.base import LogRequest
from nds_jupyter.engines.cluster import NodeReport
from nds_jupyter.engines.swarm.engine import SwarmEngine, SwarmSettings
from nds_jupyter.jobs.job import JobState, Reason
from tests.swarm.conftest import OpenHarness, wait_for
from tests.swarm.ssh import SshAccount, SshServer, make_key

pytestmark = pytest.mark.swarm

TWO = ("node.hostname==node2",)
WELL = [("node1", True), ("node2", True), ("node3", True)]


@pytest.fixture(scope="module")
def ssh_servers(
    swarm_cluster: Swarm, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[SshServer, ...]]:
    """Give an `sshd` on each node."""
    folder = tmp_path_factory.mktemp("sshd")
    key = make_key(folder / "account")
    servers = tuple(
        SshServer(node, folder, key.with_suffix(".pub")) for node in swarm_cluster.nodes
    )
    with ExitStack() as stack:
        for server in servers:
            stack.enter_context(server.running())
        yield servers


@pytest.fixture
def account(
    ssh_servers: tuple[SshServer, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SshAccount:
    """Give an account that every node lets in."""
    made = SshAccount(tmp_path / "ssh", ssh_servers[0].host_key.parent / "account")
    made.known_hosts.write_text("".join(each.known_as(each.host_key) for each in ssh_servers))
    monkeypatch.setenv("PATH", made.path)
    return made


@pytest.fixture
def docker_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder for Docker's configuration; there is no `config.json` in it."""
    folder = tmp_path / "docker"
    folder.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    return folder


def make_context(name: str, host: str, certificates: Path | None) -> None:
    files = "" if certificates is None else tls_options(certificates)
    command = [find_program("docker") or "docker", "context", "create", name]
    subprocess.run(
        [*command, "--docker", f"host={host}{files}"],
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ},
    )


def tls_options(folder: Path) -> str:
    return f",ca={folder}/ca.pem,cert={folder}/cert.pem,key={folder}/key.pem"


async def reports(settings: SwarmSettings, *endpoints: str) -> dict[str, NodeReport]:
    given = msgspec.structs.replace(settings, endpoints=endpoints, node_deadline=10.0)
    engine = SwarmEngine(None, given)
    try:
        return {report.name: report for report in await engine.nodes()}
    finally:
        await engine.close()


async def test_everything_about_a_job_goes_by_ssh(
    open_harness: OpenHarness,
    settings: SwarmSettings,
    ssh_servers: tuple[SshServer, ...],
    account: SshAccount,
) -> None:
    del account
    by_ssh = msgspec.structs.replace(
        settings, endpoints=tuple(each.url for each in ssh_servers), node_deadline=20.0
    )
    async with open_harness(by_ssh) as harness:
        found = await harness.engine.nodes()
        assert [(each.name, each.reachable) for each in found] == WELL
        script = "echo on; printf 123 >/results/number; sleep 600"
        job = await harness.wait_for_start(await harness.submit(script, constraints=TWO))
        assert (job.worker, job.container_id is not None) == ("node2", True)
        container = job.container_id or ""

        async def has_written() -> bool:
            return await harness.engine.path_exists(container, "/results/number")

        await wait_for(has_written, "the script's result")
        archive = b"".join([each async for each in harness.engine.archive(container, "/results")])
        with tarfile.open(fileobj=io.BytesIO(archive)) as results:
            member = results.extractfile("results/number")
            assert member is not None
            assert member.read() == b"123"
        samples = harness.engine.stats(container)
        assert (await anext(samples)).pids >= 1
        await samples.aclose()
        follow = harness.engine.logs(container, LogRequest(follow=True))
        assert (await anext(follow)).data == b"on\n"
        ended = await harness.runner.stop(job, 0)
        assert [chunk async for chunk in follow] == []
        assert (ended.state, ended.reason) == (JobState.FAILED, Reason.STOPPED)


async def test_contexts_lead_to_nodes_by_tls_and_by_ssh(
    clean_swarm: Swarm,
    settings: SwarmSettings,
    ssh_servers: tuple[SshServer, ...],
    account: SshAccount,
    docker_config: Path,
) -> None:
    del account, docker_config
    tls = clean_swarm.nodes[1].tls_endpoint
    assert tls.certificates is not None
    make_context("second", tls.url, Path(tls.certificates))
    make_context("third", ssh_servers[2].url, None)
    found = await reports(settings, clean_swarm.endpoints[0], "second", "third")
    assert [(each.name, each.reachable) for each in found.values()] == WELL


async def test_a_context_may_be_made_after_the_server_has_started(
    clean_swarm: Swarm, settings: SwarmSettings, docker_config: Path
) -> None:
    engine = SwarmEngine(
        None,
        msgspec.structs.replace(settings, endpoints=(clean_swarm.endpoints[0], "late")),
    )
    try:
        names = {report.name: report.message for report in await engine.nodes()}
        assert f"no Docker context 'late' in {docker_config}" in names["late"]
        make_context("late", clean_swarm.endpoints[1], None)

        async def is_met() -> bool:
            return "late" not in {report.name for report in await engine.nodes()}

        await wait_for(is_met, "the node of the context")
    finally:
        await engine.close()


async def test_refused_key_is_reported(
    clean_swarm: Swarm,
    settings: SwarmSettings,
    ssh_servers: tuple[SshServer, ...],
    account: SshAccount,
    tmp_path: Path,
) -> None:
    account.take_key(make_key(tmp_path / "stranger"))
    found = await reports(settings, clean_swarm.endpoints[0], ssh_servers[1].url)
    report = found[ssh_servers[1].url]
    assert (report.reachable, "accepts none of the server account's keys" in report.message) == (
        False,
        True,
    ), report.message
    assert "has no endpoint that answers" in found["node2"].message


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ("other", "shows another host key than known_hosts has"),
        ("none", "known_hosts has no key of it"),
    ],
)
async def test_host_key_that_is_not_the_known_one_is_reported(
    clean_swarm: Swarm,
    settings: SwarmSettings,
    ssh_servers: tuple[SshServer, ...],
    account: SshAccount,
    known: str,
    said: str,
) -> None:
    second, third = ssh_servers[1:]
    account.known_hosts.write_text(second.known_as(third.host_key) if known == "other" else "")
    found = await reports(settings, clean_swarm.endpoints[0], second.url)
    assert said in found[second.url].message


async def test_wrong_ports_are_reported(
    clean_swarm: Swarm, settings: SwarmSettings, account: SshAccount
) -> None:
    del account
    address = clean_swarm.nodes[1].address
    by_ssh, by_tcp = f"ssh://root@{address}:9", f"tcp://{address}:9"
    found = await reports(settings, clean_swarm.endpoints[0], by_ssh, by_tcp)
    assert "port 9: Connection refused" in found[by_ssh].message
    assert "nothing listens there" in found[by_tcp].message


async def test_tls_that_does_not_fit_is_reported(
    clean_swarm: Swarm, settings: SwarmSettings, docker_config: Path, tmp_path: Path
) -> None:
    del docker_config
    node = clean_swarm.nodes[1]
    _, stranger = make_certificates(tmp_path / "tls", [node.address])
    theirs = Path(node.tls_endpoint.certificates or "")
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for folder, names in ((stranger, ("cert.pem", "key.pem")), (theirs, ("ca.pem",))):
        for name in names:
            (mixed / name).write_bytes((folder / name).read_bytes())
    make_context("distrusts", node.tls_endpoint.url, stranger)
    make_context("distrusted", node.tls_endpoint.url, mixed)
    make_context("plain", node.tls_endpoint.url, None)
    found = await reports(settings, clean_swarm.endpoints[0], "distrusts", "distrusted", "plain")
    assert "its certificate is not good for this address" in found["distrusts"].message
    assert "whether it accepts the authority of cert.pem" in found["distrusted"].message
    assert not found["plain"].reachable


async def test_every_endpoint_is_named_where_no_manager_answers(
    settings: SwarmSettings, clean_swarm: Swarm
) -> None:
    found = await reports(settings, "unix:///nowhere/docker.sock", clean_swarm.endpoints[1])
    assert "its socket is not there" in found["unix:///nowhere/docker.sock"].message
    assert found["node2"].message == "node2 answers, but no manager of the Swarm does."
