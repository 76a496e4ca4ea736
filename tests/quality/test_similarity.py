"""What the similarity stage catches of falsehoods that read well."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from curation.caption.check.similarity import SimilarityModel, identify
from curation.demo.false_captions import FALSE, SEED, false_caption
from curation.demo.judge import judge
from curation.demo.phrases import dense_caption
from curation.demo.render import jpeg
from curation.demo.truth import Scene, generator
from curation.demo.world import scene
from tests.support.demo_clip import Size, make_demo_clip
from tests.support.figures import Figures

TITLE = "similarity stage on faults that only a look at the image can reveal"
ALARMS = 0.02  # share of faithful captions that the limit may cost
_BATCH = 50


@pytest.fixture(scope="module")
def model(full: bool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimilarityModel]:
    # The short form only sees whether the parts fit; what so short a training comes to is no figure.
    size = Size() if full else Size(scenes=64, steps=2)
    folder = make_demo_clip(tmp_path_factory.mktemp("models") / "demo-clip", size)
    assert identify(str(folder)).name == "demo-clip"
    opened = SimilarityModel(str(folder))
    yield opened
    opened.close()


def similarities(model: SimilarityModel, scenes: list[Scene], texts: list[str]) -> NDArray[np.float64]:
    """The cosine of each scene's picture and the text beside it."""
    found = []
    for start in range(0, len(scenes), _BATCH):
        pictures = model.embed_images([jpeg(s) for s in scenes[start : start + _BATCH]])
        words = model.embed_texts(texts[start : start + _BATCH])
        found.append((pictures * words).sum(dim=-1).double().numpy())
    return np.concatenate(found)


@pytest.mark.timeout(3600)  # the long form trains for some minutes
def test_what_a_limit_on_similarity_catches(model: SimilarityModel, figures: Figures, full: bool) -> None:
    """The limit is set on one half of the scenes, so that few faithful captions fall below, and used on the other."""
    scenes = [scene(SEED, 10_000 + n) for n in range(400 if full else 8)]
    half = len(scenes) // 2
    true = similarities(model, scenes, [dense_caption(s, generator(s.index, 18)) for s in scenes])
    limit = float(np.quantile(true[:half], ALARMS))
    alarms = float((true[half:] < limit).mean())
    for kind in FALSE:
        told = [
            (at, s, text) for at, s in enumerate(scenes) if at >= half if judge(s, text := false_caption(kind, s)).false
        ]
        scores = similarities(model, [s for _, s, _ in told], [text for _, _, text in told])
        assert np.abs(scores).max() <= 1.0
        figures.add(
            TITLE,
            fault=kind,
            cases=len(told),
            caught=float((scores < limit).mean()),
            below_its_true_caption=float((scores < true[[at for at, _, _ in told]]).mean()),
            false_alarms=alarms,
        )
    figures.note(
        TITLE, "The limit lets 98 % of faithful captions pass on scenes of their own; caught is what falls below."
    )
    figures.note(TITLE, "The model is trained on the demo world and sees through the demo captioner's tower;")
    figures.note(TITLE, "a CLIP of the hub is asked the same way with scores.model.")
    assert np.abs(true).max() <= 1.0
    if full:
        beaten = {row["fault"]: float(row["below_its_true_caption"]) for row in figures.tables[TITLE]}
        assert beaten["another picture's caption"] > 0.5
