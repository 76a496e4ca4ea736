"""Recipes as files and as ``--set key=value``; their documentation, and what two of them differ in."""

from __future__ import annotations

import difflib
import logging
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import tomli_w
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from curation.core import recipe_faults
from curation.core.errors import RecipeError
from curation.core.idle_keys import dotted, warn_of_idle_keys
from schemas.part import FORMER_NAMES, Part, former_values, is_free

P = TypeVar("P", bound=Part)
log = logging.getLogger(__name__)
_COMMON = "decontamination.shared_words=10"  # a setting that every recipe has
EXAMPLE = "dedupe.distance=4"  # a setting that the recipe of every data set of images has


@dataclass(frozen=True)
class Difference:
    """A key whose value in the root's recipe differs from today's."""

    key: str
    theirs: Any
    ours: Any

    def __str__(self) -> str:
        return f"{self.key}: the root has {self.theirs!r}, this run has {self.ours!r}"


def load(model: type[P], path: str | None, sets: Sequence[str] = (), base: P | None = None) -> P:
    """The recipe of a file with ``sets`` applied; ``base`` (or the defaults) where there is no file.

    Raises ``RecipeError`` naming the key, what was found and, for an unknown key, the nearest known one.
    """
    fields: dict[str, Any] = _spell(base.model_dump(mode="json")) if base and path is None else {}
    given = set_keys(sets)
    if path is not None:
        fields = _read(path)
        _warn_of_former_names(fields, f"in {path}")
        fields = _with_todays_names(fields)
        given |= set(dotted(fields))
        if base is not None:
            # A recipe file that is older than a key does not ask an older root to change.
            fields = _filled(model, fields, base)
    _warn_of_former_names([_parse_set(text)[0].partition(".")[0] for text in sets], "in --set")
    for text in sets:
        key, value = _parse_set(text)
        _put(fields, _todays_key(key), value)
    recipe = parse(model, fields)
    warn_of_idle_keys(recipe, given)
    return recipe


def parse(model: type[P], fields: dict[str, Any]) -> P:
    """A recipe from plain data. Raises ``RecipeError``."""
    _reject_unknown(model, fields, "")
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise RecipeError(recipe_faults.say(error)) from error


def set_keys(sets: Sequence[str]) -> set[str]:
    """The dotted keys that the ``--set`` options name."""
    return {_todays_key(_parse_set(text)[0]) for text in sets}


def to_toml(recipe: Part) -> bytes:
    """The recipe as a TOML file that ``load`` reads back to an equal recipe."""
    return tomli_w.dumps(_spell(recipe.model_dump(mode="json"))).encode()


def from_toml(model: type[P], data: bytes, where: str) -> P:
    """The recipe of a root, from its TOML file's bytes. Raises ``RecipeError`` naming ``where``."""
    try:
        return parse(model, _filled(model, _with_todays_names(tomllib.loads(data.decode()))))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{where} is not TOML: {error}") from error


def differences(theirs: Part, ours: Part) -> list[Difference]:
    """Every key whose values differ and on which bytes of the result depend."""
    a, b = dict(_flat(theirs.deciding())), dict(_flat(ours.deciding()))
    return [Difference(k, a.get(k), b.get(k)) for k in sorted(a.keys() | b.keys()) if a.get(k) != b.get(k)]


@dataclass(frozen=True)
class Key:
    """A recipe key as people are told of it; ``default`` and ``limits`` are as ``--help`` shows them, or empty."""

    name: str
    default: str
    limits: str
    about: str
    free: bool


def documented(model: type[Part]) -> Iterator[tuple[str, str, list[Key]]]:
    """Every table of a recipe: its name, what it is for, its keys."""
    for part, field in model.model_fields.items():
        if inner := _part_in(field.annotation):
            default = field.get_default(call_default_factory=True)
            yield part, " ".join((inner.__doc__ or "").split()), list(_keys(part, inner, default))


def document(model: type[Part]) -> str:
    """Every key with its type, default and meaning, as ``--help`` prints them."""
    lines = ["(free): changes how a run goes, but no byte of its result.", ""]
    for table, about, keys in documented(model):
        lines.append(f"[{table}]  {about}")
        for key in keys:
            lines.append(f"  {key.name} = {key.default}   {key.limits}".rstrip(" ="))
            lines.append(f"      {key.about}{'  (free)' if key.free else ''}")
        lines.append("")
    return "\n".join(lines).rstrip()


def _keys(prefix: str, part: type[Part], default: Any) -> Iterator[Key]:
    for name, info in part.model_fields.items():
        key, value = f"{prefix}.{name}", getattr(default, name)
        if inner := _part_in(info.annotation):
            yield from _keys(key, inner, value)
            continue
        yield _key(key, _show(value), info)
        if inner := _part_of_list(info.annotation):
            yield from _items(f"{key}[]", inner)
    if part.further is not None:
        yield from _items(f"{prefix}.NAME", part.further)


def _items(prefix: str, part: type[Part]) -> Iterator[Key]:
    for name, field in part.model_fields.items():
        shown = "" if field.is_required() else _show(field.get_default(call_default_factory=True))
        yield _key(f"{prefix}.{name}", shown, field)


def _key(name: str, shown: str, info: FieldInfo) -> Key:
    return Key(name, shown, _limits(info), info.description or "", is_free(info))


