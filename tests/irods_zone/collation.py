"""Order of texts in the catalogue: a language's, as a PostgreSQL server in en_US.UTF-8 has it."""

from __future__ import annotations

import unicodedata


def sort_key(value: object) -> object:
    """Give the text whose bytes order like a text; a number is its own key.

    Letters and digits count first, whatever is between them; then accents; then capitals, which
    come after small letters; and at last what else is in the text, which comes before letters.
    """
    if not isinstance(value, str):
        return value
    if value.isascii():
        letters, accents = "".join(filter(str.isalnum, value)), ""
    else:
        letters, accents = _split(value)
    cases = "".join("2" if each.isupper() else "1" for each in letters)
    others = "".join(f"1{each}" if each.isalnum() else f"0{each}" for each in value)
    return "\0".join((letters.lower(), accents, cases, others))


def _split(value: str) -> tuple[str, str]:
    letters, accents = [], []
    for each in unicodedata.normalize("NFD", value):
        if each.isalnum():
            letters.append(each)
            accents.append("1")
        elif unicodedata.combining(each):
            accents.append(each)
    return "".join(letters), "".join(accents).rstrip("1")
