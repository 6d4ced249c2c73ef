"""The magics: parse a line, call the client, return an object."""

from __future__ import annotations

from nds_jupyter.magics.core import NdsMagics

__all__ = ["NdsMagics"]
