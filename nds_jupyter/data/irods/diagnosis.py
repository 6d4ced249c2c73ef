"""Errors of the server that have several causes, told apart by a question to the zone."""

from __future__ import annotations

from typing import Any

from irods.exception import HIERARCHY_ERROR
from irods.models import Collection, DataObject, Resource

from nds_jupyter.data.irods.exceptions import (
    BUSY,
    CLIENT_ERRORS,
    STORAGE_DOWN,
    TICKET_MISSING,
    TICKET_REFUSED,
    TICKET_UNANSWERED,
    is_timeout,
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
    error = map_exception(exc, named)
    if session.ticket__:
        error = _told_of_ticket(error, exc, named)
    if thousands(server_code(exc)) not in _NO_REPLICA:
        return error
    try:
        found = set().union(*(_statuses(session, path) for path in paths))
    except CLIENT_ERRORS:
        return error
    if any(replica in _BEING_WRITTEN for replica, _ in found):
        return BUSY.error(named)
    if any(resource.endswith("down") for _, resource in found):
        return STORAGE_DOWN.error(named)
    # Whoever wrote it can be done by now.
    return error


def _told_of_ticket(error: OSError, exc: Exception, named: str) -> OSError:
    """Name the ticket as a cause: the server takes a wrong one, and answers as without one then."""
    if type(error) is FileNotFoundError:
        return TICKET_MISSING.error(named)
    if type(error) is PermissionError:
        return TICKET_REFUSED.error(named)
    unanswered = "Could not receive server response" in str(exc) and not is_timeout(exc)
    return TICKET_UNANSWERED.error(named) if unanswered else error


def _statuses(session: Any, path: str) -> set[tuple[str, str]]:
    """Return the status of each replica, and of the resource that stores it."""
    parent, _, name = path.rpartition("/")
    query = session.query(DataObject.replica_status, Resource.status).filter(
        Collection.name == parent, DataObject.name == name
    )
    return {(str(row[DataObject.replica_status]), str(row[Resource.status])) for row in query.all()}
