"""Conversion between the JSON of the Engine API and the values of `engines.base`. Pure."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from nds_jupyter.engines.base import (
    Change,
    ChangeKind,
    Container,
    ContainerSpec,
    ContainerStatus,
    ContainerSummary,
    Image,
    Mount,
    PathStat,
    Sample,
)
from nds_jupyter.jobs.job import Limits

_MODES = ((1 << 31, "dir"), (1 << 27, "link"), (0x0728_0000, "other"))
"""Bits of Go's ``fs.FileMode``: directory, symbolic link, and every other type that is no file."""

_EPOCH = datetime.fromtimestamp(0, UTC)

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What the engine sets where an image has no PATH (moby's ``oci.DefaultPathEnv``)."""

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)")
_CHANGES = {0: ChangeKind.MODIFIED, 1: ChangeKind.ADDED, 2: ChangeKind.DELETED}


def parse_time(text: str | None) -> datetime | None:
    """Return the engine's time in UTC, cut to microseconds; None for its zero time."""
    match = _TIME.fullmatch(text or "")
    if match is None or match[1].startswith("0001-"):
        return None
    fraction = (match[2] or ".0")[1:7].ljust(6, "0")
    zone = match[3].replace("Z", "+00:00")
    return datetime.fromisoformat(f"{match[1]}.{fraction}{zone}").astimezone(UTC)


def parse_image(data: Mapping[str, Any]) -> Image:
    """Parse the answer of ``GET /images/{name}/json``."""
    config = data.get("Config") or {}
    env = config.get("Env") or []
    path = next((each[5:] for each in env if each.startswith("PATH=")), DEFAULT_PATH)
    return Image(
        id=data["Id"],
        references=tuple(data.get("RepoTags") or ()),
        size=data.get("Size", 0),
        created=parse_time(data.get("Created")),
        path=tuple(folder for folder in path.split(":") if folder),
        is_root=(config.get("User") or "").partition(":")[0] in {"", "0", "root"},
    )


def parse_image_row(data: Mapping[str, Any]) -> Image:
    """Parse a row of ``GET /images/json``."""
    names = tuple(name for name in data.get("RepoTags") or () if "<none>" not in name)
    created = datetime.fromtimestamp(data["Created"], UTC)
    labels = data.get("Labels") or {}
    return Image(id=data["Id"], references=names, size=data["Size"], created=created, labels=labels)


def create_body(spec: ContainerSpec) -> dict[str, Any]:
    """Return the body of ``POST /containers/create``; all of a container's confinement is here."""
    return {
        "Image": spec.image,
        "Cmd": list(spec.command),
        # One empty string clears the image's entry point; an empty list keeps it.
        "Entrypoint": [""],
        "Env": [f"{name}={value}" for name, value in spec.env.items()],
        "Labels": spec.labels,
        "WorkingDir": spec.working_dir,
        "HostConfig": {
            "Init": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "PidsLimit": spec.limits.pids,
            "Memory": spec.limits.memory,
            "MemorySwap": spec.limits.memory,
            "NanoCpus": int(spec.limits.cpus * 1e9),
            "NetworkMode": spec.network.value,
            "DeviceRequests": [{"Count": spec.gpus, "Capabilities": [["gpu"]]}] * bool(spec.gpus),
        },
    }


class EngineContainerRow(msgspec.Struct, frozen=True, rename="pascal"):
    """Row of ``GET /containers/json``, without what is not needed: most of it."""

    id: str
    image: str
    state: ContainerStatus
    status: str
    created: int
    names: tuple[str, ...] | None = None
    labels: dict[str, str] | None = None


def to_summary(row: EngineContainerRow, worker: str) -> ContainerSummary:
    """Convert a row of ``GET /containers/json``."""
    return ContainerSummary(
        id=row.id,
        name=(row.names or ("/",))[0].removeprefix("/"),
        image=row.image,
        state=row.state,
        status=row.status,
        created=datetime.fromtimestamp(row.created, UTC),
        labels=row.labels or {},
        worker=worker,
    )


