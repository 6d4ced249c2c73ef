"""Diagnosis of the installation: each part checked, with a sentence and what to do."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import msgspec

from nds_jupyter._version import __version__
from nds_jupyter.client.client import Client
from nds_jupyter.client.display import Table
from nds_jupyter.errors import Forbidden, JobNotFound, NdsError
from nds_jupyter.jobs.byte_sizes import size_text
from nds_jupyter.rest import routes
from nds_jupyter.rest.views import HealthView, NodeHealth, PartHealth

MIN_FREE_SPACE = 2**30
"""Bytes that a disk should have free."""

MAX_CLOCK_DIFFERENCE = 30.0
"""Seconds by which two clocks may differ."""

UNKNOWN_JOB_ID = "0" * 16
"""An id that no job has."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Result of the check of one part.

    Parameters
    ----------
    fix
        What to do; empty where the part is in order.
    """

    part: str
    well: bool
    said: str
    fix: str = ""


class Diagnosis(Table):
    """Results of all checks; shows as a table."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        self.findings = findings
        columns = ("part", "", "found", "what to do")
        rows = [(each.part, "ok" if each.well else "!", each.said, each.fix) for each in findings]
        super().__init__(columns, rows)

    @property
    def well(self) -> bool:
        """Whether every check succeeded."""
        return all(each.well for each in self.findings)


def diagnose(make_client: Callable[[], Client]) -> Diagnosis:
    """Check everything between this process and a container.

    Parameters
    ----------
    make_client
        Connects to the server.
    """
    try:
        client = make_client()
    except NdsError as exc:
        return Diagnosis((_problem("server", str(exc), "Start it, or say where it is."),))
    return Diagnosis(tuple(_run_checks(client)))


def _problem(part: str, message: str, fix: str) -> Finding:
    return Finding(part=part, well=False, said=message, fix=fix)


def _success(part: str, message: str) -> Finding:
    return Finding(part=part, well=True, said=message)


def _run_checks(client: Client) -> Iterator[Finding]:
    address = client.address
    where = f"{address.url}, found by {address.how}"
    try:
        health, date = client.health_at()
    except NdsError as exc:
        message = str(exc) if address.url in str(exc) else f"{where}: {exc}"
        yield _problem("server", message, "Look at the URL and the token.")
        return
    yield _success("server", where)
    yield _check_version(health.version)
    yield _check_part("engine", health.engine, "Start Docker, or set c.NdsApp.engine_url.")
    yield _check_part("journal", health.journal, "Look at the disk of the server's data folder.")
    yield from (_check_node(each) for each in health.nodes)
    if health.catalogue is not None:
        yield _check_part(
            "data root", health.catalogue, "Look at c.NdsApp.data_root and its account."
        )
    yield from (_check_images(client, health), _check_permission(client), _check_clock(date))
    yield from (_check_local_disk(), _check_server_disk(health.disk_free))


def _check_version(server: str) -> Finding:
    if server == __version__:
        return _success("version", f"{server} here and on the server")
    return _problem(
        "version",
        f"{__version__} here, {server} on the server",
        "Install the same version in both environments.",
    )


def _check_part(name: str, health: PartHealth, fix: str) -> Finding:
    if health.reachable and not health.message:
        return _success(name, f"{health.version}, answers in {health.latency * 1000:.0f} ms")
    return _problem(name, health.message, fix)


def _check_node(node: NodeHealth) -> Finding:
    if node.reachable:
        return _success(f"node {node.name}", node.message or "answers")
    fix = "Start it, or look at c.NdsApp.endpoints; jobs go to other nodes meanwhile."
    return _problem(f"node {node.name}", node.message, fix)


def _check_images(client: Client, health: HealthView) -> Finding:
    if not health.engine.reachable:
        return _problem("images", "not known while the engine is away", "See engine.")
    try:
        images = client.images()
    except NdsError as exc:
        return _problem("images", str(exc), "See engine.")
    present = sum(each.present for each in images)
    if not present:
        return _problem("images", "none is there", "docker pull python:3.12-slim, for example.")
    return _success("images", f"{present} present, {len(images) - present} that a pull would bring")


def _check_permission(client: Client) -> Finding:
    """Stop a job that does not exist: who may do so is told that there is none."""
    try:
        client.call("POST", routes.STOP, {"job_id": UNKNOWN_JOB_ID})
    except JobNotFound:
        return _success("permission", "you may run and stop jobs")
    except Forbidden:
        return _problem("permission", "you may look, not run", "Ask for the right to write nds.")
    except NdsError as exc:
        return _problem("permission", str(exc), "Look at the token.")
    return _success("permission", "you may run and stop jobs")


def _check_clock(date: str | None) -> Finding:
    if not date:
        return _success("clock", "the server does not tell its time")
    difference = abs((datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds())
    if difference <= MAX_CLOCK_DIFFERENCE:
        return _success("clock", "agrees with the server's")
    return _problem(
        "clock", f"{difference:.0f} s apart from the server's", "Let NTP set both clocks."
    )


def _check_local_disk() -> Finding:
    try:
        folder = Path.cwd()
        free = shutil.disk_usage(folder).free
    except OSError as exc:
        return _problem("disk", f"the current folder can't be read: {exc.strerror}", "Change it.")
    message = f"{size_text(free)} free in {folder}"
    if free >= MIN_FREE_SPACE:
        return _success("disk", message)
    return _problem("disk", message, "Make room before you download results.")


def _check_server_disk(free: int | None) -> Finding:
    if free is None:
        return _problem("server's disk", "the server can't tell what is free", "Look at it there.")
    message = f"{size_text(free)} free where the server keeps the record of jobs"
    if free >= MIN_FREE_SPACE:
        return _success("server's disk", message)
    return _problem("server's disk", message, "Make room there, or no job can be accepted.")
