"""Interface of the handlers of API calls: caller, body and reply."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol
from xml.etree.ElementTree import Element

from tests.irods_zone.codes import CallError, Status
from tests.irods_zone.descriptors import Descriptors
from tests.irods_zone.permissions import Identity
from tests.irods_zone.store import Store


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer to a call."""

    status: int = Status.OK
    body: str = ""
    error: str = ""


class Caller(Protocol):
    """The side of a session that handlers see."""

    store: Store
    descriptors: Descriptors
    identity: Identity | None
    listings: dict[int, Iterator[str]]

    @property
    def who(self) -> Identity:
        """Who the connection acts for."""


class Handler(Protocol):
    """Answers one kind of call."""

    def __call__(self, caller: Caller, body: Element) -> Reply:
        """Do what the call asks."""


def as_admin(caller: Caller, words: dict[str, str]) -> bool:
    """Whether a call asks for an administrator's rights; refused to everybody else."""
    if "irodsAdmin" not in words:
        return False
    if not caller.who.admin:
        raise CallError(Status.INSUFFICIENT_PRIVILEGE)
    return True
