"""What docs/ says of the code is made from the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dev.reference import DOCS, pages

ROOT = DOCS.parent
WRITTEN = sorted([*DOCS.glob("**/*.md"), *ROOT.glob("*.md"), *ROOT.glob("benchmarks/*.md")])


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.name)
def test_generated_part_is_up_to_date(path: Path) -> None:
    assert path.read_text("utf-8") == pages()[path], "run `make docs`"


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.name)
def test_relative_links_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", path.read_text("utf-8"))
    missing = [target for target in targets if not (path.parent / target).exists()]
    assert not missing
