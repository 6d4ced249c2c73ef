"""What goes into a container, known before anything moves."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec

from nds_jupyter.data.entries import Entry
from nds_jupyter.data.reading import DROPPED, PAUSE_FIRST
from nds_jupyter.data.store import DataStore
from nds_jupyter.datapaths import LONGEST_PATH, join, parent_of
from nds_jupyter.errors import Conflict, Forbidden, InvalidRequest, TooLarge
from nds_jupyter.jobs import Input
from nds_jupyter.sizes import size_text


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One collection or object, and its absolute path in the container."""

    entry: Entry
    target: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that goes into one container, what holds others before what it holds.

    Parameters
    ----------
    size
        Bytes of all objects together.
    """

    members: tuple[Member, ...]
    size: int


async def make_plan(store: DataStore, inputs: tuple[Input, ...], most: int) -> Plan:
    """Look at all inputs, recursively.

    Parameters
    ----------
    most
        Entries at most: a plan is held in memory.

    Raises
    ------
    NdsError
        What is wrong with them: a path that is not there, two that go to one place, too many.
    """
    failures = 0
    while True:
        try:
            return await _look(store, inputs, most)
        except DROPPED:
            failures += 1
            if failures > store.retries:
                raise
            await asyncio.sleep(PAUSE_FIRST * 2**failures)


async def _look(store: DataStore, inputs: tuple[Input, ...], most: int) -> Plan:
    found: dict[str, Member] = {}
    for each in inputs:
        top = await store.entry(each.path)
        _add(found, Member(entry=top, target=each.to), most)
        if top.is_collection:
            async with contextlib.aclosing(store.walk(each.path)) as entries:
                async for entry in entries:
                    below = entry.path[len(each.path.rstrip("/")) + 1 :]
                    _add(found, Member(entry=entry, target=join(each.to, below)), most)
    for member in found.values():
        _expect_room(found, member)
    await _expect_readable(store, found)
    members = tuple(sorted(found.values(), key=lambda member: member.target.split("/")))
    return Plan(members=members, size=sum(member.entry.size for member in members))


def _add(found: dict[str, Member], member: Member, most: int) -> None:
    if len(member.target.encode()) > LONGEST_PATH:
        raise InvalidRequest(f"{member.entry.path[:80]}… has too long a path for a container.")
    other = found.setdefault(member.target, member)
    if other is not member and not (other.entry.is_collection and member.entry.is_collection):
        raise Conflict(
            f"{other.entry.path} and {member.entry.path} would both be {member.target} in the "
            "container."
        )
    if len(found) > most:
        raise TooLarge(f"The inputs are more than {most} collections and objects. Pack some.")


def _expect_room(found: dict[str, Member], member: Member) -> None:
    """Raise if an object stands where a collection must be."""
    above = parent_of(member.target)
    while above != "/":
        holder = found.get(above)
        if holder is not None and not holder.entry.is_collection:
            raise Conflict(
                f"{member.entry.path} would be {member.target} in the container, inside of the "
                f"data object {holder.entry.path}."
            )
        above = parent_of(above)


async def _expect_readable(store: DataStore, found: dict[str, Member]) -> None:
    entries = [member.entry for member in found.values() if not member.entry.is_collection]
    hidden = await store.unreadable([entry.path for entry in entries])
    if hidden is not None:
        raise Forbidden(
            f"{hidden}: the account of the data root may not read it. Ask the owner of the data "
            "for that."
        )


def expect_space(plan: Plan, free: int | None) -> None:
    """Raise `TooLarge` if the container's disk can't take what is planned."""
    if free is not None and plan.size > free:
        raise TooLarge(
            f"The inputs have {size_text(plan.size)}, and the engine's disk has only "
            f"{size_text(free)} left. Free space there, or name fewer inputs."
        )
