"""Takes jobs from accepted to finished, and resumes after a crash.

`JobRunner` is the front; behind it `Board` holds the jobs under way, one `Walk` moves each of them,
`Sampler` records what they use and `Retention` removes what is old.
"""

from __future__ import annotations

from nds_jupyter.runner.job_runner import JobRunner
from nds_jupyter.runner.settings import RunnerSettings

__all__ = ["JobRunner", "RunnerSettings"]
