"""The painter, its corner of the world, its judge, and the comparison of releases."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from curation.demo.judge import judge
from curation.demo.painting import arms, compare
from curation.demo.painting.arms import Arm, Studio
from curation.demo.painting.corner import COLOURS, KINDS, MOST, corner_scene
from curation.demo.painting.eye import Eye, answers, judged
from curation.demo.painting.flow import paint, scaled
from curation.demo.painting.lesson import Course, picture, train_painter
from curation.demo.painting.painter import Painter, Shape, patched, unpatched
from curation.demo.painting.reading import HEIGHT, WIDTH, Lessons, Texts, read_release, tokens_of
from curation.demo.painting.releases import make_release
from curation.demo.painting.source import write_pictures
from curation.demo.painting.states import features_settings, states_of
from curation.demo.phrases import short_caption
from curation.demo.truth import Scene, generator, reserved

TINY = Shape(width=32, depth=2, heads=2, text_depth=1)
SCRIPTED = ("caption.backend=scripted", "caption.model=", "check.min_words={}")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("source"), count=30, copies=8)


@pytest.fixture(scope="module")
def root(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_release(tmp_path_factory.mktemp("root") / "refined", pictures, SCRIPTED)


def test_a_new_scene_shows_a_combination_that_no_other_scene_does() -> None:
    for index in range(200):
        assert not any(reserved(o.kind, o.colour) for o in corner_scene(1, index).objects)
        assert any(reserved(o.kind, o.colour) for o in corner_scene(1, index, new=True).objects)


def test_every_kind_of_the_corner_has_one_reserved_colour() -> None:
    for kind in KINDS:
        assert sum(reserved(kind, colour) for colour in COLOURS) == 1, kind


def test_a_scene_is_a_function_of_its_number_and_its_caption_is_true() -> None:
    for index in range(60):
        shown = corner_scene(3, index, new=index % 2 == 1)
        assert shown == corner_scene(3, index, new=index % 2 == 1)
        assert all(1 <= o.count == len(o.instances) <= MOST for o in shown.objects)
        found = judge(shown, short_caption(shown, generator(3, index)))
        assert not found.false
        assert {(c.subject, c.aspect) for c in found.true} >= {(o.kind, "colour") for o in shown.objects}


def test_near_copies_are_written_with_texts_of_their_own_and_dedupe_finds_them(
    pictures: Path, root: str, tmp_path: Path
) -> None:
    again = write_pictures(tmp_path, count=30, copies=8)
    files = sorted(p.name for p in pictures.iterdir())
    assert len(files) == 2 * 38
    assert all((pictures / f).read_bytes() == (again / f).read_bytes() for f in files)
    assert len(read_release(root, {"preferred": 1.0})) <= 30
    whole = make_release(tmp_path / "whole", pictures, [*SCRIPTED, "dedupe.enabled=false"], like=Path(root))
    assert len(read_release(whole, {"preferred": 1.0})) == 38


def test_a_picture_without_alt_text_teaches_none(root: str) -> None:
    texts = read_release(root, {"alt_text": 1.0}).texts
    assert "" in texts
    assert set(texts).isdisjoint(read_release(root, {"short": 1.0}).texts)


def test_patches_are_put_together_as_they_were_cut() -> None:
    pixels = torch.rand(2, 3, HEIGHT, WIDTH)
    assert torch.equal(unpatched(patched(pixels, TINY.patch), TINY), pixels)


def _trained(texts: Sequence[str], seed: int = 0) -> Painter:
    pixels = torch.stack([picture(corner_scene(0, i)) for i in range(len(texts))])
    return train_painter(Lessons(pixels, list(texts)), Course(4, 3, shape=TINY), seed).painter


def test_a_training_is_a_function_of_its_texts_and_its_seed() -> None:
    texts = ["a red hat", "a blue star", "two green moons", "a purple house"]
    weights = _trained(texts).state_dict()
    same, other, swapped = (p.state_dict() for p in (_trained(texts), _trained(texts, 1), _trained(texts[::-1])))
    assert all(torch.equal(weights[name], same[name]) for name in weights)
    assert any(not torch.equal(weights[name], other[name]) for name in weights)
    assert any(not torch.equal(weights[name], swapped[name]) for name in weights)


def test_a_painter_learns_to_paint_what_it_is_shown() -> None:
    shown = [corner_scene(0, i) for i in range(2)]
    pixels = torch.stack([picture(s) for s in shown])
    texts = ["a red hat", "two blue stars"]
    done = train_painter(Lessons(pixels, texts), Course(150, 8, shape=TINY), 0)
    assert sum(done.losses[-20:]) < 0.5 * sum(done.losses[:20])
    painted = scaled(paint(done.painter, Texts.of(texts, TINY.tokens), done.nothing))
    away = (painted[:, None] - scaled(pixels)[None]).pow(2).mean(dim=(2, 3, 4))
    assert away.argmin(dim=1).tolist() == [0, 1]


def test_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    painter = Painter(TINY)
    for weight in painter.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    noisy, time = torch.randn(1, 3, HEIGHT, WIDTH), torch.tensor([0.3])
    found = [painter(noisy, time, *painter.read(Texts.of(["two red hats"], most))) for most in (12, 32)]
    assert torch.allclose(found[0], found[1], atol=1e-4)
    other = painter(noisy, time, *painter.read(Texts.of(["two blue hats"], 12)))
    assert not torch.allclose(found[0], other, atol=1e-3)


def test_a_cross_adapter_reads_a_language_models_states_and_no_padding() -> None:
    torch.manual_seed(0)
    painter = Painter(replace(TINY, states=8))
    for weight in painter.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    noisy, time = torch.randn(1, 3, HEIGHT, WIDTH), torch.tensor([0.3])
    one, longer = torch.randn(5, 8), torch.randn(9, 8)
    texts = ["two red hats", "a purple house left of three blue moons"]

    def painted(read: Texts) -> torch.Tensor:
        return painter(noisy, time, *painter.read(read))

    alone = painted(Texts.of(texts[:1], 12, [one]))
    assert torch.allclose(alone, painted(Texts.of(texts, 32, [one, longer]).rows(slice(0, 1))), atol=1e-4)
    assert not torch.allclose(alone, painted(Texts.of(texts[:1], 12, [-one])), atol=1e-3)
    nothing = Texts.of([""], 12, [longer])
    forgot = Texts.of(texts, 12, [one, longer]).forgetting(torch.tensor([True, False]), nothing)
    assert torch.allclose(painted(forgot.rows(slice(0, 1))), painted(nothing), atol=1e-4)
    assert torch.equal(forgot.tokens[1], tokens_of(texts[1:], 12)[0])
    with pytest.raises(ValueError, match="states"):
        painter.read(Texts.of(texts, 12))


def test_a_prompt_has_the_states_that_a_release_has_of_the_same_caption(
    root: str, pictures: Path, tmp_path: Path
) -> None:
    featured = make_release(tmp_path / "featured", pictures, [*SCRIPTED, *features_settings()], like=Path(root))
    lessons = read_release(featured, {"short": 1.0}, states=True)
    assert len(lessons.states) == len(lessons)
    for ours, theirs in zip(states_of(lessons.texts[:4]), lessons.states[:4], strict=True):
        assert torch.allclose(ours, theirs, atol=2e-2)


class _Knowing(Eye):
    """Sees what it is told."""

    def __init__(self, scenes: Sequence[Scene]) -> None:
        super().__init__(4)
        self.counts, self.colours = answers(scenes)

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        counts = torch.nn.functional.one_hot(self.counts, MOST + 1).float()
        return counts, torch.nn.functional.one_hot(self.colours.clamp_min(0), len(COLOURS)).float()


def test_the_judge_counts_things_colours_and_counts_apart() -> None:
    shown = [corner_scene(0, index) for index in range(40)]
    blank = torch.zeros(40, 3, HEIGHT, WIDTH)
    eye = _Knowing(shown)
    assert set(vars(judged(eye, blank, shown)).values()) == {1.0}
    row, kind = (int(v[0]) for v in torch.nonzero(eye.counts, as_tuple=True))
    total = int((eye.counts > 0).sum())
    eye.colours[row, kind] = (eye.colours[row, kind] + 1) % len(COLOURS)
    found = judged(eye, blank, shown)
    assert (found.things, found.counted) == (1.0, 1.0)
    assert found.coloured == pytest.approx(1 - 1 / total)
    assert found.whole == pytest.approx(1 - 1 / 40)
    eye.counts[row, kind] = 0
    found = judged(eye, blank, shown)
    assert found.things == found.counted == pytest.approx(1 - 1 / total)


def test_an_arm_takes_over_the_work_of_another_where_that_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Path | None] = []

    def make(root: Path, pictures: Path, settings: Sequence[str], like: Path | None) -> str:
        begun.append(like)
        root.mkdir()
        return str(root)

    monkeypatch.setattr(arms, "make_release", make)
    studio = Studio(tmp_path, pictures=2, copies=0)
    studio.release(Arm("first", {"short": 1.0}, root="first", like="refined"))
    studio.release(Arm("refined", {"short": 1.0}))
    studio.release(Arm("second", {"short": 1.0}, root="second", like="refined"))
    assert begun == [None, None, tmp_path / "refined"]


def test_a_comparison_trains_each_arm_once_and_prints_a_line_for_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained: list[int] = []
    real = compare.train_painter
    monkeypatch.setattr(
        compare,
        "train_painter",
        lambda lessons, course, seed: trained.append(seed) or real(lessons, Course(course.steps, 4, shape=TINY), seed),
    )
    words = ["captions", "--work", str(tmp_path), "--pictures", "8", "--copies", "2", "--steps", "2"]
    words += ["--seeds", "0", "1", "--prompts", "4", "--eye-steps", "2"]
    assert compare.main(words) == 0
    printed = capsys.readouterr().out
    assert trained == [0, 0, 1, 1]
    assert [line.split("|")[1].strip() for line in printed.split("\n\n")[1].splitlines()[2:]] == [
        *["alt text"] * 2,
        *["refined captions"] * 2,
    ]
    assert compare.main(words) == 0
    assert capsys.readouterr().out == printed
    assert len(trained) == 4
    assert len([json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]) == 4
