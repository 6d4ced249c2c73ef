"""A log that is followed, given to its very end.

Docker may close a followed log before it has given all of it. Version 20.10 left out a last line
without a line end for 18 of 24 containers; of 24 that wrote 30,000 short lines and a long one at
once, on a busy machine, it closed two logs after 16,729 and 27,705 lines. So the end is read once
more, and what is missing given on.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from datetime import timedelta

import msgspec

from nds_jupyter.engines.base import Engine, LogChunk, LogRequest, LogStream
from nds_jupyter.errors import NdsError
from nds_jupyter.log_places import Place, beginning, messages, moment

LAST_MESSAGES = 4
"""Messages that are read again in order to see whether all was given."""

TICK = timedelta(microseconds=1)
"""What an engine is told times by."""


async def whole_log(
    engine: Engine, container_id: str, request: LogRequest
) -> AsyncGenerator[LogChunk, None]:
    """Read a log; one that is followed to the container's end is given whole."""
    if request.follow:
        request = await _from_a_time(engine, container_id, request)
    place = beginning(request)
    async with contextlib.aclosing(engine.logs(container_id, request)) as chunks:
        async for chunk in chunks:
            if request.follow:
                place.add(chunk)
            yield chunk
    if not request.follow:
        return
    with contextlib.suppress(NdsError):
        async with contextlib.aclosing(_rest(engine, container_id, request, place)) as chunks:
            async for chunk in chunks:
                yield chunk


async def _rest(
    engine: Engine, container_id: str, request: LogRequest, place: Place
) -> AsyncGenerator[LogChunk, None]:
    """Read what comes after a place in the log of a container that has ended."""
    ended = msgspec.structs.replace(request, follow=False)
    if place.is_known_by_the_end:
        last = msgspec.structs.replace(ended, tail=LAST_MESSAGES)
        async with contextlib.aclosing(engine.logs(container_id, last)) as chunks:
            if place.is_past([chunk async for chunk in chunks]):
                return
    asked, rest = place.again(ended)
    async with contextlib.aclosing(engine.logs(container_id, asked)) as chunks:
        async for chunk in chunks:
            if (new := rest.of(chunk)) is not None:
                yield new


async def _from_a_time(engine: Engine, container_id: str, request: LogRequest) -> LogRequest:
    """Return a request that begins at the same place whenever it is made.

    Messages with times are told apart by them, as long as there is one. An engine counts the last
    messages over both streams, whichever is wanted of them.
    """
    if request.tail is None or (request.timestamps and request.tail > 0):
        return request
    looked_at = msgspec.structs.replace(
        request,
        follow=False,
        timestamps=True,
        tail=max(1, request.tail),
        stream=LogStream.BOTH,
    )
    async with contextlib.aclosing(engine.logs(container_id, looked_at)) as chunks:
        async for chunk in chunks:
            for time, _ in messages(chunk.data):
                since = moment(time) + (TICK if request.tail == 0 else timedelta(0))
                return msgspec.structs.replace(request, tail=None, since=since)
    return msgspec.structs.replace(request, tail=None)
