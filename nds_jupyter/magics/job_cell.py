"""`%%ndsjob`: a cell becomes a job."""

from __future__ import annotations

import argparse
from typing import Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, magics_class, no_var_expand

from nds_jupyter.client.job import Job
from nds_jupyter.client.job_array import JobArray
from nds_jupyter.client.local_files import opened
from nds_jupyter.client.status_line import StatusLine
from nds_jupyter.client.submission import request_fields
from nds_jupyter.errors import TooLarge
from nds_jupyter.jobs import JobState
from nds_jupyter.magics.background import announce
from nds_jupyter.magics.cell_run import job_line, run_to_end
from nds_jupyter.magics.defaults import defaults_of
from nds_jupyter.magics.examples import CELLS
from nds_jupyter.magics.failure import raise_if_failed
from nds_jupyter.magics.job_options import cell_options, job_fields, job_finished
from nds_jupyter.magics.live import LiveLog
from nds_jupyter.magics.option_groups import CellContext
from nds_jupyter.magics.origin import origin_labels
from nds_jupyter.magics.parser import takes
from nds_jupyter.magics.preview import Preview
from nds_jupyter.magics.render import rendered
from nds_jupyter.magics.sending import Sending
from nds_jupyter.magics.session import Session

NOTHING_TO_RUN = (
    "%%ndsjob: the cell is empty. Write the script below this line, for example "
    'print("hello from a container"). %%ndsjob? shows more examples.'
)


@magics_class
class JobCell(Magics):
    """Runs cells as container jobs beside the data they need.

    Parameters
    ----------
    session
        The client, the settings and the cell's text.
    """

    def __init__(self, shell: InteractiveShell, session: Session) -> None:
        super().__init__(shell)
        self._session = session
        self._settings = session.settings

    @no_var_expand
    @cell_magic
    @takes(*cell_options(), examples=CELLS)
    def ndsjob(self, options: argparse.Namespace, cell: str) -> Job | JobArray | Preview:
        """Run this cell in a container, its log live below; the cell's value is the job.

        The text reaches the container as it is. Interrupting the cell stops the job. What it writes
        under /results can be downloaded afterwards.
        """
        cell = self._session.source.body(cell)
        if not cell.strip():
            raise UsageError(NOTHING_TO_RUN)
        text = rendered(cell, self._session.namespace) if options.render else cell
        quiet = options.quiet or self._settings.quiet
        context = CellContext(
            text=text,
            defaults=defaults_of(self._settings),
            namespace=self._session.namespace,
            sending=Sending(quiet=quiet),
        )
        fields = job_fields(options, context)
        origin = origin_labels(text, self._session.source.cell_id, self._session.namespace)
        fields["labels"] = {**origin, **(fields.get("labels") or {})}
        self._tell(context, options)
        sweep, most = fields.pop("sweep", None), fields.pop("max_concurrent", None)
        if options.dry_run:
            with opened(fields.pop("files", None)) as files:
                asked = request_fields(**fields, sweep=sweep, max_concurrent=most, files=files)
            return Preview(asked)
        fields["progress"] = context.sending
        if sweep is not None:
            jobs = run_to_end(
                lambda: self._session.client.submit_sweep(sweep, max_concurrent=most, **fields),
                lambda jobs: self._show_array(jobs, options),
                JobArray.progress,
                context.sending,
            )
            raises = self._settings.raises and not (options.no_raise or options.detach)
            return jobs.raise_if_failed() if raises else jobs
        job = run_to_end(
            lambda: self._submit(fields, options),
            lambda job: self._show(job, options),
            job_line,
            context.sending,
        )
        if not options.no_raise and self._settings.raises:
            raise_if_failed(job)
        if job.state is JobState.COMPLETED:
            job_finished(options, job, context)
            self._tell(context, options)
        return job

    def _submit(self, fields: dict[str, Any], options: argparse.Namespace) -> Job:
        try:
            return self._session.client.submit(**fields)
        except TooLarge as exc:
            if not options.ins and not options.outs:
                raise
            raise TooLarge(
                "--in, --out: the cell, its values and what carries them are more than the server "
                "takes. Write large values to a file, put that into the data root by %ndsput, and "
                f"name it by --data. The server said: {exc}"
            ) from exc

    def _show_array(self, jobs: JobArray, options: argparse.Namespace) -> None:
        """Show the jobs of a sweep by a bar of progress until their end."""
        if options.job:
            self._session.namespace[options.job] = jobs
        if not options.detach:
            quiet = options.quiet or self._settings.quiet
            jobs.wait((lambda _: None) if quiet else StatusLine().show)

    def _tell(self, context: CellContext, options: argparse.Namespace) -> None:
        """Show what the options noted, once."""
        for note in () if options.quiet or self._settings.quiet else context.notes:
            print(note)  # noqa: T201
        context.notes.clear()

    def _show(self, job: Job, options: argparse.Namespace) -> None:
        self._session.last = job
        if options.job:
            self._session.namespace[options.job] = job
        if options.detach:
            announce(job)
        else:
            log = LiveLog(
                job, quiet=options.quiet or self._settings.quiet, most=self._settings.max_log_chars
            )
            log.show()
            if not job.is_finished:
                announce(job, log.status)
