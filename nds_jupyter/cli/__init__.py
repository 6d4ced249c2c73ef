"""Command line: `python -m nds_jupyter submit|jobs|logs|stop|get|doctor`."""

from nds_jupyter.cli.program import main

__all__ = ["main"]
