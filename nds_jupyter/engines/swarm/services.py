"""From a job's container to the service that runs it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nds_jupyter.engines.base import LABEL_JOB, LABEL_OWNER, LABEL_SERVER, ContainerSpec
from nds_jupyter.engines.swarm.starter import STARTER_NAME, STARTER_PATH, with_starter
from nds_jupyter.engines.swarm_settings import SwarmSettings

STOP_GRACE = 2.0
"""Seconds that a script gets when its service is removed; a stop gives it its own time before."""

OURS = (LABEL_JOB, LABEL_OWNER, LABEL_SERVER)


def service(
    spec: ContainerSpec, starter_id: str, settings: SwarmSettings, network: str | None
) -> dict[str, Any]:
    """Return the body of ``POST /services/create``; a job's confinement on a Swarm is here.

    Parameters
    ----------
    starter_id
        Id of the Swarm config with the starter.
    network
        The only network that it is on; None for what a container has by itself.
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
            "Placement": {"Constraints": [*settings.constraints, *spec.constraints]},
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
        "CapabilityDrop": ["ALL"],
        # Heeded from API 1.46 on; before, each node's daemon.json must say it.
        "Privileges": {"NoNewPrivileges": True},
        "StopGracePeriod": int(STOP_GRACE * 1e9),
        "Configs": [
            {
                "ConfigID": starter_id,
                "ConfigName": STARTER_NAME,
                "File": {"Name": STARTER_PATH, "UID": "0", "GID": "0", "Mode": 0o555},
            }
        ],
    }


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
