"""A notebook cell runs as a container job beside the data it needs.

Hooks only: the server extension, the IPython extension, the public names and the methods of a job
that packages above the client provide, each imported when used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from nds_jupyter._version import __version__
from nds_jupyter.client.job_methods import register_job_method

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from nds_jupyter.client import Client
    from nds_jupyter.client.job import Job
    from nds_jupyter.client.job_array import gather
    from nds_jupyter.widgets import DataBrowser, JobPanel

__all__ = ["Client", "DataBrowser", "Job", "JobPanel", "__version__", "gather"]

_PUBLIC = {
    "Client": "nds_jupyter.client.client",
    "DataBrowser": "nds_jupyter.widgets",
    "Job": "nds_jupyter.client.job",
    "JobPanel": "nds_jupyter.widgets",
    "gather": "nds_jupyter.client.job_array",
}

register_job_method("panel", "nds_jupyter.widgets:JobPanel")
register_job_method("value", "nds_jupyter.values.output_values:load_value")
register_job_method("values", "nds_jupyter.values.output_values:load_values")


def __getattr__(name: str) -> object:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _jupyter_server_extension_points() -> list[dict[str, object]]:
    from nds_jupyter.app import NdsApp

    return [{"module": "nds_jupyter", "app": NdsApp}]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Load the magics: ``%load_ext nds_jupyter``."""
    from nds_jupyter.magics.extension import register_magics

    register_magics(shell)
