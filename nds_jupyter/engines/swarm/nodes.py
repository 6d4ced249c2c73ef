"""Registry of the nodes' engines, matched by NodeID, and requests to several of them."""

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

NO_MANAGER = "not a swarm manager"

_NOT_NOW = (
    NO_MANAGER,
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
    """What the nodes said, by node id, and who said nothing.

    Parameters
    ----------
    silent
        How the sentence goes on that begins with the node's name.
    troubles
        What is known of why, as a sentence.
    """

    found: dict[str, object]
    silent: dict[str, str]
    troubles: dict[str, str]


class SwarmView(msgspec.Struct, frozen=True, kw_only=True):
    """How nodes and endpoints are.

    Parameters
    ----------
    nodes
        As a manager has seen them last.
    members
        Which node each endpoint has said that it is, now or before.
    silent, troubles
        Of nodes that say nothing now; see `NodeReplies`.
    strangers
        Why each endpoint is no node's, as a sentence.
    """

    nodes: tuple[Node, ...]
    members: dict[NodeEngine, SwarmMembership]
    silent: dict[str, str]
    troubles: dict[str, str]
    strangers: dict[NodeEngine, str]
    manager_answers: bool


def another_may_answer(error: EngineError) -> bool:
    """Whether a manager can't answer now, where another, or the same one later, may."""
    return any(words in error.message for words in _NOT_NOW)


def sentence(error: NdsError) -> str:
    """Return what an engine's silence means, in the words of this configuration."""
    return error.message.replace("c.NdsApp.engine_url", "c.NdsApp.endpoints")


def node_reports(view: SwarmView) -> tuple[NodeReport, ...]:
    """Say of every node, and of every endpoint that is no node's, how it is."""
    known = {node.id for node in view.nodes}
    members = {member.node_id: member for member in view.members.values()}
    reports = [_of_node(node, members.get(node.id), view) for node in view.nodes]
    reports += [_of_stranger(engine, said) for engine, said in view.strangers.items()]
    reports += [
        _of_member(member, view) for member in view.members.values() if member.node_id not in known
    ]
    return tuple(sorted(reports, key=lambda report: report.name))


def _of_node(node: Node, member: SwarmMembership | None, view: SwarmView) -> NodeReport:
    message = ""
    if node.state is NodeState.DOWN:
        message = f"{node.name} is down, says the manager. Start its engine or mend its network."
    elif member is None:
        message = (
            f"{node.name} has no endpoint that answers: its files, metrics and results can't be "
            "had. Add its engine's URL or Docker context to c.NdsApp.endpoints."
        )
    elif node.id in view.silent:
        message = _silence(node.name, node.id, view)
    reachable = not message
    if reachable and not node.active:
        message = f"{node.name} is drained or paused: it gets no new jobs."
    if not message and member is not None and not _keeps_privileges_down(member):
        message = (
            f"The engine of {node.name} does not say that it sets no-new-privileges, which a "
            'service can\'t ask for: put "no-new-privileges": true into its daemon.json.'
        )
    return NodeReport(name=node.name, reachable=reachable, message=message)


def _silence(name: str, node_id: str, view: SwarmView) -> str:
    if node_id in view.troubles:
        return f"{name}: {view.troubles[node_id]}"
    return f"The engine of {name} {view.silent[node_id]}."


def _keeps_privileges_down(member: SwarmMembership) -> bool:
    return any("no-new-privileges" in option for option in member.security)


def _of_stranger(engine: NodeEngine, said: str) -> NodeReport:
    return NodeReport(name=engine.address, reachable=False, message=f"{engine.address}: {said}")


def _of_member(member: SwarmMembership, view: SwarmView) -> NodeReport:
    """Report what the managers have not named: they are silent, or it is none of theirs."""
    if member.node_id in view.silent:
        message = _silence(member.name, member.node_id, view)
    elif not view.manager_answers:
        message = f"{member.name} answers, but no manager of the Swarm does."
    else:
        message = f"{member.name} belongs to another Swarm. Take it out of c.NdsApp.endpoints."
    return NodeReport(name=member.name, reachable=False, message=message)


T = TypeVar("T")

MEET_EVERY = 2.0
"""Seconds between attempts to learn which node is at an endpoint that has not said so."""

COMES_BACK = 4
"""Looks for the endpoint of a node that is well; MEET_EVERY seconds lie between two."""

BELIEVED = 1.0
"""Seconds for which what the manager said of the nodes is taken to be true."""

MANAGER_DEADLINE = 10.0
"""Seconds for an answer of one manager where another could be asked."""

LOOK_DEADLINE = 1.5
"""Seconds for the manager's view of the nodes where it is asked how all are."""


class Nodes:
    """Engines of nodes.

    Parameters
    ----------
    endpoints
        Engines in the order in which they are configured; the first manager that answers is asked.
    deadline
        Seconds for one node where all are asked.
    """

    def __init__(self, endpoints: tuple[NodeEngine, ...], deadline: float) -> None:
        self.endpoints = endpoints
        self._deadline = deadline
        self._met: dict[NodeEngine, SwarmMembership] = {}
        self._trouble: dict[NodeEngine, str] = {}
        self._look_at_all = False
        self._meeting = asyncio.Lock()
        self._met_at = float("-inf")
        self._manager: NodeEngine | None = None
        self._seen: dict[str, Node] = {}
        self._seen_at = float("-inf")
        self._down_since: dict[str, float] = {}

    async def meet(self) -> None:
        """Ask the endpoints that have not said which node they are; all of them after a change."""
        async with self._meeting:
            if time.monotonic() - self._met_at < MEET_EVERY:
                return
            unknown = [each for each in self.endpoints if self._look_at_all or self._is_new(each)]
            self._look_at_all = False
            await asyncio.gather(*map(self._meet, unknown))
            self._met_at = time.monotonic()

    def _is_new(self, engine: NodeEngine) -> bool:
        """Whether an endpoint has said nothing yet, or is a node that has left since."""
        member = self._met.get(engine)
        return member is None or bool(self._seen and member.node_id not in self._seen)

    async def _meet(self, engine: NodeEngine) -> None:
        try:
            async with asyncio.timeout(self._deadline):
                membership = await engine.membership()
        except NdsError as exc:
            self._trouble[engine] = sentence(exc)
        except TimeoutError:
            self._trouble[engine] = f"It has not answered in {self._deadline:g} s."
        else:
            self._take_note(engine, membership)

    def _take_note(self, engine: NodeEngine, membership: SwarmMembership) -> None:
        if membership.node_id:
            self._met[engine] = membership
            self._trouble.pop(engine, None)
        else:
            self._trouble[engine] = f"{membership.name} is in no Swarm: let it join (docker swarm)."

    async def engine_of(self, node_id: str) -> NodeEngine | None:
        """Return the engine of a node; None if no endpoint is known to be its."""
        for _ in range(COMES_BACK):
            if (found := self._matched().get(node_id)) is not None:
                return found
            await self.meet()
            if node_id in self._matched() or not await self._may_be_back(node_id):
                break
            await asyncio.sleep(MEET_EVERY)
        return self._matched().get(node_id)

    async def out_of_reach(self) -> dict[str, str]:
        """Return the names of the nodes that are well and have no endpoint, by id."""
        await self.meet()
        matched = self._matched()
        return {
            node.id: node.name
            for node in (await self.known()).values()
            if node.state is NodeState.READY and node.id not in matched
        }

    async def is_out_of_reach(self, node_id: str) -> bool:
        """Whether a node has no endpoint for certain; not one whose endpoint may be silent."""
        return await self.engine_of(node_id) is None and len(self._met) == len(self.endpoints)

    async def _may_be_back(self, node_id: str) -> bool:
        """Whether an endpoint that has said nothing yet may be that of this node, which is well.

        A node that has just come back gets tasks at once, before its endpoint was asked again.
        """
        if len(self._met) == len(self.endpoints):
            return False
        node = (await self.known()).get(node_id)
        return node is not None and node.state is NodeState.READY

    def _matched(self) -> dict[str, NodeEngine]:
        return {member.node_id: engine for engine, member in reversed(self._met.items())}

    async def ask_manager(self, call: Callable[[NodeEngine], Awaitable[T]]) -> T:
        """Ask the managers in turn until one answers.

        Raises
        ------
        EngineUnavailable
            If none does.
        """
        await self._meet_managers()
        trouble: NdsError | None = None
        for manager in self._managers():
            try:
                async with asyncio.timeout(MANAGER_DEADLINE):
                    answer = await call(manager)
            except TimeoutError:
                trouble = DeadlineExceeded("The manager of the Swarm has not answered in time.")
            except (EngineUnavailable, DeadlineExceeded) as exc:
                trouble = exc
            except EngineError as exc:
                if not another_may_answer(exc):
                    raise
                trouble = exc
                if NO_MANAGER in exc.message:
                    self._met[manager] = replace(self._met[manager], is_manager=False)
            else:
                self._manager = manager
                return answer
        # Another may be a manager by now.
        self._manager, self._look_at_all = None, True
        raise EngineUnavailable(
            "The Swarm does not answer, none of its managers. Start the engine of one, or add "
            "its endpoint to c.NdsApp.endpoints."
            + (f" The last one said: {trouble}" if trouble else "")
        ) from trouble

    async def _meet_managers(self) -> None:
        if self._manager is None:
            await self.meet()

    def _managers(self) -> list[NodeEngine]:
        all_of_them = [engine for engine, member in self._met.items() if member.is_manager]
        return sorted(all_of_them, key=lambda engine: engine is not self._manager)

    async def known(self) -> dict[str, Node]:
        """Return the nodes by id, as the manager saw them a moment ago."""
        if time.monotonic() - self._seen_at > BELIEVED:
            rows = await self.ask_manager(lambda manager: manager.swarm_nodes())
            self._seen = {row.id: row for row in rows}
            self._seen_at = now = time.monotonic()
            down = {row.id for row in rows if row.state is NodeState.DOWN}
            self._down_since = {each: self._down_since.get(each, now) for each in down}
        return self._seen

    async def name_of(self, node_id: str) -> str:
        """Return a node's name, or its id where nobody knows it."""
        for member in self._met.values():
            if member.node_id == node_id:
                return member.name
        found = (await self.known()).get(node_id)
        return found.name if found else node_id

    async def down_for(self, node_id: str) -> float | None:
        """Return for how many seconds a node has been down; None if it is not, or not known so."""
        known = await self.known()
        if node_id and node_id not in known:
            return float("inf")
        since = self._down_since.get(node_id)
        return None if since is None else time.monotonic() - since

    async def ask_each(self, call: Callable[[NodeEngine], Awaitable[T]]) -> NodeReplies:
        """Ask every node that has an endpoint, in parallel, none longer than the deadline."""
        await self.meet()
        return await self._ask_met(call)

    async def _ask_met(self, call: Callable[[NodeEngine], Awaitable[T]]) -> NodeReplies:
        found: dict[str, object] = {}
        silent: dict[str, str] = {}
        troubles: dict[str, str] = {}

        async def ask(node_id: str, engine: NodeEngine) -> None:
            try:
                async with asyncio.timeout(self._deadline):
                    found[node_id] = await call(engine)
            except TimeoutError:
                silent[node_id] = f"has not answered in {self._deadline:g} s"
            except NdsError as exc:
                silent[node_id] = "does not answer"
                troubles[node_id] = sentence(exc)

        await asyncio.gather(*(ask(*each) for each in self._matched().items()))
        # The order of the answers must not decide which node's is the first.
        return NodeReplies(found=dict(sorted(found.items())), silent=silent, troubles=troubles)

    async def look(self) -> SwarmView:
        """Look at every endpoint and ask a manager, and return what is known then."""
        answers, _ = await asyncio.gather(
            self._ask_met(lambda each: each.membership()), self.meet()
        )
        matched = self._matched()
        for node_id, member in answers.found.items():
            self._take_note(matched[node_id], cast("SwarmMembership", member))
        manager_answers = True
        try:
            async with asyncio.timeout(min(LOOK_DEADLINE, self._deadline)):
                await self.known()
        except (NdsError, TimeoutError):
            manager_answers = False
        return SwarmView(
            nodes=tuple(self._seen.values()),
            members=dict(self._met),
            silent=answers.silent,
            troubles=answers.troubles,
            strangers={each: said for each, said in self._trouble.items() if each not in self._met},
            manager_answers=manager_answers,
        )
