"""Staging of inputs: streamed into the container as one tar archive, or downloaded on its node."""

from __future__ import annotations

import contextlib
import tarfile
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from pathlib import Path

import msgspec

from nds_jupyter.data.data_root import DataRoot
from nds_jupyter.data.input_plan import (
    InputPlan,
    PlannedEntry,
    expect_space,
    make_plan,
    read_entries,
)
from nds_jupyter.data.object_reader import changed_error
from nds_jupyter.data.stager_protocol import (
    CA_FILE,
    COMMAND,
    REQUEST_PATH,
    StagerRequest,
    parse_message,
)
from nds_jupyter.engines.base import MAX_CONFIG_BYTES, Engine
from nds_jupyter.engines.cluster import StagerSpec, SupportsStagers
from nds_jupyter.errors import (
    DataError,
    EngineError,
    EngineUnavailable,
    ImageNotFound,
    NdsError,
    NotReady,
)
from nds_jupyter.jobs.inputs import DATA_FOLDER
from nds_jupyter.jobs.job import Input, Limits, Progress
from nds_jupyter.jobs.logical_paths import is_inside

MIN_ARCHIVE_CHUNK = 2**20
"""Bytes that are buffered before they go to the engine; larger chunks are not copied."""

PROGRESS_INTERVAL = 0.2
"""Seconds between two reports of progress."""

STAGER_LIMITS = Limits(cpus=2.0, memory=2**30, pids=256)
"""What a stager may use; nothing is reserved for it, since its job's own share is idle."""

LOG_TAIL = 5
"""Lines of a stager's log in the sentence about one that failed without a message."""

ReportProgress = Callable[[Progress], Awaitable[object]]


class TransferFailed(NdsError):
    """Inputs can't be brought, or results not delivered; the message names the path."""

    code = "transfer_failed"
    reason = "transfer failed"


@contextlib.contextmanager
def transfer_errors() -> Iterator[None]:
    """Turn errors into `TransferFailed`, except of an unreachable engine, which may come back."""
    try:
        yield
    except (EngineUnavailable, NotReady, TransferFailed):
        raise
    except NdsError as exc:
        raise TransferFailed(exc.message) from exc


class InputStaging:
    """Copies inputs of jobs into their containers.

    Parameters
    ----------
    data_root
        Where they are.
    engine
        Where the containers are.
    max_entries
        Entries of one job at most.
    """

    def __init__(self, data_root: DataRoot, engine: Engine, max_entries: int) -> None:
        self._data_root = data_root
        self._engine = engine
        self._max_entries = max_entries

    async def stage(
        self,
        inputs: tuple[Input, ...],
        container_id: str,
        report: ReportProgress,
        node_staging: NodeStaging | None = None,
    ) -> None:
        """Plan, copy, and plan again: inputs that changed meanwhile are refused.

        Parameters
        ----------
        node_staging
            Downloads them on the container's node; None to stream them through this server.

        Raises
        ------
        TransferFailed
            What went wrong; its sentence names the path.
        EngineUnavailable, DeadlineExceeded, NotReady
            If the engine does not answer now.
        """
        with transfer_errors():
            plan = await make_plan(self._data_root, inputs, self._max_entries)
        if node_staging is not None:
            # The stager checks the free space of its own disk.
            await node_staging.stage(inputs, container_id, report)
        else:
            free = (await self._engine.info()).disk_free
            with transfer_errors():
                expect_space(plan, free)
            await self._send(plan, container_id, report)
        with transfer_errors():
            _expect_unchanged(plan, await make_plan(self._data_root, inputs, self._max_entries))

    async def _send(self, plan: InputPlan, container_id: str, report: ReportProgress) -> None:
        archive = _with_transfer_errors(archive_chunks(self._data_root, plan, report))
        try:
            async with contextlib.aclosing(archive):
                await self._engine.put_archive(container_id, "/", archive)
        except EngineUnavailable:
            raise
        except EngineError as exc:
            first = plan.entries[0].entry.path
            raise TransferFailed(f"The inputs ({first}, …) do not go in: {exc.message}") from exc


async def _with_transfer_errors(
    archive: AsyncGenerator[bytes, None],
) -> AsyncGenerator[bytes, None]:
    """Tell errors of reading the data root from the engine's, which raises them again."""
    with transfer_errors():
        async with contextlib.aclosing(archive):
            async for chunk in archive:
                yield chunk


def _expect_unchanged(before: InputPlan, after: InputPlan) -> None:
    remaining = {planned.target: planned for planned in after.entries}
    for planned in before.entries:
        now = remaining.pop(planned.target, None)
        # The time of a collection means nothing: what it holds is compared one by one.
        if now is None or (now != planned and not planned.entry.is_collection):
            raise changed_error(planned.entry)
    for planned in remaining.values():
        raise changed_error(planned.entry)


