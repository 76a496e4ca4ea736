"""What a root was like when its page was last made, kept beside the page, and what has changed since."""

from __future__ import annotations

import hashlib
import json
import tomllib
from typing import Any

from curation.core.errors import StoreError
from curation.core.root import RECIPE
from curation.core.store import Store, shown
from curation.report.asking import Root, Row

FILE = "history.json"
_KEPT = 20
_MOST_BYTES = 5_000_000


def state_of(root: Root, funnel: Row, latest: str) -> Row:
    """What is remembered of a root: the last run, its funnel line by line, and its recipe key by key."""
    lines = [[s["stage"], r["fate"], r["reason"], r["rows"]] for s in funnel["stages"] for r in s["reasons"]]
    lines.append(["release", "kept", "", funnel["kept"]])
    return {"run": latest, "rows": funnel["rows"], "lines": lines, "recipe": _recipe(root.store)}


def read_states(target: Store, prefix: str) -> list[Row]:
    """The earlier states, the oldest first; none where the file is missing or is not ours."""
    try:
        data = target.read(prefix + FILE, 0, _MOST_BYTES)
        found = json.loads(data)
        return [s for s in found if _is_state(s)][-_KEPT:] if isinstance(found, list) else []
    except (StoreError, ValueError):
        return []


def remember(states: list[Row], now: Row) -> list[Row]:
    """The states with today's behind them; one that the root is still in is not said twice."""
    same = bool(states) and all(states[-1][k] == now[k] for k in ("lines", "rows", "recipe"))
    return [*states[:-1], now] if same else [*states, now][-_KEPT:]


def changes(states: list[Row]) -> Row | None:
    """The difference of the last two states: lines of the funnel, and keys of the recipe; None for a first state."""
    if len(states) < 2:
        return None
    before, now = states[-2:]
    old, new = ({tuple(line[:3]): line[3] for line in s["lines"]} for s in (before, now))
    lines = [
        {"stage": key[0], "fate": key[1], "reason": key[2], "before": old.get(key, 0), "now": new.get(key, 0)}
        for key in dict.fromkeys([*new, *old])
        if old.get(key, 0) != new.get(key, 0)
    ]
    keys = sorted(before["recipe"].keys() | now["recipe"].keys())
    recipe = [
        {"key": k, "before": before["recipe"].get(k), "now": now["recipe"].get(k)}
        for k in keys
        if before["recipe"].get(k) != now["recipe"].get(k)
    ]
    rows = {"rows_before": before["rows"], "rows_now": now["rows"], "since": before["run"], "until": now["run"]}
    return {**rows, "lines": lines, "recipe": recipe}


def _is_state(found: Any) -> bool:
    return (
        isinstance(found, dict)
        and isinstance(found.get("lines"), list)
        and all(isinstance(li, list) and len(li) == 4 and isinstance(li[3], int) for li in found["lines"])
        and isinstance(found.get("recipe"), dict)
        and isinstance(found.get("rows"), int)
        and isinstance(found.get("run"), str)
    )


def _recipe(store: Store) -> dict[str, str]:
    """The recipe's keys with their values as text; a long one by its hash."""
    if not store.exists(RECIPE):
        return {}
    flat: dict[str, str] = {}

    def walk(prefix: str, table: dict[str, Any]) -> None:
        for key, value in table.items():
            if isinstance(value, dict):
                walk(f"{prefix}{key}.", value)
            else:
                text = shown(json.dumps(value, ensure_ascii=False, default=str))  # a proxy may have a password
                digest = hashlib.sha256(text.encode()).hexdigest()[:12]
                flat[prefix + key] = text if len(text) <= 200 else f"{text[:180]}… ({digest})"

    walk("", tomllib.loads(store.read(RECIPE).decode()))
    return flat
