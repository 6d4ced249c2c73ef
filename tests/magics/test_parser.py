"""The line of a magic: what it gives, and what a wrong one says."""

from __future__ import annotations

import pytest
from IPython.core.error import UsageError

from nds_jupyter.magics.extension import MAGIC_NAMES
from nds_jupyter.magics.job_options import cell_options
from nds_jupyter.magics.parser import LineParser, option
from nds_jupyter.magics.registry import MAGICS_CLASSES, line_parsers

PARSER = LineParser("%%ndsjob", "Run a cell.", cell_options())


def test_quotes_group_words_as_in_a_shell() -> None:
    options = PARSER.parse_line("""--env GREETING="hello world" --cmd 'sh -c "a b"'""")
    assert options.env == ["GREETING=hello world"]
    assert options.cmd == 'sh -c "a b"'


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--imge x", "did you mean --image? %%ndsjob? shows"),
        ("--timout=5", "did you mean --timeout"),
        ("--colour red", "no option --colour"),
        ("--requirement numpy", "did you mean --requirements"),
        ("--dockerfle=x", "did you mean --dockerfile"),
        ("--cpus many", "--cpus: 'many' is not a number."),
        ("--network host", "--network: there is no 'host'; there are 'none', 'bridge'."),
        ("--timeout soon", "--timeout: 'soon' is no time; write it in seconds, or like 90m"),
        ("--retries 1.5", "'1.5' is not a whole number"),
        ("--retries -1", "--retries: '-1' is not a whole number from 0 up. %%ndsjob? shows"),
        ("--max-concurrent 0", "--max-concurrent: '0' is not a whole number from 1 up"),
        ("--requirements", "--requirements: it needs at least one value."),
        ("--name 'a", "no closing quotation"),
        ("--name", "--name: it needs a value. %%ndsjob?"),
        ("stray", "one word too many, 'stray'"),
    ],
)
def test_wrong_line_says_what_is_wrong(line: str, message: str) -> None:
    with pytest.raises(UsageError, match="%%ndsjob") as error:
        PARSER.parse_line(line)
    assert message in str(error.value)


def test_last_job_is_an_argument_and_no_option() -> None:
    parser = LineParser("%x", "", [option("job", nargs="?"), option("--tail", type=int)])
    assert parser.parse_line("-1 --tail 2").job == "-1"


def test_every_magic_has_help_with_its_options() -> None:
    for magic, parser in line_parsers().items():
        assert f"usage: {magic}" in parser().format_help()


def test_names_that_loading_gives_to_a_shell_are_those_of_the_magics() -> None:
    for kind, names in MAGIC_NAMES.items():
        real = [name for owner in MAGICS_CLASSES for name in owner.magics[kind]]
        assert sorted(names) == sorted(real)


def test_help_begins_with_what_it_is_for_and_names_every_option_under_a_heading() -> None:
    text = line_parsers()["%%ndsjob"]().format_help()
    assert text.startswith("Run this cell in a container")
    assert "%%%" not in text
    for each in cell_options():
        assert f"\n{each.group}:\n" in text
        assert all(f"\n  {flag}" in text for flag in each.flags)


@pytest.mark.parametrize("name", sorted(line_parsers()))
def test_examples_of_the_help_are_lines_that_the_magics_take(name: str) -> None:
    known = line_parsers()
    lines = [line.strip() for line in known[name]().examples.splitlines()]
    shown = [line for line in lines if line.partition(" ")[0] in known]
    assert any(line.partition(" ")[0] == name for line in shown)
    for line in shown:
        magic, _, words = line.partition(" ")
        known[magic]().parse_line(words)


@pytest.mark.parametrize(
    ("magic", "words"),
    [("%ndsjobs", "--limit -3"), ("%ndsls", "--limit 0"), ("%ndslogs", "--tail -1")],
)
def test_number_that_makes_no_sense_is_refused_before_the_server_is_asked(
    magic: str, words: str
) -> None:
    with pytest.raises(UsageError, match=f"{words.partition(' ')[0]}: .* whole number from"):
        line_parsers()[magic]().parse_line(words)


@pytest.mark.parametrize(
    ("text", "long"), [("90", 90.0), ("1.5", 1.5), ("90m", 5400.0), ("2h", 7200.0), ("1d", 86400.0)]
)
def test_time_limit_is_seconds_or_has_a_unit(text: str, long: float) -> None:
    assert PARSER.parse_line(f"--timeout {text}").timeout == long


def test_packages_may_stand_one_after_the_other() -> None:
    line = "--requirements numpy pandas>=2 --memory 1g --requirements pip.txt"
    assert PARSER.parse_line(line).requirements == ["numpy", "pandas>=2", "pip.txt"]
