"""The words of the command line: the options of the magics, help, and what a wrong one says."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from IPython.core.error import UsageError

from nds_jupyter.cli import main
from nds_jupyter.cli.program import (
    COMMANDS,
    NOTEBOOK_OPTIONS,
    PROGRAM,
    format_examples,
    parse_arguments,
)
from nds_jupyter.magics.parser import LineParser, MagicOption
from nds_jupyter.magics.registry import line_parsers

ONLY_IN_A_CELL = {"--in", "--out", "--pickle", "--render", "--job", "--no-raise"}
"""Options that are about variables of a notebook, or the end of its cell."""

MAGIC_OF = {"submit": "%%ndsjob"}
"""Commands that have another name than ``%nds`` and theirs."""


def magic(command: str) -> LineParser:
    return line_parsers()[MAGIC_OF.get(command, f"%nds{command}")]()


def flags(options: tuple[MagicOption, ...]) -> set[str]:
    return {flag for each in options for flag in each.flags}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda each: each.name)
def test_command_takes_what_its_magic_takes(command) -> None:  # type: ignore[no-untyped-def]
    less = ONLY_IN_A_CELL if command.name == "submit" else set()
    more = {"file"} if command.name == "submit" else set()
    assert flags(command.options) == flags(magic(command.name).options) - less | more


@pytest.mark.parametrize("command", COMMANDS, ids=lambda each: each.name)
def test_help_has_every_option_and_examples_that_can_be_typed(command, capsys) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SystemExit) as end:
        main([command.name, "--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert command.summary in " ".join(shown.split())
    assert all(flag in shown for flag in flags(command.options))
    assert format_examples(command) in shown
    for line in format_examples(command).splitlines():
        words = shlex.split(line.partition(PROGRAM)[2])
        assert parse_arguments(words).run is command.run


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["submit", "--imge", "x", "a.py"], "no option --imge; did you mean --image?"),
        (["submit", "--in", "x", "a.py"], "--in is for notebooks"),
        (["submit", "--in", "x", "a.py"], "--env NAME=VALUE"),
        (["submit", "--out=x", "a.py"], "--output PATH or the command get"),
        (["submit", "--pickle", "a.py"], "--pickle is for notebooks"),
        (["submit", "--render", "a.py"], "--render is for notebooks"),
        (["submit", "--job", "x", "a.py"], "--name NAME"),
        (["submit", "--no-raise", "a.py"], "its exit code"),
        (["submit", "--cpus", "many", "a.py"], "--cpus: 'many' is not a number"),
        (["submit"], "there is something missing: file"),
        (["logs", "9f2c", "--folow"], "did you mean --follow?"),
        (["stop", "one", "two"], "one word too many, 'two'"),
        (["frobnicate"], "there is no 'frobnicate'; there are 'submit', 'jobs'"),
        ([], "there is something missing: COMMAND"),
    ],
)
def test_wrong_words_say_what_is_wrong(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match="--help shows what it takes") as error:
        parse_arguments(words)
    assert message in str(error.value)


def test_every_option_of_a_cell_alone_has_something_instead() -> None:
    assert set(NOTEBOOK_OPTIONS) == ONLY_IN_A_CELL


def test_packages_do_not_take_in_the_script() -> None:
    options = parse_arguments(
        ["submit", "--requirements", "numpy", "--requirements", "scipy", "fit.py"]
    )
    assert (options.requirements, options.file) == (["numpy", "scipy"], "fit.py")


def test_last_job_is_a_word_and_no_option() -> None:
    assert parse_arguments(["logs", "-1", "--tail", "3"]).job == "-1"


def test_dry_run_shows_the_request_without_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[tool.nds]\nmemory = "48m"\ncpus = 2\n')
    (tmp_path / "fit.py").write_text("print('ü')")
    words = ["submit", "--dry-run", "--requirements", "numpy", "--sweep", "n=1,2", "fit.py"]
    assert main(words) == 0
    shown = capsys.readouterr().out
    for part in ('"memory": "48m"', '"cpus": 2', '"scriptname": "fit.py"', '"numpy"', '"n": ['):
        assert part in shown
    assert shown.endswith("print('ü')\n")


def test_script_that_is_no_text_is_sent_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tool").write_bytes(b"#!/bin/sh\n\xff\r\n")
    assert main(["submit", "--dry-run", str(tmp_path / "tool")]) == 0
    assert '"file": "(13 B)"' in capsys.readouterr().out


def test_wrong_project_settings_are_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.py").write_text("")
    (tmp_path / "pyproject.toml").write_text("[tool.nds]\ncpus = 'two'\n")
    assert main(["submit", "--dry-run", "a.py"]) == 1
    assert "[tool.nds]: Expected `float" in capsys.readouterr().err


def test_reader_that_has_gone_is_no_error() -> None:
    command = f"{sys.executable} -m nds_jupyter submit --dry-run - | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command],
        input="#" * 200_000,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("141\n", "")
