"""Permanent failures of transfers, told from transient ones."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Iterator

from nds_jupyter.errors import DeadlineExceeded, EngineUnavailable, NdsError, NotReady


class TransferFailed(NdsError):
    """Inputs can't be brought, or results not delivered; the message names the path."""

    code = "transfer_failed"
    reason = "transfer failed"


@contextlib.contextmanager
def of_the_data() -> Iterator[None]:
    """Turn errors into `TransferFailed`, but for an engine that does not answer: it may be back."""
    try:
        yield
    except (EngineUnavailable, NotReady, TransferFailed):
        raise
    except NdsError as exc:
        raise TransferFailed(exc.message) from exc


async def of_the_engine(chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Pass a stream of the engine on; its deadlines are not those of the data root."""
    try:
        async with contextlib.aclosing(chunks):
            async for chunk in chunks:
                yield chunk
    except DeadlineExceeded as exc:
        raise EngineUnavailable(exc.message) from exc
