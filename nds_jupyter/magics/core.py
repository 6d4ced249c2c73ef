"""`%%ndsjob` and the line magics around it."""

from __future__ import annotations

import shlex
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring
from traitlets import Bool, Float, Integer, Unicode

from nds_jupyter.client import Client, Job, JobList
from nds_jupyter.errors import InvalidRequest, JobNotFound
from nds_jupyter.magics.failure import in_a_sentence
from nds_jupyter.magics.live import LiveLog
from nds_jupyter.reprs import Table


@magics_class
class NdsMagics(Magics):
    """Runs cells as container jobs beside the data they need."""

    url = Unicode("", help="The Jupyter server's base URL; empty: found by itself.").tag(
        config=True
    )
    token = Unicode("", help="Its token; empty: found by itself.").tag(config=True)
    image = Unicode("", help="Image of jobs that name none; empty: the server's.").tag(config=True)
    memory = Unicode("", help="Memory of jobs that ask for none.").tag(config=True)
    cpus = Float(None, allow_none=True, help="CPUs of jobs that ask for none.").tag(config=True)
    timeout = Float(None, allow_none=True, help="Time limit in seconds.").tag(config=True)
    quiet = Bool(False, help="Show no log while a job runs.").tag(config=True)
    raises = Bool(True, help="Raise when a job fails.").tag(config=True)
    max_log_chars = Integer(
        2_000_000, help="Characters of a log shown live; a notebook chokes on more."
    ).tag(config=True)

    _client: Client | None = None
    _client_of: tuple[str, str] = ("", "")
    _last: Job | None = None

    @property
    def client(self) -> Client:
        """The client for the configured server."""
        wanted = (self.url, self.token)
        if self._client is None or self._client_of != wanted:
            self._client = Client(*wanted)
            self._client_of = wanted
        return self._client

    @property
    def _namespace(self) -> dict[str, Any]:
        return {} if self.shell is None else self.shell.user_ns

    @no_var_expand
    @magic_arguments()
    @argument("--image", help="Image, like python:3.11-slim; default: the server's.")
    @argument("--name", help="A name to find the job by.")
    @argument("--scriptname", help="File name of the cell; its suffix chooses the interpreter.")
    @argument("--cmd", help="Command to run instead, like --cmd 'bash -x /nds/cell.sh'.")
    @argument("--env", action="append", default=[], metavar="NAME=VALUE", help="Repeatable.")
    @argument("--cpus", type=float, help="CPUs, like 0.5 or 4.")
    @argument("--memory", help="Memory, like 512m or 2g.")
    @argument("--timeout", type=float, help="Seconds after which the job is stopped.")
    @argument("--network", choices=["none", "bridge"], help="Network of the container.")
    @argument("--detach", action="store_true", help="Return at once, and let it run.")
    @argument("--quiet", action="store_true", help="Show no log.")
    @argument("--no-raise", action="store_true", help="Raise no error when the job fails.")
    @argument("--job", metavar="NAME", help="Bind the job to this variable.")
    @cell_magic
    @in_a_sentence
    def ndsjob(self, line: str, cell: str) -> Job:
        """Run this cell in a container, its log live below; the cell's value is the job.

        The text reaches the container as it is. What it writes under /results can be downloaded::

            %%ndsjob --image python:3.11-slim --memory 1g
            print("hello from a container")

        Interrupting the cell stops the job.
        """
        options = parse_argstring(NdsMagics.ndsjob, line)
        job = self.client.submit(
            cell,
            image=options.image or self.image or None,
            name=options.name,
            scriptname=options.scriptname or _scriptname(cell, options.cmd),
            command=shlex.split(_unquoted(options.cmd)) if options.cmd else None,
            env=dict(map(_variable, options.env)),
            cpus=options.cpus or self.cpus,
            memory=options.memory or self.memory or None,
            timeout=options.timeout or self.timeout,
            network=options.network,
        )
        self._last = job
        if options.job:
            self._namespace[options.job] = job
        if options.detach:
            return job
        LiveLog(job, quiet=options.quiet or self.quiet, most=self.max_log_chars).show()
        return job if options.no_raise or not self.raises else job.raise_if_failed()

    @magic_arguments()
    @argument("--state", choices=["RUNNING", "COMPLETED", "FAILED", "UNKNOWN"], help="Only these.")
    @argument("--name", help="Only names that contain this.")
    @argument("--limit", type=int, default=20, help="How many at most.")
    @line_magic
    @in_a_sentence
    def ndsjobs(self, line: str) -> JobList:
        """List jobs, newest first."""
        options = parse_argstring(NdsMagics.ndsjobs, line)
        return self.client.jobs(state=options.state, name=options.name, limit=options.limit)

    @magic_arguments()
    @argument("job", nargs="?", help="Id, prefix, name or variable; default: the last job.")
    @argument("--tail", type=int, help="Lines from the end.")
    @argument("-f", "--follow", action="store_true", help="Go on until the job has ended.")
    @line_magic
    @in_a_sentence
    def ndslogs(self, line: str) -> None:
        """Show the log of a job."""
        options = parse_argstring(NdsMagics.ndslogs, line)
        job = self._job(options.job)
        if options.follow:
            LiveLog(job, quiet=False, most=self.max_log_chars).show()
            return
        print(job.logs(tail=options.tail), end="")  # noqa: T201

    @line_magic
    @in_a_sentence
    def ndsstop(self, line: str) -> Job:
        """Stop a job: its id, prefix, name or variable; default: the last job."""
        job = self._job(line)
        job.stop()
        return job

    @line_magic
    @in_a_sentence
    def ndsinfo(self, line: str) -> Table:
        """Describe the container of a job."""
        view = self._job(line).info()
        rows = [(name, getattr(view, name)) for name in view.__struct_fields__]
        return Table(("what", "value"), rows)

    @line_magic
    @in_a_sentence
    def ndsdiff(self, line: str) -> Table:
        """List what a job changed on its container's filesystem."""
        return self._job(line).diff()

    @line_magic
    @in_a_sentence
    def ndsmetric(self, line: str) -> Table:
        """List what a job used: CPU in percent of one, the rest in bytes."""
        history = self._job(line).metrics().history
        columns = ("at", "cpu_percent", "memory_usage", "network_rx", "network_tx", "pids")
        rows = [tuple(getattr(sample, name) for name in columns) for sample in history]
        return Table(columns, rows)

    @magic_arguments()
    @argument("job", nargs="?", help="Id, prefix, name or variable; default: the last job.")
    @argument("path", nargs="?", default="/results", help="File or folder in the container.")
    @argument("--to", default=".", help="Folder to download into.")
    @argument("--overwrite", action="store_true", help="Replace files that exist.")
    @line_magic
    @in_a_sentence
    def ndsget(self, line: str) -> list[str]:
        """Download the results of a job, and list the files."""
        options = parse_argstring(NdsMagics.ndsget, line)
        job = self._job(options.job)
        files = job.download(options.to, source=options.path, overwrite=options.overwrite)
        return [str(path) for path in files]

    @line_magic
    @in_a_sentence
    def ndsimages(self, line: str) -> Table:
        """List the images that a job may use."""
        _expect_nothing("ndsimages", line)
        rows = [
            (f"{each.name}:{each.tag}", each.size, each.present) for each in self.client.images()
        ]
        return Table(("image", "size", "present"), rows)

    def _job(self, text: str | None) -> Job:
        """Return the job that a user means: a variable, an id, a prefix, a name; -1 is the last."""
        word = (text or "").strip()
        if word in {"", "-1"}:
            if self._last is None:
                raise InvalidRequest("No job was submitted from this kernel yet. Give an id.")
            return self._last.refresh()
        known = self._namespace.get(word)
        if isinstance(known, Job):
            return known.refresh()
        try:
            return self.client.job(word)
        except JobNotFound:
            for job in self.client.jobs(name=word):
                if job.view.name == word:
                    return job
            raise


def _scriptname(cell: str, command: str | None) -> str:
    return "cell" if cell.startswith("#!") or command else "cell.py"


def _unquoted(text: str) -> str:
    # IPython leaves the quotes of an argument on it.
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1] if quoted else text


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = _unquoted(text).partition("=")
    if not equals or not name:
        raise UsageError(f"--env: {text!r} is not NAME=VALUE.")
    return name, value


def _expect_nothing(magic: str, line: str) -> None:
    if line.strip():
        raise UsageError(f"%{magic} takes no arguments, but got {line.strip()!r}.")
