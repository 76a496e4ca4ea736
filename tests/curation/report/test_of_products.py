"""The pages of the further products, each with the parts that it has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from curation.core.store import Store
from curation.demo.panoramas import write_panoramas
from curation.demo.prompt_server import PromptServer
from curation.report.write import write_report
from tests.support.chat_server import chat_server
from tests.support.news import anchor, newsroom
from tests.support.panoramas import asking, expand, truthful
from tests.support.prompts import prompts, quick
from tests.support.report_roots import data_of

pytestmark = pytest.mark.slow  # each makes a root


def page_of(root: Path) -> dict[str, Any]:
    store = Store(str(root))
    assert write_report(store).made
    data = data_of(store)
    kept = [row for row in data["rows"] if row["fate"] == "kept"]
    assert kept and len(kept) == data["funnel"]["kept"] and all(row["caption"] for row in kept)
    assert data["lengths"] and data["words"] and data["openings"]
    return data


def further(data: dict[str, Any]) -> set[str]:
    return {name for row in data["rows"] for name, _ in row.get("further", [])}


def test_news_have_their_entities_and_subjects(tmp_path: Path) -> None:
    root = tmp_path / "root"
    anchor(str(root), newsroom(tmp_path / "newsroom", scenes=12))
    data = page_of(root)
    assert {"named entities", "subjects"} <= further(data)
    assert any("picture" in row for row in data["rows"])


def test_prompts_have_their_questions_and_no_pictures(tmp_path: Path) -> None:
    root = tmp_path / "root"
    with PromptServer() as server:
        prompts(str(root), quick(server, 10))
    data = page_of(root)
    assert "questions" in further(data)
    assert not any("picture" in row for row in data["rows"]) and data["clusters"]["shown"] == []
    assert data["costs"] and data["hosts"] == []


def test_pictures_to_be_continued_have_their_windows(tmp_path: Path) -> None:
    source = tmp_path / "panoramas"
    write_panoramas(source, seed=3, count=6, tiles=6)
    with chat_server(reply=truthful(source)) as server:
        expand(str(tmp_path / "root"), str(source / "pictures"), asking(server))
    data = page_of(tmp_path / "root")
    assert {"windows", "imagined"} <= further(data)
    kept = [row for row in data["rows"] if row["fate"] == "kept"]
    assert all(len(row["captions"]) > 1 for row in kept)
