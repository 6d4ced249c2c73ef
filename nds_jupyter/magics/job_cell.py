"""Cell magic `%%ndsjob`: it submits the cell as a job and shows it to its end."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, magics_class, no_var_expand

from nds_jupyter.client.display import StatusLine
from nds_jupyter.client.job import Job
from nds_jupyter.client.job_array import JobArray
from nds_jupyter.client.submit import open_files, request_fields
from nds_jupyter.errors import TooLarge
from nds_jupyter.jobs.byte_sizes import size_text
from nds_jupyter.jobs.job import JobState
from nds_jupyter.jobs.script import extract_cell
from nds_jupyter.magics.cell_source import origin_labels
from nds_jupyter.magics.error_display import raise_if_failed
from nds_jupyter.magics.interruptible_wait import (
    CellProgress,
    describe_job,
    run_to_end,
    watch_in_background,
)
from nds_jupyter.magics.job_options import (
    CellContext,
    cell_options,
    configured_defaults,
    job_fields,
    run_completion_hooks,
)
from nds_jupyter.magics.log_output import LiveLog
from nds_jupyter.magics.parser import magic_options
from nds_jupyter.magics.session import MagicsSession


def render_template(text: str, namespace: Mapping[str, Any]) -> str:
    """Render a cell as a Jinja2 template over the notebook's variables.

    The sandbox keeps a template from calling what is private to an object; a variable that is
    missing is an error rather than nothing.

    Raises
    ------
    UsageError
        If it can't be rendered.
    """
    try:
        from jinja2 import StrictUndefined, TemplateError
        from jinja2.sandbox import SandboxedEnvironment
    except ImportError as exc:
        raise UsageError("--render needs Jinja2: pip install jinja2.") from exc
    # The cell is a script, and no markup.
    environment = SandboxedEnvironment(
        undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    try:
        return environment.from_string(text).render(namespace)
    except TemplateError as exc:
        line = getattr(exc, "lineno", None)
        where = f"line {line} of the cell: " if line else ""
        raise UsageError(f"--render: {where}{exc.message}.") from exc


MAX_SHOWN_CHARACTERS = 20_000
"""Length of a field above which it is not shown."""


class RequestPreview:
    """Request that ``--dry-run`` shows and does not make.

    Parameters
    ----------
    fields
        Those of ``POST /upload``.
    """

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.fields = dict(fields)

    def __repr__(self) -> str:
        shown = {name: _abridge(value) for name, value in self.fields.items() if name != "script"}
        text = json.dumps(shown, indent=2, ensure_ascii=False, default=str)
        script = self.fields.get("script")
        cell = extract_cell(self.fields.get("file") or b"")
        if cell is not None:
            script = cell.decode("utf-8", "replace")
        return f"POST /upload {text}" + (f"\n\n{script}" if script is not None else "")


def _abridge(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"({size_text(len(value))})"
    if isinstance(value, str) and len(value) > MAX_SHOWN_CHARACTERS:
        return f"({len(value)} characters)"
    return value


EXAMPLES = """
A script, its image and its limits:

    %%ndsjob --image python:3.12-slim --memory 1g --timeout 600
    print("hello from a container")

Variables of the notebook go in, and come back:

    %%ndsjob --in numbers --out ordered
    ordered = sorted(numbers)

Packages, installed once in an image that is built first:

    %%ndsjob --requirements numpy scipy>=1.11
    import scipy; print(scipy.__version__)

Data by its path, found in /data; what is written under /results is delivered:

    %%ndsjob --data study/heights.csv --output study/summary
    rows = open("/data/heights.csv").readlines()
    print(len(rows), file=open("/results/count.txt", "w"))

Another language: a shebang, or --cmd:

    %%ndsjob --image debian:12
    #!/bin/sh
    nproc

A long job, in the background:

    %%ndsjob --detach --name night --job night
    import time; time.sleep(36000)

The same script at many points, a job each:

    %%ndsjob --sweep lr=0.1,0.01 --sweep seed=range(5) --max-concurrent 4
    import os; print(os.environ["NDS_SWEEP_LR"], os.environ["NDS_SWEEP_SEED"])

