"""What is known of one job: its record on the server, as it was last asked for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from typing import Any, Self

from nds_jupyter import routes
from nds_jupyter.client import reprs
from nds_jupyter.client.patience import Patience
from nds_jupyter.client.transport import Transport
from nds_jupyter.errors import ServerNotFound
from nds_jupyter.jobs import JobState, Phase
from nds_jupyter.views import JobView

LONGEST_WAIT = 20.0
"""Seconds after which a server that is waited for is asked again."""


class JobRecord:
    """One job; its properties are those of the last `refresh`."""

    def __init__(self, transport: Transport, view: JobView) -> None:
        self._transport = transport
        self.view = view

    @property
    def id(self) -> str:
        """Its id: 16 hexadecimal digits."""
        return self.view.job_id

    @property
    def state(self) -> JobState:
        """RUNNING, COMPLETED, FAILED or UNKNOWN."""
        return self.view.state

    @property
    def phase(self) -> Phase:
        """Where it stands, finer than its state."""
        return self.view.phase

    @property
    def exit_code(self) -> int | None:
        """The script's exit code; None before its end."""
        return self.view.exit_code

    @property
    def is_finished(self) -> bool:
        """Whether it has reached its end."""
        return self.view.phase is Phase.FINISHED

    def refresh(self) -> Self:
        """Ask the server anew, and return this job."""
        self.view = self._transport.call("GET", routes.UPLOAD, JobView, params=self._id())
        return self

    def _id(self, **query: Any) -> dict[str, Any]:
        given = {key: value for key, value in query.items() if value is not None}
        return {"job_id": self.id, **given}

    def wait(self, timeout: float | None = None) -> Self:
        """Wait until it has ended, and return it; a server that is away for a while is waited for.

        Parameters
        ----------
        timeout
            Seconds; None for no bound.

        Raises
        ------
        TimeoutError
            If it has not ended by then; it goes on.
        """
        patience = Patience()
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            left = LONGEST_WAIT if until is None else max(0.0, until - time.monotonic())
            try:
                self._refresh_at_end(min(left, LONGEST_WAIT))
            except ServerNotFound as exc:
                patience.wait(exc)
                continue
            patience.answered()
            if self.is_finished:
                return self
            if until is not None and time.monotonic() >= until:
                raise TimeoutError(f"Job {self.id} has not ended after {timeout:g} s; it goes on.")

    def _refresh_at_end(self, seconds: float) -> None:
        """Ask anew; the server answers when the job has ended, or after some seconds."""
        query = self._id(wait=seconds)
        self.view = self._transport.call(
            "GET", routes.UPLOAD, JobView, params=query, timeout=seconds + 30
        )

    def __await__(self) -> Generator[Any, None, Self]:
        return asyncio.to_thread(self.wait).__await__()

    def __repr__(self) -> str:
        return reprs.headline(self.view)

    def _repr_html_(self) -> str:
        return reprs.job_html(self.view)
