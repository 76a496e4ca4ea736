"""Read back by lance itself."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import lance
import pytest

from curation.core.errors import UsageError
from tests.support.exported import exported, release, samples


def rows(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = lance.dataset(str(folder / "train.lance")).to_table().to_pylist()
    return found


def test_every_row_is_a_sample_and_rows_are_taken_by_their_place(tmp_path: Path) -> None:
    root, out = release(tmp_path / "root"), tmp_path / "out"
    exported(root, "lance", out)
    wanted = samples(root)
    found = {row["sample_id"]: row for row in rows(out)}
    assert list(found) == list(wanted)
    for name, sample in wanted.items():
        told = (sample.image, sample.caption, sample.kind, sample.alt_text, sample.width, sample.height)
        row = found[name]
        assert tuple(row[c] for c in ("image", "caption", "caption_kind", "alt_text", "width", "height")) == told
    names = list(wanted)
    taken = lance.dataset(str(out / "train.lance")).take([8, 0, 5], columns=["sample_id"])
    assert taken.column(0).to_pylist() == [names[8], names[0], names[5]]


def test_without_the_package_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, known = release(tmp_path / "root"), importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "lance" else known(name, *a))
    with pytest.raises(UsageError, match=r"lapidary-curation\[lance\]"):
        exported(root, "lance", tmp_path / "out")
