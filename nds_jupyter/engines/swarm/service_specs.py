"""Swarm services of jobs: request bodies, and the start-up scripts of their containers. Pure.

A container of a service starts as soon as a node has room. So its first process is the starter,
which waits for the go file: that comes after script and inputs, and only then the starter becomes
the job's command. A container that Swarm should ever start again finds no such file: a script never
runs twice.

The go file is put into the container, or made there by a shell that reads the container's input: to
write to that costs an engine a hundredth of what it costs to unpack an archive.

Into a container on a node without an endpoint nothing can be put. There the service itself is
updated, once, to one whose container has the script from a config and runs it at once, by the
launcher instead of the starter.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
import time
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from nds_jupyter.engines.base import LABEL_JOB, LABEL_OWNER, LABEL_SERVER, ContainerSpec

STARTER_PATH = "/nds/.starter"
GO_FOLDER, GO_FILE = "/nds", ".go"
GO_PATH = f"{GO_FOLDER}/{GO_FILE}"
STDIN_DONE_PATH = "/nds/.handed"
"""Made by the shell when it has written the files that came by the container's input."""

NO_PROGRAM = (
    'command -v "$1" >/dev/null || { echo "nds: the image has no program $1" >&2; exit 127; }'
)
"""Alike for whatever shell an image has; `missing_program` recognizes the line."""

STARTER = f"""\
#!/bin/sh
trap 'exit 143' TERM INT
exec 3<&0
/bin/sh <&3 3<&- >/dev/null 2>&1 &
until [ -e {GO_PATH} ]; do
  sleep 0.05 2>/dev/null || sleep 1
done
kill $! 2>/dev/null
wait $! 2>/dev/null
trap - TERM INT
{NO_PROGRAM}
exec "$@" </dev/null 3<&-
"""

STARTER_NAME = f"nds-starter-{hashlib.sha256(STARTER.encode()).hexdigest()[:12]}"
"""Name of its Swarm config: another text is another config, since none can be changed."""

LAUNCHER_PATH = "/nds/.letting"

LAUNCHER = f"""\
#!/bin/sh
if [ ! -w . ]; then
  NDS_RESULTS=${{TMPDIR:-/tmp}}/nds-results
  export NDS_RESULTS
  mkdir -p "$NDS_RESULTS" && cd "$NDS_RESULTS" || exit 126
  echo "nds: this user may not write to /results on this node; NDS_RESULTS is $NDS_RESULTS" >&2
fi
{NO_PROGRAM}
exec "$@"
"""
"""Runs the command on a node without an endpoint, where nobody could make folders for its user."""

LAUNCHER_NAME = f"nds-letting-{hashlib.sha256(LAUNCHER.encode()).hexdigest()[:12]}"

_STARTER_COMMAND = ("/bin/sh", STARTER_PATH)
_LAUNCHER_COMMAND = ("/bin/sh", LAUNCHER_PATH)


def with_starter(command: tuple[str, ...]) -> tuple[str, ...]:
    """Return the command of a service's container that waits for the go file."""
    return (*_STARTER_COMMAND, *command)


def released_command(command: tuple[str, ...]) -> tuple[str, ...]:
    """Return the command of a container that waits for no go file."""
    return (*_LAUNCHER_COMMAND, *without_starter(command))


def is_released_command(command: tuple[str, ...]) -> bool:
    """Whether a container with this command waits for no go file."""
    return _find_head(command, _LAUNCHER_COMMAND) is not None


def without_starter(command: tuple[str, ...]) -> tuple[str, ...]:
    """Return the job's command, from that of its service's container."""
    for head in (_STARTER_COMMAND, _LAUNCHER_COMMAND):
        if (start := _find_head(command, head)) is not None:
            return command[start + len(head) :]
    return command


def _find_head(command: tuple[str, ...], head: tuple[str, ...]) -> int | None:
    # The engine's init process stands before it in some answers.
    starts = range(min(3, len(command)))
    return next((at for at in starts if command[at : at + len(head)] == head), None)


def go_archive() -> bytes:
    """Return the archive of the go file, whose time is the start of the script."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        entry = tarfile.TarInfo(GO_FILE)
        entry.mode, entry.mtime = 0o444, time.time()
        archive.addfile(entry)
    return buffer.getvalue()


STOP_GRACE = 2.0
"""Seconds that a script gets when its service is removed; a stop gives it its own time before."""

JOB_LABELS = (LABEL_JOB, LABEL_OWNER, LABEL_SERVER)
"""Labels of a job's container that everything else of it has in the Swarm too."""


