"""The line magic that brings values back from a job that ran in the background."""

from __future__ import annotations

import argparse

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_magic, magics_class

from nds_jupyter.errors import InvalidRequest
from nds_jupyter.magics.job_lines import JOB
from nds_jupyter.magics.parser import option, takes
from nds_jupyter.magics.sending import Sending
from nds_jupyter.magics.session import Session
from nds_jupyter.magics.value_options import bring_back
from nds_jupyter.values.fetching import names_of
from nds_jupyter.values.packing import Terms


@magics_class
class ValueLines(Magics):
    """Values of jobs that no cell waits for.

    Parameters
    ----------
    session
        The client and the last job.
    """

    def __init__(self, shell: InteractiveShell, session: Session) -> None:
        super().__init__(shell)
        self._session = session

    @line_magic
    @takes(
        JOB,
        option("names", nargs="*", metavar="NAME", help="Only these, NAME or NAME.FORMAT."),
        option(
            "--pickle",
            action="store_true",
            help="Also load pickles. Loading one runs what is in it, so use it only where you "
            "trust the container.",
        ),
        examples="%ndsvalues\n%ndsvalues night\n%ndsvalues night ordered",
    )
    def ndsvalues(self, options: argparse.Namespace) -> None:
        """Bind the variables that a job left by --out, after --detach or "send to background"."""
        job = self._session.job(options.job)
        if not job.is_finished:
            raise InvalidRequest(
                f"Job {job.id} has not ended: it is {job.phase}. Its values are there when it has; "
                f"%ndslogs {job.id} -f waits for it."
            )
        names = options.names or names_of(job.raise_if_failed())
        if not names:
            raise InvalidRequest(
                f"Job {job.id} was not asked for values by --out. Name those that it wrote to "
                "/results."
            )
        terms = Terms(allow_pickle=options.pickle, most=self._session.settings.max_value_bytes)
        sending = Sending(quiet=False)
        print(bring_back(job, names, self._session.namespace, terms, sending))  # noqa: T201
