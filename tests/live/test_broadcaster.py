"""Broadcaster: which messages each subscriber gets, and which none does."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from nds_jupyter.engines.base import Sample
from nds_jupyter.errors import TooBusy
from nds_jupyter.jobs.job import Phase
from nds_jupyter.live import Broadcaster
from nds_jupyter.live.event_buffer import BUFFER_SIZE
from tests.live.conftest import JOB, Subscribe
from tests.live.written import Reader, WrittenLog, a_job


async def test_page_sees_its_owner_s_jobs_only(
    subscribe: Subscribe, broadcaster: Broadcaster
) -> None:
    ada, eve = await subscribe("ada"), await subscribe("eve")
    broadcaster.job_changed(a_job(owner="ada"))
    broadcaster.job_changed(a_job("f" * 16, owner="eve"))
    broadcaster.job_deleted(a_job(owner="ada"))
    await ada.until(lambda m: m.get("deleted"))
    await eve.until(lambda m: m["type"] == "job")
    assert {m["job_id"] for m in ada.received if m["type"] == "job"} == {JOB}
    assert {m["job_id"] for m in eve.received if m["type"] == "job"} == {"f" * 16}


async def test_job_of_another_is_not_followed(
    subscribe: Subscribe, broadcaster: Broadcaster, written: WrittenLog
) -> None:
    eve = await subscribe("eve")
    await broadcaster.handle_message(eve.subscriber, f'{{"follow": [{{"job_id": "{JOB}"}}]}}')
    told = await eve.until(lambda m: m["type"] == "error")
    assert (told["job_id"], told["code"]) == (JOB, "job_not_found")
    assert not written.requests


async def test_positions_go_on_in_one_epoch_and_are_lost_in_another(
    subscribe: Subscribe, broadcaster: Broadcaster
) -> None:
    page = await subscribe()
    broadcaster.job_changed(a_job(phase=Phase.STAGING))
    seen = await page.until(lambda m: m["type"] == "job")
    broadcaster.job_changed(a_job(phase=Phase.RUNNING))
    await broadcaster.unsubscribe(page.subscriber)
    broadcaster.job_changed(a_job(phase=Phase.COLLECTING))
    back = await subscribe(since=seen["seq"])
    assert back.received[0]["type"] == "hello"
    for phase in (Phase.RUNNING, Phase.COLLECTING):
        assert (await back.until(lambda m: m["type"] == "job"))["job"]["phase"] == phase
    restarted = Broadcaster(
        broadcaster._find_job, broadcaster._read_log, broadcaster._measure_load, broadcaster._log
    )
    after = Reader(restarted.subscribe("ada", seen["seq"]))
    assert (await after.next())["type"] == "reset"
    await restarted.unsubscribe(after.subscriber)
    await restarted.close()


async def test_page_that_sleeps_too_long_is_reset_in_the_midst(
    subscribe: Subscribe, broadcaster: Broadcaster
) -> None:
    page = await subscribe()
    for number in range(BUFFER_SIZE + 1):
        broadcaster.job_changed(a_job(message=str(number)))
    await page.until(lambda m: m["type"] == "reset")
    broadcaster.job_changed(a_job(message="new"))
    assert (await page.until(lambda m: m["type"] == "job"))["job"]["message"] == "new"


async def test_page_gets_the_newest_sample_of_what_it_follows(
    subscribe: Subscribe, broadcaster: Broadcaster
) -> None:
    watcher, other = await subscribe(log=False, metrics=True), await subscribe(log=False)
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
        broadcaster.job_sampled(JOB, sample)
    told = await watcher.until(lambda m: m["type"] == "metric")
    assert told["sample"]["cpu_percent"] == 99
    broadcaster.job_changed(a_job())
    for page in (watcher, other):
        await page.until(lambda m: m["type"] == "job")
    assert len([m for m in watcher.received if m["type"] == "metric"]) == 1
    assert not [m for m in other.received if m["type"] == "metric"]


async def test_load_is_sent_once_while_it_is_the_same(
    subscribe: Subscribe, broadcaster: Broadcaster
) -> None:
    page = await subscribe()
    assert (await page.until(lambda m: m["type"] == "load"))["places"] == 1
    page.subscriber.set_load(await broadcaster._measure_load("ada"))
    broadcaster.job_changed(a_job())
    await page.until(lambda m: m["type"] == "job")
    assert len([m for m in page.received if m["type"] == "load"]) == 1


async def test_too_many_follows_change_nothing(
    subscribe: Subscribe, broadcaster: Broadcaster, written: WrittenLog
) -> None:
    page = await subscribe(log_tail=5)
    many = ", ".join(f'{{"job_id": "{JOB}"}}' for _ in range(33))
    await broadcaster.handle_message(page.subscriber, f'{{"follow": [{many}]}}')
    told = await page.until(lambda m: m["type"] == "error")
    assert told["code"] == "invalid_request"
    written.write("still followed")
    await page.until(lambda m: m["type"] == "log")


async def test_subscribers_are_counted(
    broadcaster: Broadcaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nds_jupyter.live.broadcaster.MAX_SUBSCRIBERS", 2)
    opened = [broadcaster.subscribe("ada", None) for _ in range(2)]
    with pytest.raises(TooBusy):
        broadcaster.refuse_if_full()
    await broadcaster.unsubscribe(opened[0])
    broadcaster.refuse_if_full()


async def test_event_buffers_of_long_idle_owners_are_dropped(
    broadcaster: Broadcaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nds_jupyter.live.broadcaster.IDLE_BUFFERS", 2)
    for number in range(5):
        await broadcaster.unsubscribe(broadcaster.subscribe(f"owner-{number}", None))
    assert list(broadcaster._event_buffers) == ["owner-3", "owner-4"]