async def archive_chunks(
    data_root: DataRoot, plan: InputPlan, report: ReportProgress
) -> AsyncGenerator[bytes, None]:
    """Yield the tar archive of a plan in chunks of a mebibyte and more."""
    done, last_report = 0, 0.0
    buffer = bytearray()
    async with contextlib.aclosing(read_entries(data_root, plan)) as entries:
        async for planned, content in entries:
            buffer += _tar_header(planned)
            size = 0
            async for data in content:
                size += len(data)
                for chunk in _buffered(buffer, data):
                    yield chunk
                if time.monotonic() - last_report >= PROGRESS_INTERVAL:
                    last_report = time.monotonic()
                    await report(Progress(done=done + size, total=plan.size, unit="bytes"))
            if size != planned.entry.size:
                raise changed_error(planned.entry)
            done += size
            buffer += bytes(-size % tarfile.BLOCKSIZE)
    yield bytes(buffer) + bytes(2 * tarfile.BLOCKSIZE)
    await report(Progress(done=done, total=plan.size, unit="bytes"))


def _buffered(buffer: bytearray, data: bytes) -> Iterator[bytes]:
    """Add data to the buffer; yield the buffer when it is large, and large data uncopied."""
    if len(buffer) >= MIN_ARCHIVE_CHUNK or (buffer and len(data) >= MIN_ARCHIVE_CHUNK):
        yield bytes(buffer)
        buffer.clear()
    if len(data) >= MIN_ARCHIVE_CHUNK:
        yield data
    else:
        buffer += data


def _tar_header(planned: PlannedEntry) -> bytes:
    """Return the header of an entry, extended where its name needs it; readable for every user."""
    info = tarfile.TarInfo(planned.target.lstrip("/"))
    info.mode = 0o644
    if planned.entry.is_collection:
        info.type, info.mode = tarfile.DIRTYPE, 0o755
    info.size = planned.entry.size
    if planned.target == "/data" or planned.target == "/results":
        info.mode = 0o1777
    info.mtime = int(planned.entry.modified.timestamp()) if planned.entry.modified else 0
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")


class NodeStaging:
    """Downloads inputs on the job's node by a stager container, so that they bypass the server.

    Parameters
    ----------
    data_root
        Where the inputs are; only those of an iRODS zone can be downloaded from elsewhere.
    engine
        Where the containers are.
    image
        Of the stager; empty for none.
    max_entries
        Entries of one job at most.
    """

    def __init__(self, data_root: DataRoot, engine: Engine, image: str, max_entries: int) -> None:
        self._data_root = data_root
        self._engine = engine
        self._image = image
        self._max_entries = max_entries

    async def shared_folder(self, inputs: tuple[Input, ...]) -> str:
        """Return the folder that must be a volume so that a stager can fill it.

        Returns
        -------
        str
            Empty where the inputs are streamed through this server.
        """
        if not self._image or not inputs or self._data_root.backend.portable_settings() is None:
            return ""
        if not all(is_inside(each.to, DATA_FOLDER) for each in inputs):
            return ""
        if not (await self._engine.info()).runs_stagers:
            return ""
        return DATA_FOLDER if len(self._request(inputs)) <= MAX_CONFIG_BYTES else ""

    def _request(self, inputs: tuple[Input, ...]) -> bytes:
        """Return the request to the stager; it holds a password."""
        settings = dict(self._data_root.backend.portable_settings() or {})
        certificates = ""
        ca_file = settings.pop(CA_FILE, None)
        if ca_file is not None:
            try:
                certificates = Path(str(ca_file)).read_text()
            except OSError as exc:
                raise DataError(f"{ca_file} can't be read: {exc.strerror}.") from exc
        return msgspec.json.encode(
            StagerRequest(
                settings=settings,
                certificates=certificates,
                base=self._data_root.backend.base,
                inputs=inputs,
                max_entries=self._max_entries,
            )
        )

    async def stage(
        self, inputs: tuple[Input, ...], container_id: str, report: ReportProgress
    ) -> None:
        """Download the inputs into a container's volume.

        Raises
        ------
        TransferFailed
            What went wrong, in the stager's own words.
        """
        if not isinstance(self._engine, SupportsStagers):
            raise TransferFailed("The engine runs no helper containers.")
        with transfer_errors():
            request = self._request(inputs)
        spec = StagerSpec(
            image=self._image,
            command=COMMAND,
            secret=request,
            secret_path=REQUEST_PATH,
            folder=DATA_FOLDER,
            limits=STAGER_LIMITS,
        )
        error = ""
        log_tail: deque[str] = deque(maxlen=LOG_TAIL)
        try:
            async with contextlib.aclosing(self._engine.run_stager(container_id, spec)) as lines:
                async for line in lines:
                    message = parse_message(line)
                    if message is None:
                        log_tail.append(line)
                    elif message.error:
                        error = message.error
                    else:
                        progress = Progress(done=message.done, total=message.total, unit="bytes")
                        await report(progress)
        except EngineUnavailable:
            raise
        except (EngineError, ImageNotFound) as exc:
            more = f" Its last words: {' '.join(log_tail)}" if log_tail else ""
            raise TransferFailed(error or f"{exc.message}{more}") from exc
