"""Engines of a Swarm's nodes: which endpoint is which node, and calls to one manager or to all.

An endpoint is an address of the configuration, a node is what the manager lists; the NodeID of an
engine shows which node it is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast

import msgspec
from msgspec.structs import replace

from nds_jupyter.engines.cluster import NodeReport
from nds_jupyter.engines.swarm.node_engine import NodeEngine, SwarmMembership
from nds_jupyter.engines.swarm.tasks import Node, NodeState
from nds_jupyter.errors import DeadlineExceeded, EngineError, EngineUnavailable, NdsError

T = TypeVar("T")

IDENTIFY_INTERVAL = 2.0
"""Seconds between attempts to learn which node is at an endpoint."""

IDENTIFY_ATTEMPTS = 4
"""Attempts to find the endpoint of a node that is well; IDENTIFY_INTERVAL lies between two."""

NODE_LIST_MAX_AGE = 1.0
"""Seconds for which the manager's list of nodes is cached."""

MANAGER_TIMEOUT = 10.0
"""Seconds for an answer of one manager where another could be called."""

SNAPSHOT_TIMEOUT = 1.5
"""Seconds for the manager's list of nodes where all nodes are checked."""

NOT_A_MANAGER = "not a swarm manager"

_MANAGER_UNAVAILABLE = (
    NOT_A_MANAGER,
    "does not have a leader",
    "no leader",
    "no elected cluster leader",
    "lost leader",
    "deadline exceeded",
    "needs to be unlocked",
    # The engine is ending or beginning, and its own manager does not listen; or the leader is gone,
    # and this one has not noticed.
    "code = Unavailable",
    "Error while dialing",
)


class NodeReplies(msgspec.Struct, frozen=True, kw_only=True):
    """Results of one call to every node, by node id.

    Parameters
    ----------
    results
        What the nodes returned that answered.
    silent
        Of the others: how the sentence goes on that begins with the node's name.
    errors
        What is known of why, as a sentence.
    """

    results: dict[str, object]
    silent: dict[str, str]
    errors: dict[str, str]


class SwarmSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """State of all nodes and endpoints at one time.

    Parameters
    ----------
    nodes
        As a manager has listed them last.
    members
        Which node each endpoint is, by its latest answer.
    silent, errors
        Of nodes that do not answer now; see `NodeReplies`.
    unidentified
        Why each endpoint is no node's, as a sentence.
    """

    nodes: tuple[Node, ...]
    members: dict[NodeEngine, SwarmMembership]
    silent: dict[str, str]
    errors: dict[str, str]
    unidentified: dict[NodeEngine, str]
    manager_answers: bool


