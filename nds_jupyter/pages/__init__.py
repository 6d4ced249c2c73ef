"""What open pages are told: transitions of jobs, logs, metrics, the load of the engine.

`Pages` listens to the runner; one `Page` stands for each WebSocket. An owner's job messages lie in
one `Feed`, the lines of a followed log in one `FollowedLog`; pages only have positions in them.
"""

from __future__ import annotations

from nds_jupyter.pages.core import Pages
from nds_jupyter.pages.page import Page

__all__ = ["Page", "Pages"]
