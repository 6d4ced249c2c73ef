"""Parsing of Dockerfiles and requirements, to check the images that they use. Pure.

Where a line could be read in two ways, the Dockerfile is refused: the images that it names are
checked by a policy, so none may hide in a line that the engine reads differently.
"""

from __future__ import annotations

import re
from itertools import takewhile

import msgspec

from nds_jupyter.errors import InvalidRequest

LONGEST_TEXT = 64 * 1024
"""Characters of a Dockerfile or of requirements."""

REQUIREMENTS = "requirements.txt"
"""The one file in the context of a build of requirements."""

_INSTALL = """FROM {image}
COPY requirements.txt /tmp/nds-requirements.txt
RUN PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install --no-cache-dir \
--disable-pip-version-check -r /tmp/nds-requirements.txt
"""

_BLANK = " \t\v\f\r"
_DIRECTIVE = re.compile(r"#\s*escape\s*=", re.IGNORECASE)
_FROM = re.compile(
    r"(?:--platform=[\w/.]+[ \t]+)?(?P<image>[\w.:/@-]+)(?:[ \t]+as[ \t]+(?P<stage>[\w.-]+))?",
    re.IGNORECASE | re.ASCII,
)
_FLAG = re.compile(r"--(?P<name>[a-z]+)(?:=(?P<value>[\w.:/@,-]*))?", re.ASCII)
_KNOWN = frozenset(
    {"ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL"}
    | {"MAINTAINER", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"}
)
_REFUSED = {
    "ADD": "there are no files beside it, and RUN can download",
    "ONBUILD": "what it would do belongs to another build",
}


class ParsedDockerfile(msgspec.Struct, frozen=True, kw_only=True):
    """A Dockerfile, the image of its last FROM (`base`), and every image that it uses."""

    dockerfile: str
    base: str
    images: tuple[str, ...]


def requirements_dockerfile(image: str) -> ParsedDockerfile:
    """Return the Dockerfile that installs requirements on top of an image by its own pip."""
    return ParsedDockerfile(dockerfile=_INSTALL.format(image=image), base=image, images=(image,))


def requirements_text(given: tuple[str, ...] | str) -> str:
    """Return the text of a file of requirements, from packages or such a text.

    Raises
    ------
    InvalidRequest
        If there is nothing in it, or what can't be in such a file.
    """
    lines = given.splitlines() if isinstance(given, str) else given
    text = "".join(f"{line.rstrip()}\n" for line in lines)
    _check_text("requirements", text)
    return text


def has_from(dockerfile: str) -> bool:
    """Return whether a Dockerfile has a FROM."""
    return any(name == "FROM" for name, _ in _split_instructions(dockerfile))


def parse_dockerfile(dockerfile: str) -> ParsedDockerfile:
    """Parse a Dockerfile that has a FROM.

    Raises
    ------
    InvalidRequest
        If it has something that can't be built without files, or could hide an image.
    """
    _check_text("dockerfile", dockerfile)
    stages: set[str] = set()
    images: list[str] = []
    base = ""
    for name, rest in _split_instructions(dockerfile):
        if name == "FROM":
            image, stage = _parse_from(rest)
            if image.lower() not in stages:
                images.append(image)
                base = image
            if stage:
                stages.add(stage.lower())
        elif name == "COPY":
            source = _parse_copy_source(rest)
            if source.lower() not in stages and not source.isdecimal():
                images.append(source)
        elif name not in _KNOWN:
            why = _REFUSED.get(name, "it is no instruction that is known here")
            raise InvalidRequest(f"dockerfile: {name} can't be used: {why}.")
        elif name == "RUN" and rest.startswith("--"):
            raise InvalidRequest(f"dockerfile: RUN takes no options here, like {rest.split()[0]}.")
    return ParsedDockerfile(dockerfile=dockerfile, base=base, images=tuple(images))


def _check_text(field: str, text: str) -> None:
    if not text.strip():
        raise InvalidRequest(f"{field}: it is empty.")
    if len(text) > LONGEST_TEXT:
        raise InvalidRequest(f"{field}: it is longer than {LONGEST_TEXT} characters.")
    if any(ord(char) < 32 and char not in "\n\r\t" for char in text):
        raise InvalidRequest(f"{field}: it holds a control character.")


def _split_instructions(dockerfile: str) -> list[tuple[str, str]]:
    """Return the instructions, each its name in capitals and the rest, continued lines joined."""
    found: list[tuple[str, str]] = []
    held = ""
    for line in dockerfile.split("\n"):
        text = line.strip(_BLANK)
        if text.startswith("#"):
            if _DIRECTIVE.match(text):
                raise InvalidRequest("dockerfile: an escape character of its own can't be used.")
            continue
        if text.endswith("\\\\"):
            raise InvalidRequest("dockerfile: a line may end in one backslash, not in several.")
        if "<<" in text:
            raise InvalidRequest("dockerfile: here-documents (<<) can't be used. Use several RUN.")
        if held and not text:
            continue
        held += line.rstrip(_BLANK).removesuffix("\\")
        if text.endswith("\\"):
            continue
        if held.strip(_BLANK):
            name, *rest = held.strip(_BLANK).split(None, 1)
            found.append((name.upper(), "".join(rest)))
        held = ""
    if held.strip(_BLANK):
        raise InvalidRequest("dockerfile: its last line ends in a backslash.")
    return found


def _parse_from(rest: str) -> tuple[str, str | None]:
    match = _FROM.fullmatch(rest.strip(_BLANK))
    if match is None:
        raise InvalidRequest(
            f"dockerfile: FROM {rest} is not understood. Write the image itself, without variables."
        )
    return match["image"], match["stage"]


def _parse_copy_source(rest: str) -> str:
    flags = list(takewhile(lambda word: word.startswith("--"), rest.split()))
    read = list(map(_FLAG.fullmatch, flags))
    if not all(read):
        raise InvalidRequest(f"dockerfile: COPY {' '.join(flags)} is not understood.")
    sources = [each["value"] for each in read if each and each["name"] == "from" and each["value"]]
    if len(sources) != 1:
        raise InvalidRequest(
            "dockerfile: COPY can only copy --from another stage or image: there are no files "
            "beside it. Write small ones by RUN, and name data by data."
        )
    return str(sources[0])
