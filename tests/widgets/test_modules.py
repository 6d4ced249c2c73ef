"""The front end's modules as files: what they import, and where they are described."""

from __future__ import annotations

import re
from graphlib import TopologicalSorter
from pathlib import Path

from nds_jupyter.widgets.panels import STATIC

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "development.md"
IMPORT = re.compile(r'^(?:import|export)\b[^"\';]*?"\./([\w.]+)"', re.MULTILINE)


def imports() -> dict[str, set[str]]:
    return {path.name: set(IMPORT.findall(path.read_text("utf-8"))) for path in STATIC.glob("*.js")}


def test_modules_import_each_other_without_a_circle() -> None:
    # A page that gets them from a kernel gives a module its address after those that it imports.
    order = list(TopologicalSorter(imports()).static_order())
    assert order.index("dom.js") < order.index("job_details.js") < order.index("panels.js")


def test_every_module_is_described() -> None:
    described = set(re.findall(r"`(\w+\.js)`", DOCUMENT.read_text("utf-8")))
    assert described == set(imports())
