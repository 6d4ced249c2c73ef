"""Line magics about jobs and their values."""

from __future__ import annotations

import argparse

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_magic, magics_class

from nds_jupyter.client import Client
from nds_jupyter.client.display import Table
from nds_jupyter.client.job import Job
from nds_jupyter.client.job_array import JobList
from nds_jupyter.errors import InvalidRequest, JobNotFound
from nds_jupyter.jobs.job import JobState
from nds_jupyter.magics.data_lines import download_data, is_data_path
from nds_jupyter.magics.interruptible_wait import CellProgress
from nds_jupyter.magics.job_options import bind_output_values
from nds_jupyter.magics.log_output import LiveLog
from nds_jupyter.magics.parser import at_least, magic_options, option, parse_time
from nds_jupyter.magics.session import MagicsSession
from nds_jupyter.values.bundle import ValueOptions
from nds_jupyter.values.output_values import output_names

JOB_ARGUMENT = option(
    "job",
    nargs="?",
    completes="job",
    help="Id, prefix, name or variable; default, or -1: the last job.",
)


NO_LIMIT = 1_000_000
"""Limit above the number of jobs that a server keeps."""


def list_jobs(client: Client, options: argparse.Namespace) -> JobList:
    """Return the jobs that the options of `%ndsjobs` select."""
    return client.jobs(
        state=options.state,
        name=options.name,
        image=options.image,
        since=parse_time(options.since) if options.since else None,
        limit=NO_LIMIT if options.all else options.limit,
    )


@magics_class
class JobLines(Magics):
    """Line magics about jobs, their results and their values.

    Parameters
    ----------
    session
        Gives the client and the last job.
    """

    def __init__(self, shell: InteractiveShell, session: MagicsSession) -> None:
        super().__init__(shell)
        self._session = session

    @line_magic
    @magic_options(
        option(
            "--state",
            type=str.upper,
            choices=[each.value for each in JobState],
            help="Only these.",
        ),
        option("--name", help="Only names that contain this."),
        option("--image", completes="image", help="Only images that contain this."),
        option("--since", help="Only jobs made since: 90m, 2h, 3d, 2026-01-31, or a full time."),
        option("--limit", type=at_least(1), default=20, help="How many at most; default 20."),
        option("--all", action="store_true", help="All of them."),
        examples="%ndsjobs --state FAILED --since 2h\n%ndsjobs --name night --all",
    )
    def ndsjobs(self, options: argparse.Namespace) -> JobList:
        """List jobs, newest first; the value's to_frame() gives a pandas data frame."""
        return list_jobs(self._session.client, options)

    @line_magic
    @magic_options(
        JOB_ARGUMENT,
        option("--tail", type=at_least(0), help="Lines from the end."),
        option("-f", "--follow", action="store_true", help="Go on until the job has ended."),
        examples="%ndslogs\n%ndslogs night --follow\n%ndslogs 9f2c --tail 20",
    )
    def ndslogs(self, options: argparse.Namespace) -> None:
        """Show the log of a job."""
        job = self._session.resolve_job(options.job)
        if options.follow:
            LiveLog(job, quiet=False, most=self._session.settings.max_log_chars).show()
            return
        print(job.logs(tail=options.tail), end="")  # noqa: T201

    @line_magic
    @magic_options(JOB_ARGUMENT, examples="%ndsstop\n%ndsstop night")
    def ndsstop(self, options: argparse.Namespace) -> Job:
        """Stop a job."""
        job = self._session.resolve_job(options.job)
        job.stop()
        return job

    @line_magic
    @magic_options(JOB_ARGUMENT, examples="%ndsinfo night")
    def ndsinfo(self, options: argparse.Namespace) -> Table:
        """Describe the container of a job."""
        view = self._session.resolve_job(options.job).info()
        rows = [(name, getattr(view, name)) for name in view.__struct_fields__]
        return Table(("what", "value"), rows)

    @line_magic
    @magic_options(JOB_ARGUMENT, examples="%ndsdiff night")
    def ndsdiff(self, options: argparse.Namespace) -> Table:
        """List what a job changed on its container's filesystem."""
        return self._session.resolve_job(options.job).diff()

    @line_magic
    @magic_options(JOB_ARGUMENT, examples="%ndsmetric night")
    def ndsmetric(self, options: argparse.Namespace) -> Table:
        """List what a job used: CPU in percent of one, the rest in bytes."""
        history = self._session.resolve_job(options.job).metrics().history
        columns = ("at", "cpu_percent", "memory_usage", "network_rx", "network_tx", "pids")
        rows = [tuple(getattr(sample, name) for name in columns) for sample in history]
        return Table(columns, rows)

    @line_magic
    @magic_options(
        JOB_ARGUMENT,
        option("path", nargs="?", default="/results", help="File or folder in the container."),
        option("--to", default=".", completes="file", help="Folder to download into."),
        option("--overwrite", action="store_true", help="Replace files that exist."),
        examples="%ndsget night --to results\n%ndsget night summary.csv\n%ndsget /home/ada/study",
    )
    def ndsget(self, options: argparse.Namespace) -> list[str]:
        """Download the results of a job, or data by its path or URL, and list the files."""
        if is_data_path(options.job):
            overwrite = options.overwrite
            paths = download_data(self._session, options.job, options.to, overwrite=overwrite)
            return [str(path) for path in paths]
        try:
            job = self._session.resolve_job(options.job)
        except JobNotFound as exc:
            raise JobNotFound(f"{exc} Data is named by a path that begins with /.") from None
        files = job.download(options.to, source=options.path, overwrite=options.overwrite)
        return [str(path) for path in files]

    @line_magic
    @magic_options(
        JOB_ARGUMENT,
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
        job = self._session.resolve_job(options.job)
        if not job.is_finished:
            raise InvalidRequest(
                f"Job {job.id} has not ended: it is {job.phase}. Its values are there when it has; "
                f"%ndslogs {job.id} -f waits for it."
            )
        names = options.names or output_names(job.raise_if_failed())
        if not names:
            raise InvalidRequest(
                f"Job {job.id} was not asked for values by --out. Name those that it wrote to "
                "/results."
            )
        value_options = ValueOptions(
            allow_pickle=options.pickle, max_size=self._session.settings.max_value_bytes
        )
        progress = CellProgress(quiet=False)
        print(bind_output_values(job, names, self._session.namespace, value_options, progress))  # noqa: T201
