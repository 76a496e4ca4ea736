"""The quality report: tables of figures that the yardstick's tests fill in, printed at the end and kept as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

Value = str | int | float


@dataclass
class Figures:
    """``tables`` by title, each a list of rows; ``notes`` by title, in the order in which they came."""

    tables: dict[str, list[Mapping[str, Value]]] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)

    def add(self, title: str, **row: Value) -> None:
        self.tables.setdefault(title, []).append(row)

    def note(self, title: str, text: str) -> None:
        self.notes.setdefault(title, []).append(text)

    def print(self, console: Console) -> None:
        for title in dict.fromkeys((*self.tables, *self.notes)):
            rows = self.tables.get(title, [])
            table = Table(title=title, title_justify="left")
            for at, name in enumerate(dict.fromkeys(n for row in rows for n in row)):
                table.add_column(name.replace("_", " "), justify="right" if at else "left")
            for row in rows:
                table.add_row(*(Text(_told(v)) for v in row.values()))
            console.print(table if rows else title)
            for text in self.notes.get(title, []):
                console.print(f"  {text}", markup=False, highlight=False)

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"tables": self.tables, "notes": self.notes}, indent=1) + "\n")


def _told(value: Value) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
