"""Images rendered from the prompts' truth score full marks, others what chance gives, and one fault counts once."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from curation.core.errors import SourceError
from curation.demo.prompt_server import PromptServer
from curation.demo.prompt_writer import answer, scene_of
from curation.demo.render import jpeg, render
from curation.demo.truth import Scene
from curation.dense_prompts.questions import as_yes_no, held
from curation.dense_prompts.release_stage import Item, read_release
from curation.dense_prompts.scoring.pictures import find_pictures
from curation.dense_prompts.scoring.scores import Score, Tally, scores
from flows.dense_prompts import main
from schemas.prompt_scores import Interval
from schemas.questions import Question
from tests.support.prompts import prompts, quick


@pytest.fixture(scope="module")
def server() -> Iterator[PromptServer]:
    with PromptServer() as started:
        yield started


@pytest.fixture(scope="module")
def root(server: PromptServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of twenty prompts."""
    folder = tmp_path_factory.mktemp("prompts") / "root"
    prompts(str(folder), quick(server, 20))
    return folder


@pytest.fixture(scope="module")
def truth(root: Path) -> dict[str, Scene]:
    """The scene that each prompt is about."""
    rows = pq.read_table(root / "release/data", columns=["item_id", "category", "source_row"]).to_pylist()
    return {row["item_id"]: scene_of(row["category"], row["source_row"]) for row in rows}


def score(server: PromptServer, root: Path, images: Path, *settings: str) -> dict[tuple[str, str], float]:
    """Scores by group and name, as the command stores them."""
    told = [
        f'answer.endpoints=["{server.url}"]',
        "answer.backend=server",
        f"answer.model={PromptServer.MODEL}",
        *settings,
    ]
    words = ["score", "--images", str(images), "--prompts", str(root)]
    assert main([*words, *(w for setting in told for w in ("--set", setting))]) == 0
    stored = json.loads(Path(f"{images}-scores/scores.json").read_text())
    return {(s["group"], s["name"]): s["score"] for s in stored["scores"]}


def draw(server: PromptServer, folder: Path, scenes: Mapping[str, Scene]) -> Path:
    """An image of a scene for each prompt; the server is told what is in it."""
    folder.mkdir()
    for item, shown in scenes.items():
        data = jpeg(shown)
        (folder / f"{item}_0.jpg").write_bytes(data)
        server.scenes[hashlib.sha256(data).hexdigest()] = shown
    return folder


def chance(items: list[Item], truth: Mapping[str, Scene]) -> float:
    """The mean score of all images that are of another prompt."""
    found = []
    for item in items:
        for other, shown in truth.items():
            if other != item.item_id:
                counted = held(item.questions, {q.id: answer(shown, as_yes_no(q)) for q in item.questions})
                found.append(sum(counted.values()) / len(counted))
    return sum(found) / len(found)