def _filled(model: type[P], fields: dict[str, Any], base: P | None = None) -> dict[str, Any]:
    """The same with keys that are not given and stand for another value in roots older than the key.

    They get the value of ``base``, or without it the one that such roots have.
    """
    found = dict(fields)
    for name, info in model.model_fields.items():
        inner = _part_in(info.annotation)
        given = found.get(name, {})
        if inner is None or not isinstance(given, dict) or not (former := former_values(inner)):
            continue
        known = former if base is None else {key: getattr(getattr(base, name), key) for key in former}
        found[name] = {**_spell(known), **given}
    return found


def _todays_key(key: str) -> str:
    """A dotted key whose table may have a former name, by today's name."""
    table, dot, rest = key.partition(".")
    return FORMER_NAMES.get(table, table) + dot + rest


def _with_todays_names(fields: dict[str, Any]) -> dict[str, Any]:
    """The same with every table by today's name; where a file has both, the former one's keys are added to today's."""
    found = {key: value for key, value in fields.items() if key not in FORMER_NAMES}
    for former, today in FORMER_NAMES.items():
        if former in fields:
            former_keys, todays_keys = fields[former], found.get(today, {})
            both = isinstance(former_keys, dict) and isinstance(todays_keys, dict)
            found[today] = {**former_keys, **todays_keys} if both else former_keys
    return found


def _warn_of_former_names(names: Iterable[str], where: str) -> None:
    for former in sorted(FORMER_NAMES.keys() & set(names)):
        message = "the recipe table %r %s is now called %r; the former name works in this release only: change it"
        log.warning(message, former, where, FORMER_NAMES[former])


def _spell(fields: Any) -> Any:
    """TOML has no null: recipes spell it none."""
    if isinstance(fields, dict):
        return {k: _spell(v) for k, v in fields.items()}
    return "none" if fields is None else fields


def _read(path: str) -> dict[str, Any]:
    file = Path(path)
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RecipeError(f"no recipe at {path}; give the path of a TOML file, or leave --recipe out") from error
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"cannot read the recipe {path}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path} is not TOML: {error}") from error


def _parse_set(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"--set {text!r} is not key=value; write for example --set {_COMMON}")
    try:
        return key.strip(), tomllib.loads(f"v = {value}")["v"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value  # a bare word is a string, so that quotes are not needed in a shell


def _put(fields: dict[str, Any], key: str, value: Any) -> None:
    *parts, last = key.split(".")
    for part in parts:
        inner = fields.setdefault(part, {})
        if not isinstance(inner, dict):
            raise RecipeError(f"--set {key}: {part} holds a value, not a table of keys")
        fields = inner
    fields[last] = value


def _reject_unknown(model: type[Part], fields: dict[str, Any], prefix: str) -> None:
    for key, value in fields.items():
        field = model.model_fields.get(key)
        if field is None and model.further is not None and isinstance(value, dict):
            _reject_unknown(model.further, value, f"{prefix}{key}.")
            continue
        if field is None:
            everywhere = [*(prefix + k for k in model.model_fields), *_all_keys(model, prefix)]
            near = difflib.get_close_matches(prefix + key, everywhere, n=1, cutoff=0.5)
            near = near or [k for k in everywhere if k.rsplit(".", 1)[-1] == key][:1]
            known = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(model.model_fields)}"
            if model.further is not None:
                known += f" limits are {prefix}{key}.{f' and {prefix}{key}.'.join(model.further.model_fields)}"
            raise RecipeError(f"unknown recipe key {prefix + key!r}; {known} (--help documents every key)")
        if isinstance(value, dict) and (inner := _part_in(field.annotation)):
            _reject_unknown(inner, value, f"{prefix}{key}.")
        if isinstance(value, list) and (inner := _part_of_list(field.annotation)):
            for at, item in enumerate(value):
                if isinstance(item, dict):
                    _reject_unknown(inner, item, f"{prefix}{key}.{at}.")


def _part_in(hint: Any) -> type[Part] | None:
    return hint if isinstance(hint, type) and issubclass(hint, Part) else None


def _part_of_list(hint: Any) -> type[Part] | None:
    return _part_in(get_args(hint)[0]) if get_origin(hint) is list else None


def _all_keys(model: type[Part], prefix: str) -> Iterator[str]:
    for key, field in model.model_fields.items():
        if inner := _part_in(field.annotation):
            yield from (f"{prefix}{key}.{k}" for k in inner.model_fields)


def _flat(fields: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in fields.items():
        if isinstance(value, dict) and not prefix:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _show(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list) and value and isinstance(value[0], Part):
        return (
            "[" + ", ".join("{" + ", ".join(f"{k} = {v!r}" for k, v in p.deciding().items()) + "}" for p in value) + "]"
        )
    return repr(value)


def _limits(info: FieldInfo) -> str:
    fields = []
    for limit in info.metadata:
        for name, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<")):
            if (value := getattr(limit, name, None)) is not None:
                fields.append(f"{sign} {value}")
    named = info.annotation if get_origin(info.annotation) is Literal else None
    named = named or next((a for a in get_args(info.annotation) if get_origin(a) is Literal), None)
    if named is not None:
        fields.append("one of " + ", ".join(str(a) for a in get_args(named)))
    return f"({', '.join(fields)})" if fields else ""
