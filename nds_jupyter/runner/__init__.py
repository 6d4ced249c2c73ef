"""Runner: takes jobs from accepted to finished, and resumes them after a crash.

`JobRunner` is the interface; behind it `ActiveJobs` holds the unfinished jobs, a `JobLifecycle`
moves each of them, `MetricsSampler` records what they use and `Retention` removes what is old.
"""

from __future__ import annotations

from nds_jupyter.runner.job_runner import JobRunner
from nds_jupyter.runner.runner_settings import RunnerSettings

__all__ = ["JobRunner", "RunnerSettings"]
