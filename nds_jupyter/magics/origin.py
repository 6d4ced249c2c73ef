"""Where a job comes from: its notebook and cell, as labels of the job."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Any

SESSION_NAME = "JPY_SESSION_NAME"
"""Where a Jupyter server tells a kernel the path of its notebook."""

VSCODE_NAME = "__vsc_ipynb_file__"


def origin_labels(text: str, cell_id: str | None, namespace: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels of a cell's job.

    Parameters
    ----------
    text
        The cell, of which the SHA-256 is kept.
    """
    labels = {"cell.sha256": hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()}
    notebook = os.environ.get(SESSION_NAME) or namespace.get(VSCODE_NAME)
    if notebook:
        labels["notebook"] = str(notebook)
    if cell_id:
        labels["cell.id"] = cell_id
    return labels