class Nodes:
    """Engines of nodes.

    Parameters
    ----------
    endpoints
        Engines in the order in which they are configured; the first manager that answers is called.
    timeout
        Seconds for one node where all are called.
    """

    def __init__(self, endpoints: tuple[NodeEngine, ...], timeout: float) -> None:
        self.endpoints = endpoints
        self._timeout = timeout
        self._members: dict[NodeEngine, SwarmMembership] = {}
        self._endpoint_errors: dict[NodeEngine, str] = {}
        self._identify_lock = asyncio.Lock()
        self._identified_at = float("-inf")
        self._identify_all = False
        self._manager: NodeEngine | None = None
        self._nodes: dict[str, Node] = {}
        self._listed_at = float("-inf")
        self._down_since: dict[str, float] = {}

    async def identify_endpoints(self) -> None:
        """Ask endpoints which node they are: those not known yet, or all after a change."""
        async with self._identify_lock:
            if time.monotonic() - self._identified_at < IDENTIFY_INTERVAL:
                return
            unknown = [
                each for each in self.endpoints if self._identify_all or self._is_unidentified(each)
            ]
            self._identify_all = False
            await asyncio.gather(*map(self._identify, unknown))
            self._identified_at = time.monotonic()

    def _is_unidentified(self, engine: NodeEngine) -> bool:
        """Whether an endpoint has not answered yet, or is a node that has left since."""
        member = self._members.get(engine)
        return member is None or bool(self._nodes and member.node_id not in self._nodes)

    async def _identify(self, engine: NodeEngine) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                membership = await engine.membership()
        except NdsError as exc:
            self._endpoint_errors[engine] = endpoint_error_text(exc)
        except TimeoutError:
            self._endpoint_errors[engine] = f"It has not answered in {self._timeout:g} s."
        else:
            self._record_membership(engine, membership)

    def _record_membership(self, engine: NodeEngine, membership: SwarmMembership) -> None:
        if membership.node_id:
            self._members[engine] = membership
            self._endpoint_errors.pop(engine, None)
        else:
            self._endpoint_errors[engine] = (
                f"{membership.name} is in no Swarm: let it join (docker swarm)."
            )

    def _engines_by_node(self) -> dict[str, NodeEngine]:
        return {member.node_id: engine for engine, member in reversed(self._members.items())}

    async def find_engine(self, node_id: str) -> NodeEngine | None:
        """Return the engine of a node; None if no endpoint is known to be its."""
        for _ in range(IDENTIFY_ATTEMPTS):
            if (engine := self._engines_by_node().get(node_id)) is not None:
                return engine
            await self.identify_endpoints()
            if node_id in self._engines_by_node() or not await self._may_get_endpoint(node_id):
                break
            await asyncio.sleep(IDENTIFY_INTERVAL)
        return self._engines_by_node().get(node_id)

    async def _may_get_endpoint(self, node_id: str) -> bool:
        """Whether an endpoint that has not answered yet may be that of this node, which is well.

        A node that has just come back gets tasks at once, before its endpoint was asked again.
        """
        if len(self._members) == len(self.endpoints):
            return False
        node = (await self.nodes_by_id()).get(node_id)
        return node is not None and node.state is NodeState.READY

    async def nodes_without_endpoint(self) -> dict[str, str]:
        """Return the names of the nodes that are well and have no endpoint, by id."""
        await self.identify_endpoints()
        reachable = self._engines_by_node()
        return {
            node.id: node.name
            for node in (await self.nodes_by_id()).values()
            if node.state is NodeState.READY and node.id not in reachable
        }

    async def has_no_endpoint(self, node_id: str) -> bool:
        """Whether a node has no endpoint for certain; not one whose endpoint may be silent."""
        return await self.find_engine(node_id) is None and len(self._members) == len(self.endpoints)

    async def call_manager(self, call: Callable[[NodeEngine], Awaitable[T]]) -> T:
        """Call the managers in turn until one answers.

        Raises
        ------
        EngineUnavailable
            If none does.
        """
        if self._manager is None:
            await self.identify_endpoints()
        error: NdsError | None = None
        for manager in self._managers():
            try:
                async with asyncio.timeout(MANAGER_TIMEOUT):
                    answer = await call(manager)
            except TimeoutError:
                error = DeadlineExceeded("The manager of the Swarm has not answered in time.")
            except (EngineUnavailable, DeadlineExceeded) as exc:
                error = exc
            except EngineError as exc:
                if not is_manager_unavailable(exc):
                    raise
                error = exc
                if NOT_A_MANAGER in exc.message:
                    self._members[manager] = replace(self._members[manager], is_manager=False)
            else:
                self._manager = manager
                return answer
        # Another may be a manager by now.
        self._manager, self._identify_all = None, True
        raise EngineUnavailable(
            "The Swarm does not answer, none of its managers. Start the engine of one, or add "
            "its endpoint to c.NdsApp.endpoints."
            + (f" The last one said: {error}" if error else "")
        ) from error

    def _managers(self) -> list[NodeEngine]:
        """Return the managers, the one that has answered last first."""
        managers = [engine for engine, member in self._members.items() if member.is_manager]
        return sorted(managers, key=lambda engine: engine is not self._manager)

    async def nodes_by_id(self) -> dict[str, Node]:
        """Return the nodes by id, as the manager listed them a moment ago."""
        if time.monotonic() - self._listed_at > NODE_LIST_MAX_AGE:
            rows = await self.call_manager(lambda manager: manager.swarm_nodes())
            self._nodes = {row.id: row for row in rows}
            self._listed_at = now = time.monotonic()
            down = {row.id for row in rows if row.state is NodeState.DOWN}
            self._down_since = {each: self._down_since.get(each, now) for each in down}
        return self._nodes

    async def node_name(self, node_id: str) -> str:
        """Return a node's name, or its id where nobody knows it."""
        for member in self._members.values():
            if member.node_id == node_id:
                return member.name
        node = (await self.nodes_by_id()).get(node_id)
        return node.name if node else node_id

    async def seconds_down(self, node_id: str) -> float | None:
        """Return for how many seconds a node has been down; None if it is not, or not known so."""
        nodes = await self.nodes_by_id()
        if node_id and node_id not in nodes:
            return float("inf")
        since = self._down_since.get(node_id)
        return None if since is None else time.monotonic() - since

    async def call_each_node(self, call: Callable[[NodeEngine], Awaitable[T]]) -> NodeReplies:
        """Call every node that has an endpoint, in parallel, none longer than the time-out."""
        await self.identify_endpoints()
        return await self._call_identified(call)

    async def _call_identified(self, call: Callable[[NodeEngine], Awaitable[T]]) -> NodeReplies:
        results: dict[str, object] = {}
        silent: dict[str, str] = {}
        errors: dict[str, str] = {}

        async def call_node(node_id: str, engine: NodeEngine) -> None:
            try:
                async with asyncio.timeout(self._timeout):
                    results[node_id] = await call(engine)
            except TimeoutError:
                silent[node_id] = f"has not answered in {self._timeout:g} s"
            except NdsError as exc:
                silent[node_id] = "does not answer"
                errors[node_id] = endpoint_error_text(exc)

        await asyncio.gather(*(call_node(*each) for each in self._engines_by_node().items()))
        # The order of the answers must not decide which node's is the first.
        return NodeReplies(results=dict(sorted(results.items())), silent=silent, errors=errors)

    async def take_snapshot(self) -> SwarmSnapshot:
        """Ask every endpoint and a manager how they are."""
        replies, _ = await asyncio.gather(
            self._call_identified(lambda each: each.membership()), self.identify_endpoints()
        )
        engines = self._engines_by_node()
        for node_id, member in replies.results.items():
            self._record_membership(engines[node_id], cast("SwarmMembership", member))
        manager_answers = True
        try:
            async with asyncio.timeout(min(SNAPSHOT_TIMEOUT, self._timeout)):
                await self.nodes_by_id()
        except (NdsError, TimeoutError):
            manager_answers = False
        return SwarmSnapshot(
            nodes=tuple(self._nodes.values()),
            members=dict(self._members),
            silent=replies.silent,
            errors=replies.errors,
            unidentified={
                engine: error
                for engine, error in self._endpoint_errors.items()
                if engine not in self._members
            },
            manager_answers=manager_answers,
        )


