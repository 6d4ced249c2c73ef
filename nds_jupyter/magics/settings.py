"""What `%config NdsMagics` sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from traitlets import Bool, Float, Integer, TraitError, Unicode
from traitlets.config import Configurable

from nds_jupyter.errors import InvalidRequest
from nds_jupyter.magics.project import project_settings
from nds_jupyter.values import LARGEST


class NdsMagics(Configurable):
    """The settings that all magics share, as `%config` knows them.

    Parameters
    ----------
    shell
        Its `%config` gets these instead of what an earlier load left there.
    """

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

    max_value_bytes = Integer(
        LARGEST, min=1, help="Bytes that a value of --in or --out may have as a file."
    ).tag(config=True)

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(parent=shell)
        known: list[Any] = shell.configurables
        known[:] = [each for each in known if type(each).__name__ != type(self).__name__]
        known.append(self)

    def read_project(self, folder: Path) -> None:
        """Take over what `[tool.nds]` says, unless `%config` or a profile has set it.

        Raises
        ------
        InvalidRequest
            If the table is wrong.
        """
        names = [name for name in self.trait_names(config=True) if name not in {"url", "token"}]
        for name, value in project_settings(folder, names).items():
            if name in self.config.get("NdsMagics", {}):
                continue
            try:
                self.set_trait(name, value)
            except TraitError as exc:
                raise InvalidRequest(f"[tool.nds] {name}: {exc}") from exc