def parse_container(data: Mapping[str, Any], worker: str) -> Container:
    """Parse the answer of ``GET /containers/{id}/json``."""
    state, host = data["State"], data["HostConfig"]
    status = ContainerStatus(state["Status"])
    ended = status in {ContainerStatus.EXITED, ContainerStatus.DEAD}
    created, started, finished = map(
        parse_time, (data["Created"], state["StartedAt"], state["FinishedAt"])
    )
    if ended and started and finished:
        # The engine records a start when it learns of it, which can be after a quick script's end.
        started = min(started, finished)
    return Container(
        id=data["Id"],
        name=data["Name"].removeprefix("/"),
        image=data["Config"]["Image"],
        image_id=data["Image"],
        command=tuple(part for part in (data["Path"], *data["Args"]) if part),
        state=status,
        exit_code=state["ExitCode"] if ended else None,
        oom=state["OOMKilled"],
        created=created or _EPOCH,
        started=started,
        finished=finished,
        limits=Limits(
            cpus=host.get("NanoCpus", 0) / 1e9,
            memory=host.get("Memory", 0),
            pids=host.get("PidsLimit") or 0,
        ),
        mounts=tuple(map(_mount, data.get("Mounts") or ())),
        labels=data["Config"].get("Labels") or {},
        worker=worker,
        error=state.get("Error", ""),
    )


def _mount(data: Mapping[str, Any]) -> Mount:
    return Mount(
        type=data["Type"],
        source=data.get("Name") or "",
        destination=data["Destination"],
        read_only=not data["RW"],
    )


def parse_change(data: Mapping[str, Any]) -> Change:
    """Parse a row of ``GET /containers/{id}/changes``."""
    return Change(path=data["Path"], kind=_CHANGES[data["Kind"]])


def parse_path_stat(header: str) -> PathStat:
    """Parse the header of ``HEAD /containers/{id}/archive`` that describes a path, in base64."""
    data = json.loads(base64.b64decode(header))
    mode = data["mode"]
    kind = next((kind for bit, kind in _MODES if mode & bit), "file")
    return PathStat(kind=kind, size=data["size"], modified=parse_time(data["mtime"]) or _EPOCH)


def parse_sample(data: Mapping[str, Any]) -> Sample | None:
    """Parse a message of ``GET /containers/{id}/stats``; None if it measures nothing yet.

    CPU and memory are computed as the Docker CLI does (``cli/command/container/stats_helpers.go``):
    100 percent is one CPU, and memory that the kernel could take back is left out.
    """
    at = parse_time(data.get("read"))
    memory = data.get("memory_stats") or {}
    if at is None or "usage" not in memory:
        return None
    details = memory.get("stats") or {}
    cache = details.get("total_inactive_file", details.get("inactive_file", 0))
    networks = (data.get("networks") or {}).values()
    io = (data.get("blkio_stats") or {}).get("io_service_bytes_recursive") or ()
    return Sample(
        at=at,
        cpu_percent=_cpu_percent(data),
        memory_usage=max(0, memory["usage"] - cache),
        memory_limit=memory.get("limit", 0),
        network_rx=sum(each["rx_bytes"] for each in networks),
        network_tx=sum(each["tx_bytes"] for each in networks),
        block_read=sum(each["value"] for each in io if each["op"].lower() == "read"),
        block_write=sum(each["value"] for each in io if each["op"].lower() == "write"),
        pids=(data.get("pids_stats") or {}).get("current", 0),
    )


def _cpu_percent(data: Mapping[str, Any]) -> float:
    now, before = data["cpu_stats"], data.get("precpu_stats") or {}
    system = now.get("system_cpu_usage", 0) - before.get("system_cpu_usage", 0)
    if not before.get("system_cpu_usage") or system <= 0:
        return 0.0
    used = now["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
    return float(round(100.0 * used / system * now.get("online_cpus", 1), 2))


def container_title(container: str) -> str:
    """Return what a sentence calls a container that begins with it."""
    return f"The container {container[:12] if len(container) == 64 else container}"
