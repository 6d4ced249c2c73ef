"""Errors of the server that have several causes, told apart by a question to the zone."""

from __future__ import annotations

from typing import Any

from irods.exception import HIERARCHY_ERROR
from irods.models import Collection, DataObject, Resource

from nds_jupyter.data.irods.exceptions import (
    BUSY,
    CLIENT_ERRORS,
    STORAGE_DOWN,
    map_exception,
    server_code,
)
from nds_jupyter.data.irods.server_codes import code_of, thousands

_BEING_WRITTEN = frozenset({"2", "3", "4"})
"""Statuses of a replica: intermediate, and locked for reading or for writing."""

_NO_REPLICA = frozenset({thousands(HIERARCHY_ERROR.code), code_of("SYS_NO_GOOD_REPLICA")})


def diagnose(exc: Exception, session: Any, paths: tuple[str, ...], named: str) -> OSError:
    """Return the `OSError` for an exception of the client.

    Parameters
    ----------
    session
        Of the account that met it.
    paths
        The objects or collections that the request was about.
    named
        What the sentence names.
    """
    if thousands(server_code(exc)) not in _NO_REPLICA:
        return map_exception(exc, named)
    try:
        found = set().union(*(_statuses(session, path) for path in paths))
    except CLIENT_ERRORS:
        return map_exception(exc, named)
    if any(replica in _BEING_WRITTEN for replica, _ in found):
        return BUSY.error(named)
    if any(resource.endswith("down") for _, resource in found):
        return STORAGE_DOWN.error(named)
    # Whoever wrote it can be done by now.
    return map_exception(exc, named)


def _statuses(session: Any, path: str) -> set[tuple[str, str]]:
    """Return the status of each replica, and of the resource that stores it."""
    parent, _, name = path.rpartition("/")
    query = session.query(DataObject.replica_status, Resource.status).filter(
        Collection.name == parent, DataObject.name == name
    )
    return {(str(row[DataObject.replica_status]), str(row[Resource.status])) for row in query.all()}
