"""What a Dockerfile is built from, and what is refused because it could hide an image."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nds_jupyter.admission.dockerfiles import (
    has_from,
    parse_dockerfile,
    requirements_dockerfile,
    requirements_text,
)
from nds_jupyter.errors import InvalidRequest

STAGES = """# syntax=docker/dockerfile:1
FROM nds/a:1 AS Made
RUN make \\
  # a comment between
  all
FROM --platform=linux/amd64 nds/b:2
COPY --chown=1:1 --from=made /x /x
COPY --from=0 /y /y
COPY --from=nds/c:3 /z /z
from made
"""


def test_every_image_is_found_and_stages_are_none() -> None:
    read = parse_dockerfile(STAGES)
    assert read.images == ("nds/a:1", "nds/b:2", "nds/c:3")
    assert read.dockerfile == STAGES


def test_continued_instruction_is_read_as_the_engine_joins_it() -> None:
    assert parse_dockerfile("FR\\\nOM nds/a\\\n:1\n").images == ("nds/a:1",)


@pytest.mark.parametrize(
    "line",
    [
        "FROM $BASE",
        "FROM ${BASE}:1",
        'FROM "evil"',
        "FROM a b",
        "COPY . /",
        "COPY --from=$X /a /b",
        'COPY --fr"om"=evil /a /b',
        "COPY --from=a --from=b /a /b",
        "ADD http://example.org/x /x",
        "ONBUILD COPY --from=evil /a /b",
        "ONBU\u0130LD COPY --from=evil /a /b",
        "RUN --mount=type=bind,from=evil true",
        "RUN cat <<EOF",
        "RUN echo \\\\",
        "# escape=`",
        "RUN true \\",
        "INCLUDE evil",
        "RUN \0",
    ],
)
def test_what_could_hide_an_image_or_needs_files_is_refused(line: str) -> None:
    with pytest.raises(InvalidRequest, match="dockerfile"):
        parse_dockerfile(f"FROM nds/a:1\n{line}\n")


@given(st.lists(st.sampled_from(["FROM x", "\\", "\n", " ", "#", "RUN a", "COPY --from=x", "/a"])))
def test_an_image_on_a_line_of_its_own_is_found_or_the_text_refused(parts: list[str]) -> None:
    text = "FROM nds/a:1\n" + "".join(parts) + "\nFROM evil\nRUN true"
    try:
        read = parse_dockerfile(text)
    except InvalidRequest:
        return
    assert "evil" in read.images or "\\" in text


def test_requirements_are_lines_from_packages_or_a_text() -> None:
    assert requirements_text(("numpy", "pandas>=2")) == "numpy\npandas>=2\n"
    assert requirements_text("numpy\r\n# why\n") == "numpy\n# why\n"
    for nothing in ("", " \n", ()):
        with pytest.raises(InvalidRequest, match="empty"):
            requirements_text(nothing)
    with pytest.raises(InvalidRequest, match="longer"):
        requirements_text("x" * 70_000)


def test_our_own_recipe_installs_on_top_of_the_image() -> None:
    made = requirements_dockerfile("nds/python:3.11").dockerfile
    assert made.startswith("FROM nds/python:3.11\n")
    assert has_from(made)
    assert not has_from("RUN true")
