"""The line of a magic: what it gives, and what a wrong one says."""

from __future__ import annotations

import pytest
from IPython.core.error import UsageError

from nds_jupyter.magics import LINES, NdsMagics
from nds_jupyter.magics.job_options import job_options
from nds_jupyter.magics.parser import LineParser, option

PARSER = LineParser("%%ndsjob", "Run a cell.", job_options())


def test_quotes_group_words_as_in_a_shell() -> None:
    options = PARSER.parse_line("""--env GREETING="hello world" --cmd 'sh -c "a b"'""")
    assert options.env == ["GREETING=hello world"]
    assert options.cmd == 'sh -c "a b"'


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--imge x", "did you mean --image"),
        ("--timout=5", "did you mean --timeout"),
        ("--colour red", "no option --colour"),
        ("--cpus many", "cpus: invalid float value: 'many'"),
        ("--network host", "'none', 'bridge'"),
        ("--name 'a", "no closing quotation"),
        ("--name", "expected one argument"),
        ("stray", "one word too many, 'stray'"),
    ],
)
def test_wrong_line_says_what_is_wrong(line: str, said: str) -> None:
    with pytest.raises(UsageError, match="%%ndsjob") as error:
        PARSER.parse_line(line)
    assert said in str(error.value)


def test_last_job_is_an_argument_and_no_option() -> None:
    parser = LineParser("%x", "", [option("job", nargs="?"), option("--tail", type=int)])
    assert parser.parse_line("-1 --tail 2").job == "-1"


def test_every_magic_has_help_with_its_options() -> None:
    documented = {NdsMagics: {"ndsjob"}, **{each: set(each.magics["line"]) for each in LINES}}
    for owner, names in documented.items():
        for name in names:
            text = getattr(owner, name).__doc__
            assert f"usage: %{name}" in text.replace("%%", "%")
    assert "--image" in (NdsMagics.ndsjob.__doc__ or "")
    names = {name for each in documented.values() for name in each}
    assert {"ndsjobs", "ndsget", "ndslogs", "ndsimages", "ndsdoctor"} <= names
