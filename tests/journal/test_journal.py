"""The durable record of jobs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nds_jupyter.errors import StorageFull
from nds_jupyter.jobs.job import Job, JobSpec, JobState, Limits, Reason
from nds_jupyter.jobs.state_machine import (
    ContainerReady,
    ContainerVanished,
    JobAborted,
    OutputsDelivered,
    ScriptExited,
    ScriptStarted,
    StagingStarted,
    StopRequested,
    advance,
)
from nds_jupyter.journal import Journal
from nds_jupyter.journal.journal import JobFilter, JournalThread

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
SPEC = JobSpec(
    scriptname="cell.py",
    script_sha256="0" * 64,
    script_shebang=False,
    image="nds/python:3.11",
    limits=Limits(cpus=1, memory=2**30, pids=10),
    name="näme",
    env={"A": "ü"},
)


def a_job(number: int = 1, owner: str = "ada", **fields: object) -> Job:
    created = NOW + timedelta(seconds=number)
    return Job(job_id=f"{number:016x}", owner=owner, spec=SPEC, created=created, **fields)


def finished(job: Job, at: datetime = NOW) -> Job:
    for event in (
        StagingStarted(image_digest="sha256:1"),
        ContainerReady(container_id=f"{job.job_id}cafe", worker="node"),
        ScriptStarted(at=at),
        ScriptExited(exit_code=0, oom=False, at=at),
        OutputsDelivered(at=at),
    ):
        job = advance(job, event)
    return job


EVENTS = st.sampled_from(
    [
        StagingStarted(image_digest="sha256:1"),
        ContainerReady(container_id="cafe", worker="node"),
        ScriptStarted(at=NOW),
        ScriptExited(exit_code=3, oom=False, at=NOW),
        OutputsDelivered(at=NOW),
        StopRequested(intent=Reason.STOPPED, at=NOW),
        JobAborted(reason=Reason.ENGINE, message="It broke.", at=NOW),
        ContainerVanished(at=NOW),
    ]
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(EVENTS, st.booleans()), max_size=8))
def test_journal_gives_back_the_same_job_after_a_restart_at_any_point(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[object, bool]]
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    journal = Journal.open(folder)
    job = journal.add(a_job(), b"#!\0\xff")
    for event, restart in steps:
        job = advance(job, event)
        journal.save(job)
        if restart:
            journal.close()
            journal = Journal.open(folder)
        assert journal.job(job.job_id) == job
    assert journal.script(job.job_id) == b"#!\0\xff"
    assert [each.job_id for each in journal.unfinished()] == [job.job_id] * (not job.is_finished)
    journal.close()


def test_second_server_takes_a_journal_of_its_own(tmp_path: Path) -> None:
    first, second = Journal.open(tmp_path), Journal.open(tmp_path)
    first.add(a_job(), b"x")
    assert second.job(a_job().job_id) is None
    assert first.server_id != second.server_id
    known = first.server_id
    first.close()
    again = Journal.open(tmp_path)
    assert again.server_id == known
    assert again.job(a_job().job_id) == a_job()
    again.close()
    second.close()


def test_committed_job_survives_kill(tmp_path: Path) -> None:
    program = (
        "import os, sys, pathlib; sys.path.insert(0, '.')\n"
        "from tests.journal.test_journal import Journal, a_job\n"
        "journal = Journal.open(pathlib.Path(sys.argv[1])); journal.add(a_job(), b'x')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert ended.returncode == -9
    journal = Journal.open(tmp_path)
    assert journal.job(a_job().job_id) == a_job()
    journal.close()


def test_journal_is_readable_by_its_user_only(tmp_path: Path) -> None:
    Journal.open(tmp_path / "nds").close()
    assert (tmp_path / "nds").stat().st_mode & 0o077 == 0
    assert (tmp_path / "nds" / "journal-0.sqlite").stat().st_mode & 0o077 == 0


@pytest.fixture
def journal(tmp_path: Path):
    journal = Journal.open(tmp_path)
    yield journal
    journal.close()


def test_idempotency_key_is_the_owners_and_lasts_a_day(journal: Journal) -> None:
    first = journal.add(a_job(1), b"x", "key")
    assert journal.add(a_job(2), b"x", "key") == first
    assert journal.add(a_job(3, owner="bob"), b"x", "key").job_id == a_job(3).job_id
    late = msgspec.structs.replace(a_job(4), created=first.created + timedelta(days=1, seconds=1))
    assert journal.add(late, b"x", "key") == late


def test_pages_walk_all_jobs_once_newest_first(journal: Journal) -> None:
    for number in range(7):
        journal.add(a_job(number), b"x")
    seen: list[str] = []
    before = None
    while True:
        page = journal.page("ada", JobFilter(limit=3, before=before))
        seen += [job.job_id for job in page.jobs]
        before = page.next
        if before is None:
            break
    assert seen == [a_job(number).job_id for number in reversed(range(7))]
    assert journal.page("bob", JobFilter()).jobs == ()


def test_filters(journal: Journal) -> None:
    journal.add(a_job(1), b"x")
    journal.save(finished(journal.add(a_job(2), b"x")))
    ids = lambda **wanted: [job.job_id[-1] for job in journal.page("ada", JobFilter(**wanted)).jobs]  # noqa: E731
    assert ids(state=JobState.RUNNING) == ["1"]
    assert ids(state=JobState.COMPLETED) == ["2"]
    assert ids(name="NÄM".lower()) == ["2", "1"]
    assert ids(name="other") == []
    assert ids(image="python") == ["2", "1"]
    assert ids(since=NOW + timedelta(seconds=2)) == ["2"]


def test_retention_selects_the_oldest_finished_only(journal: Journal) -> None:
    journal.add(a_job(0), b"x")
    for number in (1, 2, 3):
        journal.save(finished(journal.add(a_job(number), b"x"), NOW + timedelta(hours=number)))
    due = lambda newest, before: [  # noqa: E731
        job.job_id[-1] for job in journal.with_containers_to_remove(newest, before)
    ]
    assert due(2, NOW) == ["1"]
    assert due(10, NOW + timedelta(hours=2, minutes=30)) == ["1", "2"]
    assert due(0, NOW) == ["1", "2", "3"]


def test_deleted_job_is_removed_but_remembered_as_deleted(journal: Journal) -> None:
    job = journal.add(a_job(), b"x", "key")
    journal.save_snapshot(job.job_id, "log", b"y")
    journal.delete(job)
    assert journal.job(job.job_id) is None
    assert journal.snapshot(job.job_id, "log") is None
    assert journal.was_deleted("ada", job.job_id)
    assert not journal.was_deleted("bob", job.job_id)


def test_full_disk_is_an_error_and_leaves_nothing_half_written(journal: Journal) -> None:
    journal.add(a_job(1), b"x")
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageFull, match="Free space"):
        journal.add(a_job(2), b"x" * 100_000)
    assert journal.job(a_job(2).job_id) is None
    journal._db.execute("PRAGMA max_page_count = 1000000")
    journal.add(a_job(2), b"x" * 100_000)


def test_thread_keeps_the_order_of_calls(tmp_path: Path) -> None:
    async def write() -> Job | None:
        thread = JournalThread(Journal.open(tmp_path))
        job = await thread.call(Journal.add, a_job(), b"x")
        states = [job, advance(job, StagingStarted(image_digest="1")), finished(job)]
        await asyncio.gather(*(thread.call(Journal.save, state) for state in states))
        found = await thread.call(Journal.job, job.job_id)
        thread.close()
        return found

    assert asyncio.run(write()) == finished(a_job())