def is_manager_unavailable(error: EngineError) -> bool:
    """Whether a manager can't answer now, where another, or the same one later, may."""
    return any(words in error.message for words in _MANAGER_UNAVAILABLE)


def endpoint_error_text(error: NdsError) -> str:
    """Return an engine's error in the words of this configuration."""
    return error.message.replace("c.NdsApp.engine_url", "c.NdsApp.endpoints")


def report_nodes(snapshot: SwarmSnapshot) -> tuple[NodeReport, ...]:
    """Report on every node, and on every endpoint that is no node's."""
    listed = {node.id for node in snapshot.nodes}
    members = {member.node_id: member for member in snapshot.members.values()}
    reports = [_report_node(node, members.get(node.id), snapshot) for node in snapshot.nodes]
    reports += [
        _report_unidentified(engine, error) for engine, error in snapshot.unidentified.items()
    ]
    reports += [
        _report_unlisted(member, snapshot)
        for member in snapshot.members.values()
        if member.node_id not in listed
    ]
    return tuple(sorted(reports, key=lambda report: report.name))


def _report_node(node: Node, member: SwarmMembership | None, snapshot: SwarmSnapshot) -> NodeReport:
    message = ""
    if node.state is NodeState.DOWN:
        message = f"{node.name} is down, says the manager. Start its engine or mend its network."
    elif member is None:
        message = (
            f"{node.name} has no endpoint that answers: its files, metrics and results can't be "
            "had. Add its engine's URL or Docker context to c.NdsApp.endpoints."
        )
    elif node.id in snapshot.silent:
        message = _silence_text(node.name, node.id, snapshot)
    reachable = not message
    if reachable and not node.active:
        message = f"{node.name} is drained or paused: it gets no new jobs."
    if not message and member is not None and not _denies_new_privileges(member):
        message = (
            f"The engine of {node.name} does not say that it sets no-new-privileges, which a "
            'service can\'t ask for: put "no-new-privileges": true into its daemon.json.'
        )
    return NodeReport(name=node.name, reachable=reachable, message=message)


def _silence_text(name: str, node_id: str, snapshot: SwarmSnapshot) -> str:
    if node_id in snapshot.errors:
        return f"{name}: {snapshot.errors[node_id]}"
    return f"The engine of {name} {snapshot.silent[node_id]}."


def _denies_new_privileges(member: SwarmMembership) -> bool:
    return any("no-new-privileges" in option for option in member.security)


def _report_unidentified(engine: NodeEngine, error: str) -> NodeReport:
    return NodeReport(name=engine.address, reachable=False, message=f"{engine.address}: {error}")


def _report_unlisted(member: SwarmMembership, snapshot: SwarmSnapshot) -> NodeReport:
    """Report on an endpoint whose node no manager lists: they are silent, or not its own."""
    if member.node_id in snapshot.silent:
        message = _silence_text(member.name, member.node_id, snapshot)
    elif not snapshot.manager_answers:
        message = f"{member.name} answers, but no manager of the Swarm does."
    else:
        message = f"{member.name} belongs to another Swarm. Take it out of c.NdsApp.endpoints."
    return NodeReport(name=member.name, reachable=False, message=message)
