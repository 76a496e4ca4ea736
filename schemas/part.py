"""A table of a recipe: a frozen model whose keys know whether the result depends on them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo


def free(default: Any, *, description: str, **limits: Any) -> Any:
    """A field that changes no byte of the result, so that a run may differ in it from its root."""
    return Field(default, description=description, json_schema_extra={"free": True}, **limits)


_SAME: Any = object()


def later(default: Any, *, description: str, before: Any = _SAME, **limits: Any) -> Any:
    """A field that recipes did not always have.

    ``before`` is the value that matches what roots did before the field existed; without it, that is the default. A
    root whose recipe lacks the field has that value, and digests leave it out, so that such roots stay finished.
    """
    extra: dict[str, Any] = {"later": True} if before is _SAME else {"later": True, "before": before}
    return Field(default, description=description, json_schema_extra=extra, **limits)


def former_values(part: type[Part]) -> dict[str, Any]:
    """The keys of a part whose default differs from what roots did before the key existed, with the former values."""
    extras = {name: info.json_schema_extra for name, info in part.model_fields.items()}
    return {n: extra["before"] for n, extra in extras.items() if isinstance(extra, dict) and "before" in extra}


def _is_unchanged(info: FieldInfo, value: Any) -> bool:
    extra = info.json_schema_extra
    if not isinstance(extra, dict) or not extra.get("later"):
        return False
    return bool(value == extra.get("before", info.get_default(call_default_factory=True)))


def is_free(info: FieldInfo) -> bool:
    """Whether a field was declared with ``free``."""
    return isinstance(info.json_schema_extra, dict) and bool(info.json_schema_extra.get("free"))


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [v.deciding() if isinstance(v, Part) else v for v in value]
    return value


FORMER_NAMES: Mapping[str, str] = MappingProxyType({"against": "decontamination"})
"""Names that keys of a recipe had before, each with today's. Files may use them for one more release."""


@dataclasses.dataclass(frozen=True)
class Switch:
    """Keys of a table without which others of it have no effect: while none of ``by`` has a value of ``on``.

    Without ``on``, any value switches on but false, none, "ignore" and what is empty. ``keys`` are those that are
    switched, all others of the table where there is none. Both may be dotted, and name tables.
    """

    by: tuple[str, ...]
    keys: tuple[str, ...] = ()
    on: tuple[str, ...] = ()

    def is_on(self, value: Any) -> bool:
        """Whether this value of a key of ``by`` switches on."""
        return value in self.on if self.on else value is not False and value not in (None, "", "ignore", [], {})


class Part(BaseModel):
    """A table of a recipe."""

    # nan is neither within a limit nor beyond it, and where a setting may be without a limit, it says so by 0 or none.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    on_card: ClassVar[bool] = True  # whether the dataset card lists its keys among those that decide on samples
    switches: ClassVar[tuple[Switch, ...]] = ()  # which of its keys have an effect only with others
    further: ClassVar[type[Part] | None] = None  # what tables hold that a recipe may add to it under names of its own

    @model_validator(mode="before")
    @classmethod
    def _spell_none(cls, values: Any) -> Any:
        """TOML has no null; the word none unsets a key that may be unset."""
        if not isinstance(values, dict):
            return values
        unset = {k for k, info in cls.model_fields.items() if type(None) in get_args(info.annotation)}
        return {k: None if k in unset and v == "none" else v for k, v in values.items()}

    @classmethod
    def describe(cls, key: str) -> str:
        """The documentation of a key; of a table that a recipe added, what all such tables hold."""
        if key in cls.model_fields or cls.further is None:
            return cls.model_fields[key].description or ""
        return " ".join((cls.further.__doc__ or "").split()).rstrip(".")

    def deciding(self, *, former: bool = False) -> dict[str, Any]:
        """All keys that a byte of the result may depend on, as plain data: no free keys, no ``later`` defaults.

        ``former`` gives keys the names by which digests of existing roots were made.
        """
        names = {today: before for before, today in FORMER_NAMES.items()} if former else {}
        return {
            names.get(name, name): value.deciding() if isinstance(value := getattr(self, name), Part) else _plain(value)
            for name, info in type(self).model_fields.items()
            if not is_free(info) and not _is_unchanged(info, getattr(self, name))
        }
