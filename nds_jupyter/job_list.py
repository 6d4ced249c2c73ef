"""Jobs that show as a table."""

from __future__ import annotations

from nds_jupyter import reprs
from nds_jupyter.job import Job


class JobList(list[Job]):
    """Jobs that show as a table."""

    def _table(self) -> reprs.Table:
        return reprs.job_table([job.view for job in self])

    def __repr__(self) -> str:
        return repr(self._table())

    def _repr_html_(self) -> str:
        return self._table()._repr_html_()
