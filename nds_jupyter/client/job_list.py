"""Jobs that show as a table."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from nds_jupyter.client import reprs
from nds_jupyter.client.job import Job
from nds_jupyter.views import JobView


class JobList(list[Job]):
    """Jobs that show as a table."""

    def to_frame(self) -> Any:
        """Return the jobs as a pandas data frame, a column for each field.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        import pandas as pd

        rows = [msgspec.to_builtins(job.view, builtin_types=(datetime,)) for job in self]
        columns = list(JobView.__struct_fields__)
        frame = pd.DataFrame(rows, columns=columns)
        for name in ("created", "started", "finished"):
            frame[name] = pd.to_datetime(frame[name], utc=True)
        return frame.drop(columns="progress")

    def _table(self) -> reprs.Table:
        return reprs.job_table([job.view for job in self])

    def __repr__(self) -> str:
        return repr(self._table())

    def _repr_html_(self) -> str:
        return self._table()._repr_html_()
