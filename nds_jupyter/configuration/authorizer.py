"""Authorizer for a shared server: users may use jobs and nothing else of Jupyter."""

from __future__ import annotations

from typing import Any

from jupyter_server.auth.authorizer import Authorizer


class JobsOnlyAuthorizer(Authorizer):
    """Lets users who are known to the identity provider use the resource `nds` only.

    A server that runs jobs for many has an account that may use the Docker Engine. Whoever could
    start a kernel or a terminal there would be that account, so everything but jobs is refused::

        c.ServerApp.authorizer_class = "nds_jupyter.configuration.authorizer.JobsOnlyAuthorizer"
    """

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        """Return whether the request is about jobs; owners are told apart by the routes."""
        del handler, user, action
        return resource == "nds"
