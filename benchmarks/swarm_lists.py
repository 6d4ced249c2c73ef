"""`/list_container` over the nodes of a Swarm against a server of the slowest node alone."""

from __future__ import annotations

import contextlib
import getpass
import http.client
import json
import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode

import docker
import httpx

from benchmarks.bench import alternate, seconds
from benchmarks.report import median
from benchmarks.shares import shares_of_their_own
from dev.engine import cache_folder
from dev.engine_api import connect
from dev.images import SHELL_IMAGE
from dev.jupyter import Server, jupyter_server, temporary_folder
from dev.swarm import Swarm
from dev.swarm_node import SwarmNode
from nds_jupyter.engines.base import LABEL_JOB, LABEL_OWNER

FEW, MANY, ROUNDS = 15, 300, 40
WARM = 5
"""Calls of each server before it is measured."""


def measure(made: Swarm) -> dict[str, float]:
    """Return the milliseconds of our list, of the slowest node's own, and their ratio.

    Both come over HTTP from a server of their own, with the same containers on every node. Where
    the nodes share the processors, three answers cost three times the work of one: what the
    engines alone need for three at once is measured beside it. Then each engine has a share of
    its own, as machines have.
    """
    figures: dict[str, float] = {}
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(_server(made, made.manager))]
        servers += [stack.enter_context(_server(None, node)) for node in made.nodes]
        lists = [stack.enter_context(_client(server)) for server in servers]
        for number in (FEW, MANY):
            with ThreadPoolExecutor(len(made.nodes)) as pool:
                list(pool.map(_fill, made.nodes, [number] * len(made.nodes)))
            figures |= _engines_alone(made.nodes, number)
            figures |= _compared(lists[0], lists[1:], number, "list")
            with shares_of_their_own(made.nodes):
                figures |= _compared(lists[0], lists[1:], number, "list_with_shares")
    return figures


def _engines_alone(nodes: Sequence[SwarmNode], number: int) -> dict[str, float]:
    """Return how much longer three engines take at once than the slowest of them alone."""
    query = urlencode({"all": 1, "filters": json.dumps({"label": [LABEL_JOB]})})
    with contextlib.ExitStack() as stack:
        there = [stack.enter_context(contextlib.closing(connect(n.endpoint, 60))) for n in nodes]
        pool = stack.enter_context(ThreadPoolExecutor(len(nodes)))

        def ask(connection: http.client.HTTPConnection) -> None:
            connection.request("GET", f"/containers/json?{query}")
            connection.getresponse().read()

        def own_median(connection: http.client.HTTPConnection) -> float:
            return median([seconds(lambda: ask(connection)) for _ in range(WARM)])

        slowest = max(there, key=own_median)
        pairs = alternate(lambda: list(pool.map(ask, there)), lambda: ask(slowest), ROUNDS)
    at_once, alone = (median(times) * 1000 for times in pairs)
    name = f"engines_{number}_a_node"
    return {f"{name}_ms": at_once, f"{name}_slowest_ms": alone, f"{name}_ratio": at_once / alone}


def _compared(
    whole: httpx.Client, alone: list[httpx.Client], number: int, what: str
) -> dict[str, float]:
    for client in (whole, *alone):
        _times(client)
    slowest = max(alone, key=lambda client: median(_times(client)))
    pairs = alternate(lambda: _rows(whole), lambda: _rows(slowest), ROUNDS)
    mine, theirs = (median(times) * 1000 for times in pairs)
    there = [len(_rows(client)) for client in (whole, slowest)]
    if there != [number * len(alone), number]:
        raise SystemExit(f"The lists have {there} containers, of {number} on each node.")
    name = f"{what}_of_{number}_a_node"
    return {f"{name}_ms": mine, f"{name}_slowest_ms": theirs, f"{name}_ratio": mine / theirs}


def _times(client: httpx.Client) -> list[float]:
    return [seconds(lambda: _rows(client)) for _ in range(WARM)]


def _rows(client: httpx.Client) -> list[object]:
    rows: list[object] = client.get("nds/list_container", params={"limit": 1000}).json()
    return rows


@contextlib.contextmanager
def _server(made: Swarm | None, node: SwarmNode) -> Iterator[Server]:
    """Give a server of a whole Swarm, or of the engine of one node of it."""
    arguments = ["--NdsApp.engine=docker"]
    if made is not None:
        reached = (f"--NdsApp.endpoints={each}" for each in made.endpoints)
        arguments = ["--NdsApp.engine=swarm", *reached]
    with (
        temporary_folder(cache_folder()) as folder,
        jupyter_server(node.endpoint, SHELL_IMAGE, Path(folder), arguments) as server,
    ):
        yield server


def _client(server: Server) -> httpx.Client:
    return httpx.Client(
        base_url=server.url,
        headers={"Authorization": f"token {server.token}"},
        timeout=60,
        trust_env=False,
    )


def _fill(node: SwarmNode, number: int) -> None:
    """Have so many containers on a node, as jobs that have not started leave them."""
    owner = getpass.getuser()
    with contextlib.closing(docker.APIClient(node.endpoint.url, timeout=300)) as engine:
        there = engine.containers(all=True, filters={"label": LABEL_JOB})
        for _ in range(number - len(there)):
            job_id = secrets.token_hex(8)
            labels = {LABEL_JOB: job_id, LABEL_OWNER: owner}
            engine.create_container(SHELL_IMAGE, ["true"], name=f"nds-{job_id}", labels=labels)