def test_images_of_the_truth_score_full_marks_and_a_second_run_asks_nothing(
    server: PromptServer, root: Path, truth: dict[str, Scene], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = draw(server, tmp_path / "images", truth)
    (images / "stranger_0.png").write_bytes(b"")
    found = score(server, root, images)
    assert found["all", "all"] >= 0.98 and min(found.values()) >= 0.98
    assert {"entity", "attribute - color", "count", "relation - spatial", "text"} <= {n for _, n in found}
    printed = capsys.readouterr().out
    assert "attribute - color" in printed and "1 image file of no prompt, e.g. stranger_0.png" in printed
    asked, stored = server.asked, (tmp_path / "images-scores/scores.json").read_bytes()
    assert score(server, root, images) == found
    assert server.asked - asked <= 6  # what is asked before any work
    assert (tmp_path / "images-scores/scores.json").read_bytes() == stored
    answers = pq.read_table(tmp_path / "images-scores/answers.parquet").to_pylist()
    assert len(answers) == sum(len(i.questions) for i in read_release(root)) and all(a["yes"] for a in answers)


def test_images_of_other_prompts_score_what_chance_gives(
    server: PromptServer, root: Path, truth: dict[str, Scene], tmp_path: Path
) -> None:
    names = sorted(truth, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    others = dict(zip(names, [truth[n] for n in (*names[1:], names[0])], strict=True))
    found = score(server, root, draw(server, tmp_path / "images", others))
    expected = chance(read_release(root), truth)
    stored = json.loads((tmp_path / "images-scores/scores.json").read_text())["scores"]
    (overall,) = [s for s in stored if s["group"] == "all"]
    assert overall["low"] <= expected <= overall["high"] and expected < 0.3
    assert found["all", "all"] < 0.4


def test_one_wrong_colour_lowers_the_score_of_colours_and_no_other(
    server: PromptServer, root: Path, truth: dict[str, Scene], tmp_path: Path
) -> None:
    before = score(server, root, draw(server, tmp_path / "right", truth))
    name = next(iter(truth))
    first, *others = truth[name].objects
    wrong = dataclasses.replace(first, colour="green" if first.colour != "green" else "red")
    spoiled = dataclasses.replace(truth[name], objects=(wrong, *others))
    after = score(server, root, draw(server, tmp_path / "wrong", {**truth, name: spoiled}))
    category = next(i.category for i in read_release(root) if i.item_id == name)
    lower = {key for key in before if after[key] < before[key]}
    assert lower == {
        *(("questions", "attribute - color"), ("questions", "attribute")),
        *(("all", "all"), ("prompts", category)),
    }
    assert all(after[key] == before[key] for key in before.keys() - lower)


def test_a_grid_is_four_images_of_its_prompt(
    server: PromptServer, root: Path, truth: dict[str, Scene], tmp_path: Path
) -> None:
    """Three tiles show the prompt's scene, the last one another's."""
    (name, shown), (_, other), *_ = truth.items()
    tiles = [cv2.resize(render(s), (160, 120)) for s in (shown, shown, shown, other)]
    grid = np.vstack([np.hstack(tiles[:2]), np.hstack(tiles[2:])])
    (tmp_path / "grids").mkdir()
    Image.fromarray(grid).save(tmp_path / f"grids/{name}.png")
    pictures, _ = find_pictures(tmp_path / "grids", {name}, 2)
    assert [p.number for p in pictures] == [0, 1, 2, 3]
    for picture, scene in zip(pictures, (shown, shown, shown, other), strict=True):
        server.scenes[hashlib.sha256(picture.read()).hexdigest()] = scene
    found = score(server, root, tmp_path / "grids")
    (item,) = [i for i in read_release(root) if i.item_id == name]
    counted = held(item.questions, {q.id: answer(other, as_yes_no(q)) for q in item.questions})
    assert found["all", "all"] == pytest.approx((3 + sum(counted.values()) / len(counted)) / 4)
    (single,), _ = find_pictures(tmp_path / "grids", {name}, 1)
    assert single.read() == (tmp_path / f"grids/{name}.png").read_bytes()


def items_with(questions: int, prompts: int) -> dict[str, Item]:
    asked = tuple(Question(n, (), "entity", "whole", ("x",), "?") for n in range(1, questions + 1))
    return {f"a_{n:x}": Item(f"a_{n:x}", "a" if n % 2 else "b", str(n), asked) for n in range(prompts)}


def made(items: Mapping[str, Item], share: float, interval: Interval) -> list[Score]:
    found: dict[str, Tally] = {}
    for number, (name, item) in enumerate(items.items()):
        right = number < share * len(items)
        found[name] = Tally()
        found[name].add(item.questions, {q.id: right for q in item.questions})
    return scores(found, items, interval)


def test_intervals_hold_the_score_shrink_with_more_prompts_and_follow_the_seed() -> None:
    """Of a share p among n prompts the bootstrap's 95 % interval is near p ± 1.96 sqrt(p (1 - p) / n)."""
    interval = Interval(draws=4000)
    widths = {}
    for size in (50, 200, 800):
        items = items_with(3, size)
        overall = made(items, 0.7, interval)[0]
        assert overall.score == pytest.approx(0.7) and overall.low < overall.score < overall.high
        widths[size] = overall.high - overall.low
        assert widths[size] == pytest.approx(2 * 1.96 * (0.21 / size) ** 0.5, rel=0.15)
        assert made(items, 0.7, interval) == made(items, 0.7, interval)
        assert made(items, 0.7, interval) != made(items, 0.7, Interval(draws=4000, seed=1))
    assert widths[50] > widths[200] > widths[800]


def test_names_of_files_are_read_by_the_prompts_that_there_are(tmp_path: Path) -> None:
    for name in ("a_12_3.png", "a_12.png", "a_1_0.webp", "b.png", "a_12_3x.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    found, strange = find_pictures(tmp_path, {"a_12", "a_1"}, 1)
    assert [(p.item_id, p.number, p.path.name) for p in found] == [
        ("a_1", 0, "a_1_0.webp"),
        ("a_12", 0, "a_12.png"),
        ("a_12", 3, "a_12_3.png"),
    ]
    assert strange == ["a_12_3x.png", "b.png"]
    (tmp_path / "a_12_03.jpg").write_bytes(b"")
    with pytest.raises(SourceError, match="both image 3 of a_12"):
        find_pictures(tmp_path, {"a_12"}, 1)


def test_what_cannot_be_scored_is_one_line_and_exit_code_2(
    server: PromptServer, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / f"{read_release(root)[0].item_id}.png").write_bytes(b"no picture")
    told = [f'answer.endpoints=["{server.url}"]', "answer.backend=server", f"answer.model={PromptServer.MODEL}"]
    for images, release, said in [
        (tmp_path / "none", root, "is no folder"),
        (tmp_path / "empty", root, "holds no image of these prompts"),
        (tmp_path / "bad", root, "cannot read the image"),
        (tmp_path / "empty", tmp_path, "holds no release of dense prompts"),
    ]:
        words = ["score", "--images", str(images), "--prompts", str(release)]
        assert main([*words, *(w for setting in told for w in ("--set", setting))]) == 2
        error = capsys.readouterr().err
        assert said in error and error.startswith("error: ") and error.count("\n") == 1
