"""Panels in a notebook: jobs, one job, the data."""

from __future__ import annotations

from nds_jupyter.widgets.panels import DataBrowser, JobPanel, Panel

__all__ = ["DataBrowser", "JobPanel", "Panel"]
