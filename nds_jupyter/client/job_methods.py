"""Registry of the methods of `Job` that packages above the client provide.

A job's values are loaded by one package and its panel is drawn by another, and both import the
client. The client therefore knows their methods by name only: `nds_jupyter` registers where each is
found, and it is imported when it is first called.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from nds_jupyter.errors import NdsError

_providers: dict[str, str] = {}


def register_job_method(name: str, provider: str) -> None:
    """Register the function that carries out a method of `Job`.

    Parameters
    ----------
    name
        The method.
    provider
        ``package.module:function``; the function takes the job, then the method's own arguments.
    """
    _providers[name] = provider


def job_method(name: str) -> Callable[..., Any]:
    """Import and return the function that carries out a method of `Job`.

    Raises
    ------
    NdsError
        If none is registered.
    """
    provider = _providers.get(name)
    if provider is None:
        raise NdsError(f"job.{name}() is not there: nothing has registered it.")
    module, _, function = provider.partition(":")
    implementation: Callable[..., Any] = getattr(import_module(module), function)
    return implementation
