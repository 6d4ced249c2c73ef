"""`--render`: the cell as a template over the notebook's variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from IPython.core.error import UsageError


def rendered(text: str, namespace: Mapping[str, Any]) -> str:
    """Return the text that a Jinja2 template gives.

    The sandbox keeps a template from calling what is private to an object; a variable that is
    missing is an error rather than nothing.

    Raises
    ------
    UsageError
        If it can't be rendered.
    """
    try:
        from jinja2 import StrictUndefined, TemplateError
        from jinja2.sandbox import SandboxedEnvironment
    except ImportError as exc:
        raise UsageError("--render needs Jinja2: pip install jinja2.") from exc
    # The cell is a script, and no markup.
    environment = SandboxedEnvironment(
        undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    try:
        return environment.from_string(text).render(namespace)
    except TemplateError as exc:
        line = getattr(exc, "lineno", None)
        where = f"line {line} of the cell: " if line else ""
        raise UsageError(f"--render: {where}{exc.message}.") from exc
