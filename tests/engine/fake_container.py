"""Container in memory, whose script runs in a task."""

from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime

from nds_jupyter.engines.base import (
    Change,
    ChangeKind,
    Container,
    ContainerSpec,
    ContainerStatus,
    ContainerSummary,
    LogChunk,
    LogRequest,
    LogStream,
    Sample,
)
from nds_jupyter.errors import PathNotFound
from nds_jupyter.jobs.job import utc_now
from tests.engine import fake_shell

TERMINATED, KILLED = 143, 137
_STREAMS = {fake_shell.STDOUT: LogStream.STDOUT, fake_shell.STDERR: LogStream.STDERR}


class FakeContainer:
    """Fake container with its files, log and state.

    Parameters
    ----------
    image_files
        Files of its image, by absolute path; a folder ends with a slash.
    ended
        Called when the script has ended.

    Attributes
    ----------
    runs
        How often its script was started.
    """

    def __init__(
        self,
        container_id: str,
        spec: ContainerSpec,
        image_id: str,
        image_files: dict[str, bytes],
        ended: Callable[[FakeContainer], None],
    ) -> None:
        self.id = container_id
        self.spec = spec
        self.image_id = image_id
        self.created = utc_now()
        self.files = dict(image_files)
        self.status = ContainerStatus.CREATED
        self.exit_code: int | None = None
        self.oom = False
        self.started: datetime | None = None
        self.finished: datetime | None = None
        self.ignores_term = False
        self.runs = 0
        self.log: list[tuple[LogStream, datetime, bytes]] = []
        self.changed = asyncio.Condition()
        self._image_files = image_files
        self._ended = ended
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether its script runs."""
        return self.status is ContainerStatus.RUNNING

    def write_log(self, stream: int, data: bytes) -> None:
        """Write to a stream of the log."""
        for line in data.splitlines(keepends=True):
            self.log.append((_STREAMS[stream], utc_now(), line))
        self._schedule_notify()

    def start(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Run the script."""
        self.runs += 1
        self.status = ContainerStatus.RUNNING
        self.started = utc_now()
        self._task = asyncio.create_task(self._run(sleep))

    async def _run(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        try:
            code = await fake_shell.run(self._script(), self, sleep)
        except fake_shell.Exit as exc:
            self.end(exc.code, oom=exc.oom)
        else:
            self.end(code)

    def _script(self) -> str:
        program, last = self.spec.command[0], self.spec.command[-1]
        if not any(map(self.exists, (program, f"/bin/{program}", f"/usr/bin/{program}"))):
            error = f"exec {program} failed: No such file or directory"
            return f"echo '[FATAL tini (7)] {error}' >&2; exit 127"
        is_text = "-c" in self.spec.command
        return last if is_text else self.files.get(last, b"").decode()

    def end(self, exit_code: int, *, oom: bool = False) -> None:
        """End the script."""
        if not self.running:
            return
        self.status = ContainerStatus.EXITED
        self.exit_code, self.oom, self.finished = exit_code, oom, utc_now()
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        self._ended(self)
        self._schedule_notify()

    def _schedule_notify(self) -> None:
        self._notification = asyncio.ensure_future(self._notify())

    async def _notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    def describe(self, worker: str) -> Container:
        """Return what an inspection returns."""
        return Container(
            id=self.id,
            name=self.spec.name,
            image=self.spec.image,
            image_id=self.image_id,
            command=self.spec.command,
            state=self.status,
            exit_code=self.exit_code,
            oom=self.oom,
            created=self.created,
            started=self.started,
            finished=self.finished,
            limits=self.spec.limits,
            mounts=(),
            labels=self.spec.labels,
            worker=worker,
        )

    def summarize(self, worker: str) -> ContainerSummary:
        """Return a row of the list of containers."""
        ended = self.status is ContainerStatus.EXITED
        return ContainerSummary(
            id=self.id,
            name=self.spec.name,
            image=self.spec.image,
            state=self.status,
            status=f"Exited ({self.exit_code})" if ended else self.status.value.title(),
            created=self.created,
            labels=self.spec.labels,
            worker=worker,
        )

    def sample(self) -> Sample:
        """Return what it uses now."""
        return Sample(
            at=utc_now(),
            cpu_percent=1.0,
            memory_usage=2**20,
            memory_limit=self.spec.limits.memory,
            network_rx=0,
            network_tx=0,
            block_read=0,
            block_write=0,
            pids=1,
        )

    def has_label(self, name: str, value: str) -> bool:
        """Whether it carries a label; an empty value stands for any."""
        labels = self.spec.labels
        return name in labels and value in {"", labels[name]}

    def select_log(self, request: LogRequest, skip: int) -> list[LogChunk]:
        """Return the lines after the first `skip` that a request asks for."""
        lines = [
            (stream, at, data)
            for stream, at, data in self.log[skip:]
            if request.stream in {LogStream.BOTH, stream}
            if request.since is None or at >= request.since
        ]
        if request.tail is not None and not skip:
            lines = lines[len(lines) - min(request.tail, len(lines)) :]
        return [
            LogChunk(stream=stream, data=_stamp(at) + data if request.timestamps else data)
            for stream, at, data in lines
        ]

    def unpack(self, folder: str, archive: bytes) -> None:
        """Put the members of a tar under a folder."""
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            for member in tar:
                path = f"{folder.rstrip('/')}/{member.name}"
                file = tar.extractfile(member)
                self.files[path if file else f"{path}/"] = file.read() if file else b""

    def exists(self, path: str) -> bool:
        """Whether a path is there, as a file or a folder."""
        folder = f"{path.rstrip('/')}/"
        return path in self.files or any(name.startswith(folder) for name in self.files)

    def pack(self, path: str) -> bytes:
        """Return a path as a tar whose names begin with the path's last part."""
        if not self.exists(path):
            raise PathNotFound(f"There is no {path} in container {self.id[:12]}.")
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name, content in self._below(path):
                entry = tarfile.TarInfo(name.strip("/"))
                entry.mtime = int(self.created.timestamp())
                if name.endswith("/"):
                    entry.type = tarfile.DIRTYPE
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
        return buffer.getvalue()

    def _below(self, path: str) -> Iterator[tuple[str, bytes]]:
        base = path.rstrip("/")
        head = base.rpartition("/")[0]
        if base in self.files:
            yield base.removeprefix(head), self.files[base]
            return
        yield f"{base}/".removeprefix(head), b""
        for name in sorted(self.files):
            if name.startswith(f"{base}/") and name != f"{base}/":
                yield name.removeprefix(head), self.files[name]

    def changes(self) -> tuple[Change, ...]:
        """Return what differs from the image."""
        now, before = self.files, self._image_files
        kinds = dict.fromkeys(now.keys() - before.keys(), ChangeKind.ADDED)
        kinds |= dict.fromkeys(before.keys() - now.keys(), ChangeKind.DELETED)
        kinds |= {
            path: ChangeKind.MODIFIED for path in now if now[path] != before.get(path, now[path])
        }
        found = [Change(path=path.rstrip("/"), kind=kind) for path, kind in kinds.items()]
        return tuple(sorted(found, key=lambda change: change.path))


def _stamp(at: datetime) -> bytes:
    return f"{at:%Y-%m-%dT%H:%M:%S.%f}000Z ".encode()
