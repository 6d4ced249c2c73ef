"""Open pages: what each is told, and what none is."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from nds_jupyter.engines.base import Sample
from nds_jupyter.errors import TooBusy
from nds_jupyter.jobs.job import Phase
from nds_jupyter.live import Broadcaster, broadcaster
from nds_jupyter.live.event_buffer import BUFFER_SIZE
from tests.live.conftest import JOB, Open
from tests.live.written import Reader, WrittenLog, a_job


async def test_page_sees_its_owner_s_jobs_only(open_page: Open, pages: Broadcaster) -> None:
    ada, eve = await open_page("ada"), await open_page("eve")
    pages.job_changed(a_job(owner="ada"))
    pages.job_changed(a_job("f" * 16, owner="eve"))
    pages.job_deleted(a_job(owner="ada"))
    await ada.until(lambda m: m.get("deleted"))
    await eve.until(lambda m: m["type"] == "job")
    assert {m["job_id"] for m in ada.told if m["type"] == "job"} == {JOB}
    assert {m["job_id"] for m in eve.told if m["type"] == "job"} == {"f" * 16}


async def test_job_of_another_is_not_followed(
    open_page: Open, pages: Broadcaster, written: WrittenLog
) -> None:
    eve = await open_page("eve")
    await pages.hear(eve.page, f'{{"follow": [{{"job_id": "{JOB}"}}]}}')
    told = await eve.until(lambda m: m["type"] == "error")
    assert (told["job_id"], told["code"]) == (JOB, "job_not_found")
    assert not written.requests


async def test_positions_go_on_in_one_epoch_and_are_lost_in_another(
    open_page: Open, pages: Broadcaster
) -> None:
    page = await open_page()
    pages.job_changed(a_job(phase=Phase.STAGING))
    seen = await page.until(lambda m: m["type"] == "job")
    pages.job_changed(a_job(phase=Phase.RUNNING))
    await pages.leave(page.page)
    pages.job_changed(a_job(phase=Phase.COLLECTING))
    back = await open_page(since=seen["seq"])
    assert back.told[0]["type"] == "hello"
    for phase in (Phase.RUNNING, Phase.COLLECTING):
        assert (await back.until(lambda m: m["type"] == "job"))["job"]["phase"] == phase
    restarted = Broadcaster(pages._find_job, pages._read_log, pages._load_of, pages._log)
    after = Reader(restarted.open("ada", seen["seq"]))
    assert (await after.next())["type"] == "reset"
    await restarted.leave(after.page)
    await restarted.close()


async def test_page_that_sleeps_too_long_is_reset_in_the_midst(
    open_page: Open, pages: Broadcaster
) -> None:
    page = await open_page()
    for number in range(BUFFER_SIZE + 1):
        pages.job_changed(a_job(message=str(number)))
    await page.until(lambda m: m["type"] == "reset")
    pages.job_changed(a_job(message="new"))
    assert (await page.until(lambda m: m["type"] == "job"))["job"]["message"] == "new"


async def test_page_gets_the_newest_sample_of_what_it_follows(
    open_page: Open, pages: Broadcaster
) -> None:
    watcher, other = await open_page(log=False, metrics=True), await open_page(log=False)
    for number in range(100):
        sample = Sample(
            at=datetime.now(UTC),
            cpu_percent=number,
            memory_usage=0,
            memory_limit=0,
            network_rx=0,
            network_tx=0,
            block_read=0,
            block_write=0,
            pids=1,
        )
        pages.job_sampled(JOB, sample)
    told = await watcher.until(lambda m: m["type"] == "metric")
    assert told["sample"]["cpu_percent"] == 99
    pages.job_changed(a_job())
    for page in (watcher, other):
        await page.until(lambda m: m["type"] == "job")
    assert len([m for m in watcher.told if m["type"] == "metric"]) == 1
    assert not [m for m in other.told if m["type"] == "metric"]


async def test_load_is_told_once_while_it_is_the_same(open_page: Open, pages: Broadcaster) -> None:
    page = await open_page()
    assert (await page.until(lambda m: m["type"] == "load"))["places"] == 1
    page.page.loaded(await pages._load_of("ada"))
    pages.job_changed(a_job())
    await page.until(lambda m: m["type"] == "job")
    assert len([m for m in page.told if m["type"] == "load"]) == 1


async def test_too_many_follows_change_nothing(
    open_page: Open, pages: Broadcaster, written: WrittenLog
) -> None:
    page = await open_page(log_tail=5)
    many = ", ".join(f'{{"job_id": "{JOB}"}}' for _ in range(33))
    await pages.hear(page.page, f'{{"follow": [{many}]}}')
    told = await page.until(lambda m: m["type"] == "error")
    assert told["code"] == "invalid_request"
    written.write("still followed")
    await page.until(lambda m: m["type"] == "log")


async def test_pages_are_counted(pages: Broadcaster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcaster, "MOST_SUBSCRIBERS", 2)
    opened = [pages.open("ada", None) for _ in range(2)]
    with pytest.raises(TooBusy):
        pages.refuse_if_full()
    await pages.leave(opened[0])
    pages.refuse_if_full()


async def test_owners_that_are_long_gone_are_forgotten(
    pages: Broadcaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcaster, "IDLE_BUFFERS", 2)
    for number in range(5):
        await pages.leave(pages.open(f"owner-{number}", None))
    assert list(pages._feeds) == ["owner-3", "owner-4"]