Afterwards %ndslogs, %ndsget and %ndsstop take a job's id, name or variable, and mean the last job
without one; %ndsjobs lists them. If something does not work, %ndsdoctor says why.
"""
"""Examples in the help of `%%ndsjob`."""


EMPTY_CELL = (
    "%%ndsjob: the cell is empty. Write the script below this line, for example "
    'print("hello from a container"). %%ndsjob? shows more examples.'
)


@magics_class
class JobCell(Magics):
    """Runs cells as container jobs beside the data they need.

    Parameters
    ----------
    session
        Gives the client, the settings and the cell's text.
    """

    def __init__(self, shell: InteractiveShell, session: MagicsSession) -> None:
        super().__init__(shell)
        self._session = session
        self._settings = session.settings

    @no_var_expand
    @cell_magic
    @magic_options(*cell_options(), examples=EXAMPLES)
    def ndsjob(self, options: argparse.Namespace, cell: str) -> Job | JobArray | RequestPreview:
        """Run this cell in a container, its log live below; the cell's value is the job.

        The text reaches the container as it is. Interrupting the cell stops the job. What it writes
        under /results can be downloaded afterwards.
        """
        cell = self._session.source.script(cell)
        if not cell.strip():
            raise UsageError(EMPTY_CELL)
        context = self._create_context(cell, options)
        fields = self._request_fields(options, context)
        self._print_notes(context, options)
        sweep = {name: fields.pop(name, None) for name in ("sweep", "max_concurrent")}
        if options.dry_run:
            with open_files(fields.pop("files", None)) as files:
                return RequestPreview(request_fields(**fields, **sweep, files=files))
        fields["progress"] = context.upload_progress
        if sweep["sweep"] is not None:
            return self._run_sweep(fields | sweep, options, context)
        return self._run_job(fields, options, context)

    def _create_context(self, cell: str, options: argparse.Namespace) -> CellContext:
        namespace = self._session.namespace
        return CellContext(
            text=render_template(cell, namespace) if options.render else cell,
            defaults=configured_defaults(self._settings),
            namespace=namespace,
            upload_progress=CellProgress(quiet=self._is_quiet(options)),
        )

    def _is_quiet(self, options: argparse.Namespace) -> bool:
        return bool(options.quiet or self._settings.quiet)

    def _request_fields(self, options: argparse.Namespace, context: CellContext) -> dict[str, Any]:
        """Return the arguments of `Client.submit`, with labels of the cell's provenance."""
        fields = job_fields(options, context)
        source = self._session.source
        origin = origin_labels(context.text, source.cell_id, context.namespace)
        return {**fields, "labels": {**origin, **(fields.get("labels") or {})}}

    def _run_sweep(
        self, fields: dict[str, Any], options: argparse.Namespace, context: CellContext
    ) -> JobArray:
        jobs = run_to_end(
            lambda: self._session.client.submit_sweep(**fields),
            lambda jobs: self._show_array(jobs, options),
            JobArray.progress,
            context.upload_progress,
        )
        raises = self._settings.raises and not (options.no_raise or options.detach)
        return jobs.raise_if_failed() if raises else jobs

    def _run_job(
        self, fields: dict[str, Any], options: argparse.Namespace, context: CellContext
    ) -> Job:
        job = run_to_end(
            lambda: self._submit(fields, options),
            lambda job: self._show(job, options),
            describe_job,
            context.upload_progress,
        )
        if not options.no_raise and self._settings.raises:
            raise_if_failed(job)
        if job.state is JobState.COMPLETED:
            run_completion_hooks(options, job, context)
            self._print_notes(context, options)
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
        """Show the jobs of a sweep by a progress bar until their end."""
        if options.job:
            self._session.namespace[options.job] = jobs
        if not options.detach:
            jobs.wait((lambda _: None) if self._is_quiet(options) else StatusLine().show)

    def _print_notes(self, context: CellContext, options: argparse.Namespace) -> None:
        """Print the notes of the options, once."""
        for note in () if self._is_quiet(options) else context.notes:
            print(note)  # noqa: T201
        context.notes.clear()

    def _show(self, job: Job, options: argparse.Namespace) -> None:
        self._session.last_job = job
        if options.job:
            self._session.namespace[options.job] = job
        if options.detach:
            watch_in_background(job)
        else:
            log = LiveLog(job, quiet=self._is_quiet(options), most=self._settings.max_log_chars)
            log.show()
            if not job.is_finished:
                watch_in_background(job, log.status)
