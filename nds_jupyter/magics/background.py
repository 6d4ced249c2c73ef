"""A job that runs on while other cells run announces its end where it was started."""

from __future__ import annotations

import threading

from nds_jupyter.client import reprs
from nds_jupyter.client.job import Job
from nds_jupyter.client.status_line import StatusLine
from nds_jupyter.errors import NdsError
from nds_jupyter.jobs import JobState
from nds_jupyter.values.fetching import names_of


def announce(job: Job, status: StatusLine | None = None) -> None:
    """Show that a job runs, and change that line when it has ended.

    Parameters
    ----------
    status
        The line; a new one where left out.
    """
    status = status or StatusLine()
    status.show(f"{reprs.headline(job.view)}. This line tells when it has ended.")

    def watch() -> None:
        try:
            ended = reprs.headline(job.wait().view)
            names = " and ".join(names_of(job)) if job.state is JobState.COMPLETED else ""
            hint = f". %ndsvalues {job.id} brings {names} back" if names else ""
            status.show(f"{ended}{hint}")
        except NdsError as exc:
            status.show(f"Job {job.id}: its end is not known. {exc}")

    threading.Thread(target=watch, name=f"nds-watch-{job.id}", daemon=True).start()
