"""Wide scenes of the corner, their release as expansion data, and painters that extend pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from curation.demo.painting import extend
from curation.demo.painting.corner import SIDE, TILES, wide_scene
from curation.demo.painting.eye import Eye, answers
from curation.demo.painting.flow import canvas_of
from curation.demo.painting.lesson import Course, Trained, train_painter
from curation.demo.painting.painter import Painter, Shape
from curation.demo.painting.reading import HEIGHT, WIDTH, Lessons, Texts
from curation.demo.painting.releases import make_expansion
from curation.demo.painting.windows import WINDOW_TOKENS, read_windows
from curation.demo.panorama import view
from curation.demo.panoramas import write_scenes
from curation.demo.truth import Scene, reserved
from tests.curation.demo.painting.test_painting import SCRIPTED

TINY = Shape(width=32, depth=2, heads=2, text_depth=1, tokens=WINDOW_TOKENS, extends=True)
HALF = WIDTH // 2


def test_a_window_of_a_wide_scene_shows_its_two_things_whole_and_no_other() -> None:
    for index in range(60):
        new = index % 2 == 1
        shown = wide_scene(2, index, new)
        assert shown == wide_scene(2, index, new)
        assert any(reserved(o.kind, o.colour) for o in shown.objects) == new
        assert len({o.kind for o in shown.objects}) == TILES
        for step in range(TILES - 1):
            left = step * SIDE // 2
            seen = view(shown, (left, 0, left + SIDE, SIDE)).objects
            assert [o.kind for o in seen] == [o.kind for o in shown.objects[step : step + 2]]
            assert [o.place for o in seen] == ["middle left", "middle right"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("wide")
    return make_expansion(folder / "root", write_scenes(folder, (wide_scene(0, i) for i in range(8))), SCRIPTED)


def test_lessons_are_the_windows_of_a_release_with_both_captions(root: str) -> None:
    lessons = read_windows(root, "both", epochs=3)
    assert lessons.canvas is not None and len(lessons) == len(lessons.pixels) == len(lessons.canvas) > 8
    visible, mask = lessons.canvas[:, :3], lessons.canvas[:, 3:]
    assert not mask[..., :HALF].any() and bool(mask[..., HALF:].all())
    assert torch.equal(visible[..., :HALF], lessons.pixels[..., :HALF].float().div(127.5).sub(1))
    assert visible[..., HALF:].abs().max() < 0.01
    whole = read_windows(root, "global", epochs=3)
    assert torch.equal(whole.pixels, lessons.pixels)
    for both, alone, local in zip(lessons.texts, whole.texts, read_windows(root, "local", epochs=3).texts, strict=True):
        assert both == f"{local}\n{alone}"


def _lessons() -> Lessons:
    strips = torch.stack([extend.strip(wide_scene(0, index)) for index in range(2)])
    pixels, mask = strips[..., :WIDTH], torch.zeros(2, 1, HEIGHT, WIDTH)
    mask[..., HALF:] = 1
    return Lessons(pixels, ["a red hat", "two blue stars"], canvas=canvas_of(pixels * (mask == 0), mask))


def test_a_painter_extends_what_it_sees_as_it_has_learned() -> None:
    lessons = _lessons()
    done = train_painter(lessons, Course(150, 8, shape=TINY), 0)
    assert sum(done.losses[-20:]) < 0.5 * sum(done.losses[:20])
    found = extend.extended(done, lessons.pixels[..., :HALF], [lessons.texts])
    assert found.shape == lessons.pixels.shape
    assert torch.equal(found[..., :HALF], lessons.pixels[..., :HALF])
    away = (found[:, None].float() - lessons.pixels[None].float()).pow(2).mean(dim=(2, 3, 4))
    assert away.argmin(dim=1).tolist() == [0, 1]


def test_each_step_sees_what_the_one_before_has_painted(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []

    def paint(painter: Painter, read: Texts, nothing: Texts, seed: int, canvas: torch.Tensor) -> torch.Tensor:
        seen.append(canvas)
        return torch.full((len(read), 3, HEIGHT, WIDTH), 255 if seed == 0 else 0, dtype=torch.uint8)

    monkeypatch.setattr(extend, "paint", paint)
    start = torch.full((1, 3, HEIGHT, HALF), 51, dtype=torch.uint8)
    done = Trained(Painter(TINY), Texts.of([""], WINDOW_TOKENS), [], 0.0)
    found = extend.extended(done, start, [["a red hat"], ["a blue star"], ["a green moon"]])
    assert [set(part.flatten().tolist()) for part in found.split(HALF, dim=3)] == [{51}, {255}, {0}, {0}]
    for canvas, shade in zip(seen, (-0.6, 1.0, -1.0), strict=True):
        assert torch.allclose(canvas[:, :3, :, :HALF], torch.tensor(shade))
        assert canvas[:, :3, :, HALF:].abs().max() < 0.01


class _Knowing(Eye):
    """Sees in each half of a picture what stands in a scene's tile whose number is the brightness there."""

    def __init__(self, scenes: Sequence[Scene]) -> None:
        super().__init__(4)
        self.scenes = scenes

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        tiles = pixels[:, 0, 0, [0, -1]].add(1).mul(127.5).round().long().tolist()
        seen = [replace(s, objects=tuple(s.objects[t] for t in ts)) for s, ts in zip(self.scenes, tiles, strict=True)]
        counts, colours = answers(seen)
        one_hot = torch.nn.functional.one_hot
        return one_hot(counts, 4).float(), one_hot(colours.clamp_min(0), 5).float()


