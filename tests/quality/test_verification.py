"""What the demo verifier catches of falsehoods that only a look at the image can reveal, and what it costs."""

from __future__ import annotations

from pathlib import Path

import pytest

from curation.caption.model.checkpoint import locate
from curation.demo.false_captions import SEED
from curation.demo.training.verifying import VERIFIER, figures, open_verifier
from curation.demo.world import scene
from tests.support.figures import Figures

TITLE = "verification: the demo verifier on held-out scenes, statements at a threshold of 0.5"


@pytest.mark.timeout(3600)
def test_planted_faults_are_caught_and_faithful_sentences_kept(request: pytest.FixtureRequest, full: bool) -> None:
    report: Figures = request.getfixturevalue("figures")
    shown = [scene(SEED, i, "heldout") for i in range(1000 if full else 12)]
    measured = figures(shown, open_verifier(Path(locate("demo-verifier"))))
    for name, value in measured.items():
        report.add(TITLE, figure=name, measured=value, target=VERIFIER.target(name, value))
    caught = {k: v for k, v in measured.items() if k.startswith("caught")}
    # Twelve scenes show less than a thousand do.
    assert min(caught.values()) > (0.945 if full else 0.8), caught
    assert measured["true statements called false"] < (0.01 if full else 0.03)
    assert measured["expected calibration error"] < 0.03
    if full:
        assert measured["statements"] > 50_000
