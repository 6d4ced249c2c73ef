"""The nodes' engines, matched by NodeID, and the managers among them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from nds_jupyter.engines.base import NodeReport
from nds_jupyter.engines.swarm.node_engine import Membership, NodeEngine
from nds_jupyter.engines.swarm.tasks import Node, NodeState
from nds_jupyter.errors import DeadlineExceeded, EngineError, EngineUnavailable, NdsError

T = TypeVar("T")

MEET_EVERY = 2.0
"""Seconds between attempts to learn which node is at an endpoint that has not said so."""

COMES_BACK = 4
"""Looks for the endpoint of a node that is well; MEET_EVERY seconds lie between two."""

BELIEVED = 1.0
"""Seconds for which what the manager said of the nodes is taken to be true."""

MANAGER_DEADLINE = 10.0
"""Seconds for an answer of one manager where another could be asked."""

_NOT_NOW = (
    "not a swarm manager",
    "does not have a leader",
    "no leader",
    "deadline exceeded",
    # The engine is ending or beginning, and its own manager does not listen.
    "code = Unavailable",
)


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """What the nodes said, by node id, and who said nothing."""

    found: dict[str, object]
    silent: dict[str, str]


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
        self._met: dict[NodeEngine, Membership] = {}
        self._meeting = asyncio.Lock()
        self._met_at = float("-inf")
        self._manager: NodeEngine | None = None
        self._seen: dict[str, Node] = {}
        self._seen_at = float("-inf")
        self._down_since: dict[str, float] = {}

    async def meet(self) -> None:
        """Ask the endpoints that have not said which node they are."""
        async with self._meeting:
            if time.monotonic() - self._met_at < MEET_EVERY:
                return
            unknown = [each for each in self.endpoints if each not in self._met]
            await asyncio.gather(*map(self._meet, unknown))
            self._met_at = time.monotonic()

    async def _meet(self, engine: NodeEngine) -> None:
        try:
            async with asyncio.timeout(self._deadline):
                membership = await engine.membership()
        except (NdsError, TimeoutError):
            return
        if membership.node_id:
            self._met[engine] = membership

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
                if not any(words in exc.message for words in _NOT_NOW):
                    raise
                trouble = exc
                self._met.pop(manager, None)
            else:
                self._manager = manager
                return answer
        if self._manager is not None:
            # Another may lead by now, or be one since an endpoint came back.
            self._manager = None
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

    async def ask_each(self, call: Callable[[NodeEngine], Awaitable[T]]) -> Answers:
        """Ask every node that has an endpoint, in parallel, none longer than the deadline."""
        await self.meet()
        found: dict[str, object] = {}
        silent: dict[str, str] = {}

        async def ask(node_id: str, engine: NodeEngine) -> None:
            try:
                async with asyncio.timeout(self._deadline):
                    found[node_id] = await call(engine)
            except TimeoutError:
                silent[node_id] = f"has not answered in {self._deadline:g} s"
            except NdsError:
                silent[node_id] = "does not answer"

        await asyncio.gather(*(ask(*each) for each in self._matched().items()))
        # The order of the answers must not decide which node's is the first.
        return Answers(found=dict(sorted(found.items())), silent=silent)

    async def reports(self) -> tuple[NodeReport, ...]:
        """Say of every node, and of every endpoint that is no node's, how it is."""
        answers = await self.ask_each(lambda engine: engine.membership())
        known = await self.known()
        matched = self._matched()
        reports = [_report(node, node.id in matched, answers) for node in known.values()]
        for number, engine in enumerate(self.endpoints, start=1):
            member = self._met.get(engine)
            if member is None or member.node_id not in known:
                reports.append(_stranger(number, member))
        return tuple(sorted(reports, key=lambda report: report.name))


def _report(node: Node, has_endpoint: bool, answers: Answers) -> NodeReport:
    message = ""
    if node.state is NodeState.DOWN:
        message = f"{node.name} is down, says the manager. Start its engine or mend its network."
    elif not has_endpoint:
        message = (
            f"{node.name} has no endpoint that answers: its files, metrics and results can't be "
            "had. Add its engine's URL or Docker context to c.NdsApp.endpoints."
        )
    elif node.id in answers.silent:
        message = f"The engine of {node.name} {answers.silent[node.id]}."
    reachable = not message
    if reachable and not node.active:
        message = f"{node.name} is drained or paused: it gets no new jobs."
    member = answers.found.get(node.id)
    if not message and isinstance(member, Membership) and not _keeps_privileges_down(member):
        message = (
            f"The engine of {node.name} does not say that it sets no-new-privileges, which a "
            'service can\'t ask for: put "no-new-privileges": true into its daemon.json.'
        )
    return NodeReport(name=node.name, reachable=reachable, message=message)


def _keeps_privileges_down(member: Membership) -> bool:
    return any("no-new-privileges" in option for option in member.security)


def _stranger(number: int, member: Membership | None) -> NodeReport:
    if member is None:
        message = f"Endpoint {number} of c.NdsApp.endpoints does not answer, or is in no Swarm."
        return NodeReport(name=f"endpoint {number}", reachable=False, message=message)
    message = f"{member.name} belongs to another Swarm. Take it out of c.NdsApp.endpoints."
    return NodeReport(name=member.name, reachable=False, message=message)
