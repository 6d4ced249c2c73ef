"""The line magics about the server."""

from __future__ import annotations

import argparse

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_magic, magics_class

from nds_jupyter.client.reprs import Table
from nds_jupyter.magics.parser import takes
from nds_jupyter.magics.session import Session


@magics_class
class ServerLines(Magics):
    """Line magics about the server."""

    def __init__(self, shell: InteractiveShell, session: Session) -> None:
        super().__init__(shell)
        self._session = session

    @line_magic
    @takes(examples="%ndsimages")
    def ndsimages(self, options: argparse.Namespace) -> Table:
        """List the images that a job may use."""
        del options
        rows = [
            (f"{each.name}:{each.tag}", each.size, each.present)
            for each in self._session.client.images()
        ]
        return Table(("image", "size", "present"), rows)

    @line_magic
    @takes(examples="%ndsdoctor")
    def ndsdoctor(self, options: argparse.Namespace) -> Table:
        """Look at everything between this notebook and a container, and say what to do."""
        del options
        from nds_jupyter.client.doctor import diagnose

        return diagnose(lambda: self._session.client)
