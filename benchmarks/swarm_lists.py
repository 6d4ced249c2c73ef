"""`/list_container` over the nodes of a Swarm against a server of the slowest node alone."""

from __future__ import annotations

import contextlib
import getpass
import http.client
import json
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
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
from nds_jupyter.engines.swarm.node_cache import MAX_AGE

FEW, MANY, ROUNDS = 15, 300, 40
WARM = 5
"""Calls of each server before it is measured."""

QUIET = 5.0
"""Seconds after which the containers that were made for a measurement count as settled."""

ANEW = 3
"""Lists that are measured when the cached rows are too old: each waits half a minute for that."""


def measure(made: Swarm) -> dict[str, float]:
    """Return the milliseconds of our list, of the slowest node's own, and their ratio.

    Both come over HTTP from a server of their own, with the same containers on every node. The
    server of one node asks its engine for everything each time; that of all asks for what has
    changed, and every half minute for everything: what such a list costs is measured alone.

    Where the nodes share the processors, three answers cost three times the work of one: what the
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
            time.sleep(QUIET)
            figures |= _of_servers(lists[0], lists[1:], f"list_of_{number}_a_node")
            with _changing(made.nodes) as change:
                name = f"list_while_jobs_change_of_{number}_a_node"
                figures |= _of_servers(lists[0], lists[1:], name, change)
            with shares_of_their_own(made.nodes):
                figures |= _of_servers(lists[0], lists[1:], f"list_with_shares_of_{number}_a_node")
            figures |= _anew(lists[0], lists[1:], f"list_asked_anew_of_{number}_a_node")
            _check(lists, number)
    return figures


@contextlib.contextmanager
def _changing(nodes: Sequence[SwarmNode]) -> Iterator[Callable[[], None]]:
    """Give what changes one container on each node."""
    with contextlib.ExitStack() as stack:
        engines = [
            stack.enter_context(contextlib.closing(docker.APIClient(node.endpoint.url)))
            for node in nodes
        ]
        there = [engine.containers(all=True, filters={"label": LABEL_JOB})[0] for engine in engines]

        def change() -> None:
            for engine, container in zip(engines, there, strict=True):
                engine.rename(container["Id"], f"nds-{secrets.token_hex(8)}")

        yield change


def _anew(whole: httpx.Client, alone: list[httpx.Client], name: str) -> dict[str, float]:
    """Compare a list for which everything is asked for, after a pause for all."""
    mine, theirs = [], []
    for number in range(ANEW):
        time.sleep(MAX_AGE + 1)
        if number % 2:
            theirs.append(_longest(alone))
            mine.append(_longest([whole]))
        else:
            mine.append(_longest([whole]))
            theirs.append(_longest(alone))
    return _figures(name, mine, theirs)


def _longest(clients: list[httpx.Client]) -> float:
    return max(seconds(partial(_rows, client)) for client in clients)


def _check(lists: Sequence[httpx.Client], number: int) -> None:
    there = [len(_rows(client)) for client in lists]
    if there != [number * (len(lists) - 1), *[number] * (len(lists) - 1)]:
        raise SystemExit(f"The lists have {there} containers, of {number} on each node.")


def _of_servers(
    whole: httpx.Client,
    alone: list[httpx.Client],
    name: str,
    before: Callable[[], object] = lambda: None,
) -> dict[str, float]:
    each = [partial(_rows, client) for client in alone]
    return _compared(name, lambda: _rows(whole), each, before)


def _engines_alone(nodes: Sequence[SwarmNode], number: int) -> dict[str, float]:
    """Return how much longer three engines take at once than the slowest of them alone."""
    query = urlencode({"all": 1, "filters": json.dumps({"label": [LABEL_JOB]})})

    def ask(connection: http.client.HTTPConnection) -> None:
        connection.request("GET", f"/containers/json?{query}")
        connection.getresponse().read()

    with contextlib.ExitStack() as stack:
        there = [stack.enter_context(contextlib.closing(connect(n.endpoint, 60))) for n in nodes]
        pool = stack.enter_context(ThreadPoolExecutor(len(nodes)))
        return _compared(
            f"engines_{number}_a_node",
            lambda: list(pool.map(ask, there)),
            [partial(ask, connection) for connection in there],
        )


def _compared(
    name: str,
    whole: Callable[[], object],
    alone: Sequence[Callable[[], object]],
    before: Callable[[], object] = lambda: None,
) -> dict[str, float]:
    """Compare a list of everything with that of the node which takes longest, in turns.

    Parameters
    ----------
    before
        Done before each turn.
    """
    for _ in range(WARM):
        whole()
    slowest = max(alone, key=lambda ask: median([seconds(ask) for _ in range(WARM)]))
    return _figures(name, *alternate(whole, slowest, ROUNDS, before))


def _figures(name: str, whole: list[float], slowest: list[float]) -> dict[str, float]:
    mine, theirs = median(whole) * 1000, median(slowest) * 1000
    return {f"{name}_ms": mine, f"{name}_slowest_ms": theirs, f"{name}_ratio": mine / theirs}


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