def test_a_step_is_judged_by_the_thing_that_it_adds_and_by_its_whole_window() -> None:
    asked = extend.Asked.of(20, new=False)
    strips = torch.arange(TILES, dtype=torch.uint8).repeat_interleave(HALF).expand(20, 3, HEIGHT, -1).clone()
    found = extend.judged_steps(_Knowing(asked.scenes), strips, asked)
    assert [set(vars(right).values()) for right in found] == [{1.0}] * (TILES - 1)
    strips[:4, ..., HALF : 2 * HALF] = 0  # the second thing of four pictures is the first again
    wrong, after, last = extend.judged_steps(_Knowing(asked.scenes), strips, asked)
    assert vars(wrong) == dict.fromkeys(vars(wrong), pytest.approx(0.8))
    assert (after.things, after.coloured, after.counted) == (1.0, 1.0, 1.0)
    assert after.whole == pytest.approx(0.8)  # the window still shows the wrong thing on its left
    assert set(vars(last).values()) == {1.0}


def test_the_command_trains_each_arm_once_and_prints_a_line_for_each_step(
    root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained: list[int] = []
    real = extend.train_painter

    def quick(lessons: Lessons, course: Course, seed: int) -> Any:
        trained.append(seed)
        return real(lessons, Course(course.steps, 4, shape=TINY), seed)

    monkeypatch.setattr(extend, "train_painter", quick)
    monkeypatch.setattr(extend, "make_expansion", lambda folder, pictures: root)
    words = ["--work", str(tmp_path), "--pictures", "8", "--steps", "2", "--seeds", "0", "1", "--prompts", "2"]
    words += ["--eye-steps", "2", "--threads", "1"]
    assert extend.main(words) == 0
    printed = capsys.readouterr().out
    assert trained == [0, 0, 1, 1]
    rows = [[cell.strip() for cell in line.split("|")[1:4]] for line in printed.split("\n\n")[1].splitlines()[2:]]
    assert rows == [[arm, str(seed), str(step)] for arm in extend.ARMS for seed in (0, 1) for step in (1, 2, 3)]
    assert extend.main(words) == 0
    assert capsys.readouterr().out == printed
    assert len(trained) == 4
