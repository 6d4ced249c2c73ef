"""`%%ndsjob`: a cell becomes a job."""

from __future__ import annotations

import argparse
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import cell_magic, magics_class, no_var_expand

from nds_jupyter.errors import TooLarge
from nds_jupyter.job import Job
from nds_jupyter.job_array import JobArray
from nds_jupyter.jobs import JobState
from nds_jupyter.magics.background import announce
from nds_jupyter.magics.cell_run import GRACE, run_to_end
from nds_jupyter.magics.failure import interrupted
from nds_jupyter.magics.job_options import job_fields, job_finished, job_options
from nds_jupyter.magics.live import LiveLog, StatusLine
from nds_jupyter.magics.option_groups import CellContext
from nds_jupyter.magics.origin import origin_labels
from nds_jupyter.magics.parser import option, takes
from nds_jupyter.magics.preview import Preview
from nds_jupyter.magics.render import rendered
from nds_jupyter.magics.session import Session
from nds_jupyter.magics.settings import NdsSettings
from nds_jupyter.submission import request_fields


@magics_class
class NdsMagics(NdsSettings):
    """Runs cells as container jobs beside the data they need."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self.session = Session(shell, self)

    @no_var_expand
    @cell_magic
    @takes(
        *job_options(),
        option("--detach", action="store_true", help="Return at once, and let it run."),
        option("--quiet", action="store_true", help="Show no log."),
        option("--no-raise", action="store_true", help="Raise no error when the job fails."),
        option("--job", metavar="NAME", help="Bind the job to this variable."),
        option(
            "--render",
            action="store_true",
            help="Take the cell for a Jinja2 template over the notebook's variables: {{ name }}.",
        ),
        option("--dry-run", action="store_true", help="Show what would be sent, and send nothing."),
    )
    def ndsjob(self, options: argparse.Namespace, cell: str) -> Job | JobArray | Preview:
        """Run this cell in a container, its log live below; the cell's value is the job.

        The text reaches the container as it is. What it writes under /results can be downloaded::

            %%ndsjob --image python:3.11-slim --memory 1g
            print("hello from a container")

        Interrupting the cell stops the job.
        """
        cell = self.session.source.body(cell)
        text = rendered(cell, self.session.namespace) if options.render else cell
        context = CellContext(text=text, defaults=self.defaults(), namespace=self.session.namespace)
        fields = job_fields(options, context)
        origin = origin_labels(text, self.session.source.cell_id, self.session.namespace)
        fields["labels"] = {**origin, **(fields.get("labels") or {})}
        self._tell(context, options)
        sweep, most = fields.pop("sweep", None), fields.pop("max_concurrent", None)
        if options.dry_run:
            return Preview(request_fields(**fields, sweep=sweep, max_concurrent=most))
        if sweep is not None:
            jobs = self.session.client.submit_sweep(sweep, max_concurrent=most, **fields)
            return self._array(jobs, options)
        job = run_to_end(
            lambda: self._submit(fields, options), lambda job: self._show(job, options)
        )
        if not options.no_raise and self.raises:
            job.raise_if_failed()
        if job.state is JobState.COMPLETED:
            job_finished(options, job, context)
            self._tell(context, options)
        return job

    def _submit(self, fields: dict[str, Any], options: argparse.Namespace) -> Job:
        try:
            return self.session.client.submit(**fields)
        except TooLarge as exc:
            if not options.ins:
                raise
            raise TooLarge(
                "--in: the cell and its values are more than the server takes as a script. Write "
                "large values to a file, and name that by --data, or ask for a larger "
                f"c.NdsApp.max_script_bytes. The server said: {exc}"
            ) from exc

    def _array(self, jobs: JobArray, options: argparse.Namespace) -> JobArray:
        """Wait for the jobs of a sweep with a bar of progress; an interrupt stops them."""
        if options.job:
            self.session.namespace[options.job] = jobs
        if options.detach:
            return jobs
        status = StatusLine()
        try:
            jobs.wait((lambda _: None) if options.quiet or self.quiet else status.show)
        except KeyboardInterrupt:
            status.show(f"Stopping {len(jobs)} jobs …")
            status.show(jobs.stop(GRACE).progress())
            raise interrupted() from None
        raises = not options.no_raise and self.raises
        return jobs.raise_if_failed() if raises else jobs

    def _tell(self, context: CellContext, options: argparse.Namespace) -> None:
        """Show what the options noted, once."""
        for note in () if options.quiet or self.quiet else context.notes:
            print(note)  # noqa: T201
        context.notes.clear()

    def _show(self, job: Job, options: argparse.Namespace) -> None:
        self.session.last = job
        if options.job:
            self.session.namespace[options.job] = job
        if options.detach:
            announce(job)
        else:
            log = LiveLog(job, quiet=options.quiet or self.quiet, most=self.max_log_chars)
            log.show()
            if not job.is_finished:
                announce(job, log.status)
