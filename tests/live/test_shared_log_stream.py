"""Followed logs: one stream however many pages, no line lost or twice, memory bounded."""

from __future__ import annotations

import asyncio

import pytest

from nds_jupyter.errors import EngineError, EngineUnavailable, JobNotFound, TooBusy
from nds_jupyter.live import Broadcaster, shared_log_stream
from nds_jupyter.live.shared_log_stream import BUFFERED_BYTES, BUFFERED_LINES
from nds_jupyter.live.websocket_messages import FollowRequest
from tests.live.conftest import JOB, Subscribe
from tests.live.written import WrittenLog, time_of
from tests.waiting import until


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_log_stream, "FIRST_RETRY_DELAY", 0.1)


async def wait_until_read(written: WrittenLog) -> None:
    """Wait until the log is read, so that what is written next is news and not the past."""
    await until(lambda: written.open, "the log is read")


def texts(start: int, stop: int) -> list[str]:
    return [str(number) for number in range(start, stop)]


async def test_every_page_gets_every_line_by_one_stream(
    subscribe: Subscribe, written: WrittenLog
) -> None:
    readers = [await subscribe(log_tail=10) for _ in range(5)]
    await wait_until_read(written)
    ends = [asyncio.ensure_future(reader.end()) for reader in readers]
    for start in range(0, 20_000, 5000):
        written.write(*texts(start, start + 5000))
        await asyncio.sleep(0)
    written.end()
    for end in ends:
        assert await end == texts(0, 20_000)
    assert len(written.requests) == 1
    assert all(m["skipped"] == 0 for reader in readers for m in reader.logs)


async def test_stalled_page_skips_and_costs_the_others_nothing(
    subscribe: Subscribe, written: WrittenLog, broadcaster: Broadcaster
) -> None:
    stalled, quick = await subscribe(log_tail=10), await subscribe(log_tail=10)
    await wait_until_read(written)
    written.write("first")
    assert (await stalled.until(lambda m: m["type"] == "log"))["lines"][0]["text"] == "first"
    written.write(*texts(0, 50_000))
    written.end()
    assert await quick.end() == ["first", *texts(0, 50_000)]
    buffer = broadcaster._log_streams[JOB].buffer
    assert buffer.end - buffer.start <= BUFFERED_LINES
    got = (await stalled.end())[1:]
    gaps = [message for message in stalled.logs if message["skipped"]]
    assert [gap["refetch_since"] for gap in gaps] == [time_of(0)]
    assert gaps[0]["skipped"] + len(got) == 50_000
    assert got == texts(50_000 - len(got), 50_000)


async def test_one_page_alone_is_waited_for_and_misses_nothing(
    subscribe: Subscribe, written: WrittenLog
) -> None:
    reader = await subscribe(log_tail=10)
    await wait_until_read(written)
    written.write(*["x" * 50_000 for _ in range(200)])
    written.end()
    assert sum(map(len, await reader.end())) == 10_000_000 > BUFFERED_BYTES
    assert all(message["skipped"] == 0 for message in reader.logs)


@pytest.mark.parametrize("error", [EngineUnavailable("It is away."), TooBusy("It is full.")])
async def test_log_that_breaks_off_goes_on_without_loss_or_repetition(
    subscribe: Subscribe, written: WrittenLog, error: EngineUnavailable
) -> None:
    reader = await subscribe(log_tail=100)
    written.write(*texts(0, 15))
    await reader.until(lambda m: m["type"] == "log")
    written.break_off(error)
    told = await reader.until(lambda m: m["type"] == "error")
    assert (told["job_id"], told["message"]) == (JOB, error.message)
    written.write(*texts(15, 33))
    written.end()
    assert await reader.end() == texts(0, 33)
    assert len(written.requests) == 2


async def test_log_that_can_not_be_read_is_reported_and_ends(
    subscribe: Subscribe, written: WrittenLog
) -> None:
    written.break_off(EngineError("It is gone."))
    reader = await subscribe(log_tail=1)
    await reader.end()
    assert [m["message"] for m in reader.received if m["type"] == "error"] == ["It is gone."]


async def test_log_of_a_deleted_job_just_ends(subscribe: Subscribe, written: WrittenLog) -> None:
    reader = await subscribe(log_tail=1)
    written.break_off(JobNotFound("It is deleted."))
    assert await reader.end() == []
    assert not [m for m in reader.received if m["type"] == "error"]


async def test_page_that_comes_back_goes_on_after_its_last_line(
    subscribe: Subscribe, written: WrittenLog
) -> None:
    stayed = await subscribe(log_tail=100)
    written.write(*texts(0, 25))
    await stayed.until(lambda m: m["type"] == "log")
    back = await subscribe(log_since=time_of(12))
    ahead = await subscribe(log_since=time_of(24))
    written.write(*texts(25, 40))
    written.end()
    assert await back.end() == texts(13, 40)
    assert await ahead.end() == texts(25, 40)
    assert all(m["refetch_since"] is None for m in back.logs + ahead.logs)
    assert len(written.requests) == 1


async def test_page_that_comes_back_after_one_that_knows_more_misses_nothing(
    subscribe: Subscribe, written: WrittenLog
) -> None:
    written.write(*texts(0, 100))
    ahead = await subscribe(log_since=time_of(90))
    await ahead.until(lambda m: m["type"] == "log")
    back = await subscribe(log_since=time_of(50))
    await back.until(lambda m: m["type"] == "log")
    written.write(*texts(100, 110))
    written.end()
    assert await back.end() == texts(51, 110)
    assert await ahead.end() == texts(91, 110)
    assert all(m["refetch_since"] is None for m in back.logs + ahead.logs)
    assert (len(written.requests), written.most_open) == (2, 1)


async def test_gap_before_the_first_line_is_reported(
    subscribe: Subscribe, written: WrittenLog
) -> None:
    written.write(*texts(0, 100))
    short = await subscribe(log_tail=10)
    await short.until(lambda m: m["type"] == "log")
    back = await subscribe(log_since=time_of(50))
    written.end()
    assert await back.end() == texts(90, 100)
    assert (back.logs[0]["skipped"], back.logs[0]["refetch_since"]) == (None, time_of(50))


async def test_page_that_wants_more_of_the_past_gets_it(
    subscribe: Subscribe, written: WrittenLog
) -> None:
    written.write(*texts(0, 1000))
    back = await subscribe(log_since=time_of(995))
    await back.until(lambda m: m["type"] == "log")
    new = await subscribe(log_tail=500)
    await new.until(lambda m: m["type"] == "log")
    written.write(*texts(1000, 1010))
    written.end()
    assert await new.end() == texts(500, 1010)
    assert await back.end() == texts(996, 1010)
    assert (len(written.requests), written.most_open) == (2, 1)


async def test_stream_ends_with_the_last_page(
    subscribe: Subscribe, written: WrittenLog, broadcaster: Broadcaster
) -> None:
    one, other = await subscribe(log_tail=1), await subscribe(log_tail=1)
    await wait_until_read(written)
    await broadcaster.unsubscribe(one.subscriber)
    assert written.open == 1
    await broadcaster.follow(other.subscriber, FollowRequest(follow=()))
    assert written.open == 0
    assert not broadcaster._log_streams