def job_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Return those of a container's labels that name its job, owner and server."""
    return {name: labels[name] for name in JOB_LABELS if name in labels}


class ConfigFile(msgspec.Struct, frozen=True, kw_only=True):
    """A Swarm config, and the file that it is in a container."""

    id: str
    name: str
    path: str


def service_body(
    spec: ContainerSpec,
    starter_id: str,
    gpu_resource: str,
    network: str | None,
    constraints: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Return the body of ``POST /services/create``; a job's confinement on a Swarm is here.

    Parameters
    ----------
    starter_id
        Id of the Swarm config with the starter.
    gpu_resource
        What the nodes call a GPU.
    network
        The only network that it is on; None for what a container has by itself.
    constraints
        What its node must fulfil.
    """
    networks = [] if network is None else [{"Target": network}]
    return {
        "Name": spec.name,
        "Labels": job_labels(spec.labels),
        "TaskTemplate": {
            "ContainerSpec": _container_body(spec, starter_id),
            "Resources": _resources(spec, gpu_resource),
            # The default, any, would run a script that failed again and again.
            "RestartPolicy": {"Condition": "none", "MaxAttempts": 0},
            "Placement": {"Constraints": list(constraints)},
            "Networks": networks,
        },
        "Mode": {"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 1}},
    }


def _container_body(spec: ContainerSpec, starter_id: str) -> dict[str, Any]:
    return {
        "Image": spec.image,
        "Command": list(with_starter(spec.command)),
        "Env": [f"{name}={value}" for name, value in spec.env.items()],
        "Labels": spec.labels,
        "Dir": spec.working_dir,
        "Init": True,
        "OpenStdin": True,
        "CapabilityDrop": ["ALL"],
        # Heeded from API 1.46 on; before, each node's daemon.json must say it.
        "Privileges": {"NoNewPrivileges": True},
        "StopGracePeriod": int(STOP_GRACE * 1e9),
        "Mounts": [_volume_mount(spec)] if spec.volume else [],
        "Configs": [_config_mount(ConfigFile(id=starter_id, name=STARTER_NAME, path=STARTER_PATH))],
    }


def _volume_mount(spec: ContainerSpec) -> dict[str, Any]:
    return {
        "Type": "volume",
        "Source": spec.name,
        "Target": spec.volume,
        "VolumeOptions": {"Labels": job_labels(spec.labels)},
    }


def _config_mount(config: ConfigFile) -> dict[str, Any]:
    """Return how a config becomes a file that whoever runs there can read and run."""
    file = {"Name": config.path, "UID": "0", "GID": "0", "Mode": 0o555}
    return {"ConfigID": config.id, "ConfigName": config.name, "File": file}


def is_released_service(body: Mapping[str, Any]) -> bool:
    """Whether a service's container waits for no go file."""
    return is_released_command(tuple(body["TaskTemplate"]["ContainerSpec"].get("Command") or ()))


def released_service_body(body: Mapping[str, Any], configs: Iterable[ConfigFile]) -> dict[str, Any]:
    """Return the body that updates a service to one whose container runs its script at once.

    Parameters
    ----------
    body
        The ``Spec`` of the service whose container waits.
    configs
        All the files that it needs.
    """
    task = dict(body["TaskTemplate"])
    container = dict(task["ContainerSpec"])
    container["Command"] = list(released_command(tuple(container["Command"])))
    container["Configs"] = [_config_mount(config) for config in configs]
    # Nobody would write to its input, and a script that reads it would wait for ever.
    container["OpenStdin"] = False
    task |= {"ContainerSpec": container, "ForceUpdate": task.get("ForceUpdate", 0) + 1}
    return {**body, "TaskTemplate": task}


def _resources(spec: ContainerSpec, gpu_resource: str) -> dict[str, Any]:
    amounts = {"NanoCPUs": int(spec.limits.cpus * 1e9), "MemoryBytes": spec.limits.memory}
    gpus = {"DiscreteResourceSpec": {"Kind": gpu_resource, "Value": spec.gpus}}
    return {
        "Limits": {**amounts, "Pids": spec.limits.pids},
        "Reservations": {**amounts, "GenericResources": [gpus] if spec.gpus else []},
    }


def isolated_network_body(name: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """Return the body of ``POST /networks/create`` for a job that may reach nothing.

    A service can't have the network ``none``. One of its own that leads nowhere and that no other
    container is on comes to the same.
    """
    return {
        "Name": name,
        "Driver": "overlay",
        "Internal": True,
        "Labels": job_labels(labels),
    }
