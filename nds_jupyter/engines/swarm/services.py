"""From a job's container to the service that runs it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from nds_jupyter.engines.base import LABEL_JOB, LABEL_OWNER, LABEL_SERVER, ContainerSpec
from nds_jupyter.engines.swarm import starter
from nds_jupyter.engines.swarm.starter import STARTER_NAME, STARTER_PATH, with_starter
from nds_jupyter.engines.swarm_settings import SwarmSettings

STOP_GRACE = 2.0
"""Seconds that a script gets when its service is removed; a stop gives it its own time before."""

OURS = (LABEL_JOB, LABEL_OWNER, LABEL_SERVER)


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """A Swarm config, and the file that it is in a container."""

    id: str
    name: str
    path: str


def service(
    spec: ContainerSpec,
    starter_id: str,
    settings: SwarmSettings,
    network: str | None,
    constraints: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Return the body of ``POST /services/create``; a job's confinement on a Swarm is here.

    Parameters
    ----------
    starter_id
        Id of the Swarm config with the starter.
    network
        The only network that it is on; None for what a container has by itself.
    constraints
        What its node must fulfil.
    """
    networks = [] if network is None else [{"Target": network}]
    return {
        "Name": spec.name,
        "Labels": {name: spec.labels[name] for name in OURS if name in spec.labels},
        "TaskTemplate": {
            "ContainerSpec": _container(spec, starter_id),
            "Resources": _resources(spec, settings),
            # The default, any, would run a script that failed again and again.
            "RestartPolicy": {"Condition": "none", "MaxAttempts": 0},
            "Placement": {"Constraints": list(constraints)},
            "Networks": networks,
        },
        "Mode": {"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 1}},
    }


def _container(spec: ContainerSpec, starter_id: str) -> dict[str, Any]:
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
        "Mounts": [_volume(spec)] if spec.volume else [],
        "Configs": [_file(Config(id=starter_id, name=STARTER_NAME, path=STARTER_PATH))],
    }


def _volume(spec: ContainerSpec) -> dict[str, Any]:
    labels = {name: spec.labels[name] for name in OURS if name in spec.labels}
    options = {"Labels": labels}
    return {
        "Type": "volume",
        "Source": spec.name,
        "Target": spec.volume,
        "VolumeOptions": options,
    }


def _file(config: Config) -> dict[str, Any]:
    """Return how a config becomes a file that whoever runs there can read and run."""
    file = {"Name": config.path, "UID": "0", "GID": "0", "Mode": 0o555}
    return {"ConfigID": config.id, "ConfigName": config.name, "File": file}


def is_let_go(body: Mapping[str, Any]) -> bool:
    """Whether a service's container waits for nothing."""
    return starter.is_let_go(tuple(body["TaskTemplate"]["ContainerSpec"].get("Command") or ()))


def let_go(body: Mapping[str, Any], configs: Iterable[Config]) -> dict[str, Any]:
    """Return the body that makes a service anew whose container waits for nothing.

    Parameters
    ----------
    body
        The ``Spec`` of the service that waits.
    configs
        All the files that it needs.
    """
    task = dict(body["TaskTemplate"])
    inside = dict(task["ContainerSpec"])
    inside["Command"] = list(starter.let_go(tuple(inside["Command"])))
    inside["Configs"] = [_file(config) for config in configs]
    # Nobody would write to its input, and a script that reads it would wait for ever.
    inside["OpenStdin"] = False
    task |= {"ContainerSpec": inside, "ForceUpdate": task.get("ForceUpdate", 0) + 1}
    return {**body, "TaskTemplate": task}


def _resources(spec: ContainerSpec, settings: SwarmSettings) -> dict[str, Any]:
    amounts = {"NanoCPUs": int(spec.limits.cpus * 1e9), "MemoryBytes": spec.limits.memory}
    gpus = {"DiscreteResourceSpec": {"Kind": settings.gpu_resource, "Value": spec.gpus}}
    return {
        "Limits": {**amounts, "Pids": spec.limits.pids},
        "Reservations": {**amounts, "GenericResources": [gpus] if spec.gpus else []},
    }


def isolated_network(name: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """Return the body of ``POST /networks/create`` for a job that may reach nothing.

    A service can't have the network ``none``. One of its own that leads nowhere and that no other
    container is on comes to the same.
    """
    return {
        "Name": name,
        "Driver": "overlay",
        "Internal": True,
        "Labels": {name: labels[name] for name in OURS if name in labels},
    }
