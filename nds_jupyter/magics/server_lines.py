"""Line magics about the server, and those that show panels."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_magic, magics_class

from nds_jupyter.client.display import Table
from nds_jupyter.magics.parser import magic_options, option
from nds_jupyter.magics.session import MagicsSession

if TYPE_CHECKING:
    from nds_jupyter.widgets import Panel


DOCK_OPTION = option(
    "--dock",
    action="store_true",
    help="Show it beside the notebook; needs the package sidecar.",
)


@magics_class
class PanelLines(Magics):
    """Line magics that show panels."""

    def __init__(self, shell: InteractiveShell, session: MagicsSession) -> None:
        super().__init__(shell)
        self._session = session

    @line_magic
    @magic_options(
        option("job", nargs="?", completes="job", help="Id, prefix, name or variable."),
        DOCK_OPTION,
        examples="%ndspanel\n%ndspanel night --dock",
    )
    def ndspanel(self, options: argparse.Namespace) -> Any:
        """Show the panel of all jobs, or of one."""
        # Widgets take longer to import than all magics together.
        from nds_jupyter.widgets import JobPanel

        job = self._session.resolve_job(options.job) if options.job else ""
        panel = JobPanel(job, self._session.client)
        return _show_panel(panel, "NDS jobs", docked=options.dock)

    @line_magic
    @magic_options(
        option("path", nargs="?", default="", completes="data", help="Collection; default: home."),
        DOCK_OPTION,
        examples="%ndsdata /home/ada/study",
    )
    def ndsdata(self, options: argparse.Namespace) -> Any:
        """Browse the data root."""
        from nds_jupyter.widgets import DataBrowser

        browser = DataBrowser(options.path, self._session.client)
        return _show_panel(browser, "NDS data", docked=options.dock)


def _show_panel(panel: Panel, title: str, *, docked: bool) -> Panel | None:
    if not docked:
        return panel
    try:
        panel.dock(title)
    except ImportError as exc:
        raise UsageError("--dock needs a package: pip install sidecar.") from exc
    return None


@magics_class
class ServerLines(Magics):
    """Line magics about the server."""

    def __init__(self, shell: InteractiveShell, session: MagicsSession) -> None:
        super().__init__(shell)
        self._session = session

    @line_magic
    @magic_options(examples="%ndsimages")
    def ndsimages(self, options: argparse.Namespace) -> Table:
        """List the images that a job may use."""
        del options
        rows = [
            (f"{each.name}:{each.tag}", each.size, each.present)
            for each in self._session.client.images()
        ]
        return Table(("image", "size", "present"), rows)

    @line_magic
    @magic_options(examples="%ndsdoctor")
    def ndsdoctor(self, options: argparse.Namespace) -> Table:
        """Look at everything between this notebook and a container, and say what to do."""
        del options
        from nds_jupyter.client.doctor import diagnose

        return diagnose(lambda: self._session.client)
