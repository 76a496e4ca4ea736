"""Keys that a recipe sets, and that do nothing as it stands, since another key switches them off."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Any

from schemas.part import Part

log = logging.getLogger(__name__)


def warn_of_idle_keys(recipe: Part, given: Collection[str]) -> None:
    """Logs a warning for each setting that takes the effect from some of the ``given`` keys (dotted).

    A key that has its default is as good as not given: a recipe that is written out names all keys.
    """
    idle, usual = dict(idle_keys(recipe)), type(recipe)()
    without: defaultdict[str, list[str]] = defaultdict(list)
    for key in sorted(given):
        why = next((idle[start] for start in _starts(key) if start in idle), None)
        if why is not None and _value(recipe, key) != _value(usual, key):
            without[why].append(key)
    for why, keys in without.items():
        has, them = ("has", "the key") if len(keys) == 1 else ("have", "the keys")
        log.warning("%s %s no effect, since %s; change that, or leave %s out", ", ".join(keys), has, why, them)


def dotted(fields: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """The keys of a recipe's plain data, tables within tables as well."""
    for key, value in fields.items():
        yield prefix + key
        if isinstance(value, dict):
            yield from dotted(value, f"{prefix}{key}.")


def idle_keys(table: Part, prefix: str = "") -> Iterator[tuple[str, str]]:
    """The keys and tables without an effect, each with the setting that takes it, such as 'verify.enabled is false'."""
    names = type(table).model_fields
    for name in names:
        if isinstance(inner := getattr(table, name), Part):
            yield from idle_keys(inner, f"{prefix}{name}.")
    for switch in type(table).switches:
        values = {key: _value(table, key) for key in switch.by}
        if not any(switch.is_on(value) for value in values.values()):
            why = " and ".join(f"{prefix}{key} is {_shown(value)}" for key, value in values.items())
            yield from ((prefix + key, why) for key in switch.keys or names.keys() - set(switch.by))


def _starts(key: str) -> Iterator[str]:
    """A key, and the tables that it stands in, the outermost first."""
    parts = key.split(".")
    return (".".join(parts[: n + 1]) for n in range(len(parts)))


def _value(table: Part, key: str) -> Any:
    found: Any = table
    for name in key.split("."):
        found = found.get(name) if isinstance(found, dict) else getattr(found, name, None)
    return found


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "none" if value is None else str(value).lower()
    return f'"{value}"' if isinstance(value, str) and value else "empty" if value in ("", [], {}) else str(value)
