"""What `%config NdsMagics` sets."""

from __future__ import annotations

from pathlib import Path

import msgspec
from IPython.core.magic import Magics
from traitlets import Bool, Float, Integer, TraitError, Unicode

from nds_jupyter.errors import InvalidRequest
from nds_jupyter.job import LARGEST
from nds_jupyter.magics.project import project_settings


class Defaults(msgspec.Struct, frozen=True, kw_only=True):
    """What a job gets whose cell does not say; None leaves it to the server.

    Parameters
    ----------
    timeout
        Seconds.
    most_of_value
        Bytes of a variable that travels.
    """

    image: str | None = None
    memory: str | None = None
    cpus: float | None = None
    timeout: float | None = None
    most_of_value: int = LARGEST


class NdsSettings(Magics):
    """The settings that all magics share."""

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

    def defaults(self) -> Defaults:
        """Return what a job gets whose cell does not say."""
        return Defaults(
            image=self.image or None,
            memory=self.memory or None,
            cpus=self.cpus,
            timeout=self.timeout,
            most_of_value=self.max_value_bytes,
        )
