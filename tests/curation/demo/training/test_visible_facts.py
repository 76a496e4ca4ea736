"""A captioner is taught to say what its tower tells, and to leave the rest unsaid."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.demo.judge import judge
from curation.demo.phrases import SOMETHING, dense_caption, short_caption
from curation.demo.render import jpeg
from curation.demo.training import corpus
from curation.demo.training.batches import UNTOLD, pick
from curation.demo.training.corpus import Corpus
from curation.demo.training.lessons import visible_facts
from curation.demo.training.targets import CHANNELS, patch_targets
from curation.demo.truth import Scene, generator
from curation.demo.world import scene

SCENES = [scene(31, i) for i in range(24)]
TRUTH = torch.from_numpy(patch_targets(SCENES, np.stack([corpus.labels(s) for s in SCENES])))
NAMES = list(CHANNELS)
# Which field of an object each channel tells, and what stands there where it is not told.
FIELDS = {"kind": SOMETHING, "colour": "", "size": "", "place": ""}


def logits(doubted: str = "", scale: float = 20.0, classes: torch.Tensor = TRUTH) -> list[torch.Tensor]:
    """What a tower tells that sees ``classes`` clearly, but nothing of the channel ``doubted``."""
    found = []
    for at, (name, count) in enumerate(CHANNELS.items()):
        clear = torch.nn.functional.one_hot(classes[:, at], count).float() * scale
        found.append(torch.zeros_like(clear) if name == doubted else clear)
    return found


def test_who_sees_everything_tells_everything() -> None:
    assert visible_facts(SCENES, logits(), TRUTH) == SCENES


@pytest.mark.parametrize("channel", FIELDS)
def test_what_the_tower_does_not_tell_is_left_out_and_nothing_else(channel: str) -> None:
    for before, after in zip(SCENES, visible_facts(SCENES, logits(channel), TRUTH), strict=True):
        blank = {channel: FIELDS[channel]}
        assert after.objects == tuple(dataclasses.replace(o, **blank) for o in before.objects)  # type: ignore[arg-type]
        assert after.board == before.board
        assert len(after.relations) == (0 if channel == "kind" else len(before.relations))


def test_an_unread_word_leaves_the_board() -> None:
    seen = visible_facts(SCENES, logits("word"), TRUTH)
    assert any(s.board for s in SCENES)
    for before, after in zip(SCENES, seen, strict=True):
        assert (after.board is None) == (before.board is None)
        assert after.board is None or after.board.word == ""
        assert after.objects == before.objects


def test_a_tower_that_is_surely_wrong_has_not_told() -> None:
    wrong = TRUTH.clone()
    kind = NAMES.index("kind")
    wrong[:, kind] = torch.where(TRUTH[:, kind] > 0, TRUTH[:, kind] % (CHANNELS["kind"] - 1) + 1, 0)
    for seen in visible_facts(SCENES, logits(classes=wrong), TRUTH):
        assert {o.kind for o in seen.objects} == {SOMETHING}


def test_sure_is_a_share_of_certainty() -> None:
    # One logit of ln(9 * (classes - 1)) against zeros: a probability of exactly nine tenths.
    scale = float(np.log(9 * (CHANNELS["kind"] - 1)))
    found = logits()
    found[NAMES.index("kind")] = torch.nn.functional.one_hot(TRUTH[:, 0], CHANNELS["kind"]).float() * scale
    assert visible_facts(SCENES, found, TRUTH, sure=0.89) == SCENES
    assert all(o.kind == SOMETHING for s in visible_facts(SCENES, found, TRUTH, sure=0.91) for o in s.objects)


@given(st.integers(0, 50_000), st.integers(0, 99), st.data())
@settings(max_examples=300, deadline=None)
def test_captions_of_a_doubtful_scene_are_true_and_keep_silent(index: int, turn: int, data: st.DataObject) -> None:
    truth = scene(2, index)
    doubts = data.draw(st.lists(st.sets(st.sampled_from(sorted(FIELDS))), min_size=5, max_size=5))
    blind = data.draw(st.booleans())
    found = _doubtful(truth, doubts, blind)
    for text in (dense_caption(found, generator(index, turn)), short_caption(found, generator(index, turn))):
        verdict = judge(truth, text)
        assert not verdict.false, text
        for thing, doubted in zip(truth.objects, doubts, strict=False):
            said = {c.aspect for c in verdict.true if c.subject == thing.kind}
            assert not said & (doubted - {"kind"}), text
            assert "kind" not in doubted or not said, text
        assert not blind or not any(c.aspect in ("text", "no text") and truth.board for c in verdict.true), text
    assert len(dense_caption(found, generator(index, turn)).split()) >= 40


def _doubtful(truth: Scene, doubts: list[set[str]], blind: bool) -> Scene:
    objects = tuple(
        dataclasses.replace(o, **{field: FIELDS[field] for field in doubted})  # type: ignore[arg-type]
        for o, doubted in zip(truth.objects, doubts, strict=False)
    )
    clear = tuple(r for r in truth.relations if any(objects[at].kind != SOMETHING for at in (r.subject, r.object)))
    board = dataclasses.replace(truth.board, word="") if truth.board and blind else truth.board
    return dataclasses.replace(truth, objects=objects, relations=clear, board=board)


def test_a_strange_light_changes_colours_and_nothing_else_that_is_taught() -> None:
    shown = SCENES[:8]
    pixels = np.stack([corpus.pixels(jpeg(s)) for s in shown])
    chunk = Corpus(pixels, np.stack([corpus.labels(s) for s in shown]), shown)
    plain = pick([chunk], range(8), generator(1))
    strange = pick([chunk], range(8), generator(1), relit=1.0)
    colour = NAMES.index("colour")
    others = [at for at in range(len(NAMES)) if at != colour]
    assert torch.equal(plain.patches[:, others], strange.patches[:, others])
    assert (strange.patches[:, colour] == UNTOLD).all()
    assert (strange.whole == UNTOLD).all()
    assert not (plain.patches == UNTOLD).any()
    assert all(not torch.equal(a, b) for a, b in zip(plain.pixels, strange.pixels, strict=True))
    assert torch.equal(pick([chunk], range(8), generator(1), relit=1.0).pixels, strange.pixels)
    assert np.array_equal(pixels, np.stack([corpus.pixels(jpeg(s)) for s in shown]))
