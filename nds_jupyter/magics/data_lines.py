"""Line magics about the data root."""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_magic, magics_class

from nds_jupyter.client.display import Table
from nds_jupyter.data.entries import Avu, Kind
from nds_jupyter.jobs.logical_paths import is_url
from nds_jupyter.magics.log_output import ProgressLine
from nds_jupyter.magics.parser import at_least, magic_options, option
from nds_jupyter.magics.session import MagicsSession

PATH_ARGUMENT = option(
    "path",
    completes="data",
    help="A path of the data root, from your home if it has no slash at its beginning; or a URL.",
)


def is_data_path(word: str | None) -> bool:
    """Return whether a word is a path of the data root, and not the id or name of a job."""
    return bool(word) and (str(word).startswith("/") or is_url(str(word)))


def download_data(session: MagicsSession, path: str, to: str, *, overwrite: bool) -> list[Path]:
    """Download from the data root, with a progress bar."""
    return session.client.data.get(path, to, overwrite=overwrite, progress=ProgressLine())


@magics_class
class DataLines(Magics):
    """Line magics about the data root.

    Parameters
    ----------
    session
        Gives the client.
    """

    def __init__(self, shell: InteractiveShell, session: MagicsSession) -> None:
        super().__init__(shell)
        self._session = session

    @line_magic
    @magic_options(
        option("path", nargs="?", completes="data", help="A collection; default: your home."),
        option("--q", metavar="TEXT", help="Only names that contain this."),
        option("--limit", type=at_least(1), default=100, help="How many at most."),
        examples="%ndsls\n%ndsls /home/ada/study --q .csv",
    )
    def ndsls(self, options: argparse.Namespace) -> Table:
        """List a collection of the data root."""
        entries = self._session.client.data.list(options.path, q=options.q)
        rows = [
            (
                f"{row.path}/" if row.kind is Kind.COLLECTION else row.path,
                row.size,
                row.modified,
            )
            for row in islice(entries, options.limit)
        ]
        return Table(("path", "size", "modified"), rows)

    @line_magic
    @magic_options(
        option("source", completes="file", help="A file or folder here."),
        option(
            "path",
            nargs="?",
            default="./",
            completes="data",
            help="Where it is to be in the data root; with a slash at its end, the collection that "
            "it goes into; default: your home.",
        ),
        option("--overwrite", action="store_true", help="Replace objects that exist."),
        examples="%ndsput heights.csv\n%ndsput heights.csv /home/ada/study/",
    )
    def ndsput(self, options: argparse.Namespace) -> list[str]:
        """Upload a file or a folder to the data root, and list the objects."""
        rows = self._session.client.data.put(
            options.source, options.path, overwrite=options.overwrite, progress=ProgressLine()
        )
        return [row.path for row in rows]

    @line_magic
    @magic_options(
        PATH_ARGUMENT,
        option(
            "--set",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="Let this be the one value of a name; repeatable.",
        ),
        option("--unit", default="", help="The unit of what is set."),
        option("--remove", action="append", default=[], metavar="NAME", help="A name; repeatable."),
        examples="%ndsmeta /home/ada/heights.csv --set quality=checked --remove draft",
    )
    def ndsmeta(self, options: argparse.Namespace) -> Table:
        """Show the metadata of an object or collection, after changing it if asked."""
        data = self._session.client.data
        avus = data.metadata(options.path)
        if options.set or options.remove:
            added = [_parse_avu(text, options.unit) for text in options.set]
            removed = {avu.name for avu in added} | set(options.remove)
            remaining = [avu for avu in avus if avu.name not in removed]
            avus = data.set_metadata(options.path, [*remaining, *added])
        rows = [(avu.name, avu.value, avu.unit) for avu in avus]
        return Table(("name", "value", "unit"), rows)


def _parse_avu(text: str, unit: str) -> Avu:
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise UsageError(f"--set: {text!r} is not NAME=VALUE.")
    return Avu(name=name, value=value, unit=unit)
