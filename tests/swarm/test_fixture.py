"""The Swarm that tests make: it leaves nothing, whatever becomes of its maker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dev.engine_api import EngineAnswerError, ask
from dev.netns import NAMESPACES
from dev.processes import wait_until
from dev.swarm import Swarm

pytestmark = pytest.mark.swarm

HOLD = """
import sys, time
from dev.swarm import swarm
with swarm(nodes=1, images=()) as made:
    print(made.manager.run.parent.name, flush=True)
    time.sleep(600)
"""


def test_nodes_are_one_swarm_with_names_of_their_own(swarm_cluster: Swarm) -> None:
    nodes = json.loads(ask(swarm_cluster.manager.endpoint, "GET", "/nodes"))
    assert sorted(node["Description"]["Hostname"] for node in nodes) == ["node1", "node2", "node3"]


def test_endpoints_with_tls_answer_only_with_a_certificate(swarm_cluster: Swarm) -> None:
    endpoint = swarm_cluster.nodes[1].tls_endpoint
    info = json.loads(ask(endpoint, "GET", "/info"))
    assert info["Name"] == "node2"
    plain = type(endpoint)(endpoint.url)
    with pytest.raises((OSError, EngineAnswerError)):
        ask(plain, "GET", "/info")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left_when_the_maker_is_killed(number: signal.Signals) -> None:
    maker = subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True)
    assert maker.stdout is not None
    name = maker.stdout.readline().strip()
    assert name
    assert (Path("/sys/class/net") / name).exists()
    os.kill(maker.pid, number)
    maker.wait(timeout=60)
    maker.stdout.close()

    def nothing_left() -> bool:
        links = (Path("/sys/class/net") / name).exists()
        return not (links or list(NAMESPACES.glob(f"{name}-*")) or (Path("/run") / name).exists())

    assert wait_until(nothing_left, 60)
