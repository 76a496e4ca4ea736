"""What a tower is not sure of is asked about beside what is true."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from curation.demo.judge import judge
from curation.demo.render import jpeg
from curation.demo.training import corpus
from curation.demo.training.corpus import KIND_NUMBERS, Corpus
from curation.demo.training.doubts import Doubt, doubtful
from curation.demo.training.statements import doubtful_pair
from curation.demo.training.targets import CHANNELS, patch_targets
from curation.demo.truth import generator
from curation.demo.vocabulary import COLOURS, KINDS, PLACES, SIZES, WORDS
from curation.demo.world import scene

SHOWN = [scene(31, i) for i in range(12)]
LABELS = np.stack([corpus.labels(s) for s in SHOWN])
CHUNK = Corpus(np.stack([corpus.pixels(jpeg(s)) for s in SHOWN]), LABELS, SHOWN)
TRUTH = torch.from_numpy(patch_targets(SHOWN, LABELS))
VALUES = {
    "kind": tuple(KINDS), "colour": tuple(COLOURS), "size": tuple(SIZES), "count": (1, 2, 3, 4), "place": PLACES,
    "word": WORDS,
}  # fmt: skip


def tower(channel: str = "", mistaken: int = 1) -> Any:
    """A seer that tells the truth, but of one channel the class ``mistaken`` steps further as likely."""

    def see(_: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        found = []
        for at, (name, count) in enumerate(CHANNELS.items()):
            clear = torch.nn.functional.one_hot(TRUTH[:, at], count).float() * 20
            if name == channel:
                told = len(VALUES[name])
                other = torch.where(TRUTH[:, at] > 0, (TRUTH[:, at] - 1 + mistaken) % told + 1, 0)
                clear = torch.maximum(clear, torch.nn.functional.one_hot(other, count).float() * 20)
            found.append(clear)
        return found, []

    return see


def test_who_sees_everything_doubts_nothing() -> None:
    assert doubtful(tower(), [CHUNK]) == {}


@pytest.mark.parametrize("channel", VALUES)
def test_a_doubt_names_the_thing_and_what_it_is_taken_for(channel: str) -> None:
    found = doubtful(tower(channel), [CHUNK])
    values = VALUES[channel]
    for number, shown in enumerate(SHOWN):
        wanted = []
        if channel == "word" and shown.board:
            wanted = [Doubt("word", values[(values.index(shown.board.word) + 1) % len(values)])]  # type: ignore[arg-type]
        elif channel != "word":
            drawn = [at for at, o in enumerate(shown.objects) if (LABELS[number, 0] == KIND_NUMBERS[o.kind]).any()]
            own = [(at, values.index(getattr(shown.objects[at], channel))) for at in drawn]  # type: ignore[arg-type]
            wanted = [Doubt(channel, values[(i + 1) % len(values)], at) for at, i in own]  # type: ignore[misc]
        assert found.get(number, []) == wanted


@pytest.mark.parametrize("channel", VALUES)
def test_of_a_doubtful_pair_one_statement_is_true_and_the_other_says_the_doubt(channel: str) -> None:
    pairs = [
        (SHOWN[number], p)
        for number, doubts in doubtful(tower(channel, 2), [CHUNK]).items()
        for turn in range(8)
        for doubt in doubts
        if (p := doubtful_pair(SHOWN[number], doubt, generator(number, turn))) is not None
    ]
    assert len(pairs) > 20
    assert not [p.true for shown, p in pairs if judge(shown, p.true).false]
    assert np.mean([bool(judge(shown, p.false).false) for shown, p in pairs]) > 0.8


def test_a_kind_that_the_scene_shows_besides_is_no_doubt_to_ask_about() -> None:
    shown = next(s for s in SHOWN if len(s.objects) > 1)
    assert doubtful_pair(shown, Doubt("kind", shown.objects[1].kind, 0), generator(1)) is None
