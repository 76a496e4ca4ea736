"""What pydantic finds wrong in a recipe, in the words of recipes: what was expected, and what was found."""

from __future__ import annotations

import re
from typing import Any

from pydantic import ValidationError

_EXPECTED = {
    "bool": "true or false",
    "dict": "a table, {{NAME = VALUE}}",
    "float": "a number",
    "int": "a whole number",
    "list": "a list, [VALUE, …]",
    "model": "a table, {{NAME = VALUE}}",
    "string": "a text",
    "tuple": "a list, [VALUE, …]",
    "finite_number": "a finite number",
    "greater_than": "more than {gt}",
    "greater_than_equal": "{ge} or more",
    "less_than": "less than {lt}",
    "less_than_equal": "{le} or less",
    "literal_error": "{expected}",
    "string_pattern_mismatch": "a text of the form {pattern}",
    "string_too_short": "a text of {min_length} or more characters",
    "string_too_long": "a text of {max_length} or fewer characters",
    "too_short": "{min_length} or more entries",
    "too_long": "{max_length} or fewer entries",
}
_FORMS = ("_type", "_parsing", "_from_float", "_parsing_size")  # what pydantic appends to a type's name


def say(error: ValidationError) -> str:
    """All of it in one line, the key first; of a value that may be of several types, all of them."""
    faults: list[str] = []
    types: dict[tuple[str, str], list[str]] = {}
    for detail in error.errors():
        key, found = _key(detail["loc"]), repr(detail["input"])
        if detail["type"] == "missing":
            faults.append(f"{key} is missing")
        elif (expected := _expected(detail["type"], detail.get("ctx", {}))) is not None:
            types.setdefault((key, found), []).append(expected)
        else:
            message = detail["msg"].removeprefix("Value error, ")
            faults.append(f"{key} = {found}: {message}" if key else message)
    faults += [f"{key}: expected {' or '.join(all_of)}, found {found}" for (key, found), all_of in types.items()]
    return "the recipe is not valid: " + "; ".join(faults)


def _key(place: tuple[int | str, ...]) -> str:
    """The dotted key, without the types that pydantic names where a value may be of several."""
    return ".".join(
        str(part) for part in place if not re.fullmatch(r"str|int|float|bool|(?:list|dict)\[.*\]", str(part))
    )


def _expected(kind: str, limits: dict[str, Any]) -> str | None:
    """What a value had to be; None for what a check of our own says."""
    for form in ("", *_FORMS):
        if kind.endswith(form) and (words := _EXPECTED.get(kind.removesuffix(form))) is not None:
            return words.format_map(limits)
    return None
