"""The nodes' engines, matched by NodeID, and the managers among them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast

from msgspec.structs import replace

from nds_jupyter.engines.swarm.answers import (
    NO_MANAGER,
    Answers,
    View,
    another_may_answer,
    sentence,
)
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
        self._met: dict[NodeEngine, Membership] = {}
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

    def _take_note(self, engine: NodeEngine, membership: Membership) -> None:
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

    async def ask_each(self, call: Callable[[NodeEngine], Awaitable[T]]) -> Answers:
        """Ask every node that has an endpoint, in parallel, none longer than the deadline."""
        await self.meet()
        return await self._ask_met(call)

    async def _ask_met(self, call: Callable[[NodeEngine], Awaitable[T]]) -> Answers:
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
        return Answers(found=dict(sorted(found.items())), silent=silent, troubles=troubles)

    async def look(self) -> View:
        """Look at every endpoint and ask a manager, and return what is known then."""
        answers, _ = await asyncio.gather(
            self._ask_met(lambda each: each.membership()), self.meet()
        )
        matched = self._matched()
        for node_id, member in answers.found.items():
            self._take_note(matched[node_id], cast("Membership", member))
        manager_answers = True
        try:
            async with asyncio.timeout(min(LOOK_DEADLINE, self._deadline)):
                await self.known()
        except (NdsError, TimeoutError):
            manager_answers = False
        return View(
            nodes=tuple(self._seen.values()),
            members=dict(self._met),
            silent=answers.silent,
            troubles=answers.troubles,
            strangers={each: said for each, said in self._trouble.items() if each not in self._met},
            manager_answers=manager_answers,
        )
