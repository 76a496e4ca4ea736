"""What a whole run makes of the texts: the release is scored against the truth, alt text against caption."""

from __future__ import annotations

from pathlib import Path

import pytest

from curation.core.errors import RootError
from curation.core.store import Store
from curation.demo.claims import Claim
from curation.demo.judge import Judgement
from curation.demo.released import ReleaseScore, TextScore, score_release, tally, telling
from curation.demo.truth import Scene
from curation.demo.vocabulary import KINDS
from tests.quality.conftest import Site
from tests.support.chat_server import chat_server
from tests.support.faults import planted
from tests.support.figures import Figures
from tests.support.oracle import Oracle, Telling, faithful
from tests.support.runs import refine

TITLE = "release: alt text against caption"


def told(root: Path, site: Site, telling: Telling) -> ReleaseScore:
    """The score of a run whose captions come from this teller over real HTTP."""
    with chat_server(reply=Oracle(str(root), site.truth, telling), model="oracle") as server:
        settings = [
            *site.settings,
            "check.names=reject",  # a name that nobody gave is one of the faults
            "caption.backend=server",
            f'caption.endpoints=["{server.url}"]',
            "caption.model=oracle",
        ]
        refine(str(root), site.source, settings)
    return score_release(site.truth, Store(str(root)))


def report(figures: Figures, captioner: str, score: ReleaseScore) -> None:
    for text, of in (("alt text", score.before), ("caption", score.after)):
        figures.add(
            TITLE,
            captioner=captioner,
            text=text,
            samples=of.texts,
            recall=of.recall,
            hallucination=of.hallucination,
            any_false=of.with_false,
            true_a_text=of.stated,
            false_a_text=of.false,
        )


def test_true_captions_reach_the_release_as_they_are(site: Site, tmp_path: Path, figures: Figures) -> None:
    score = told(tmp_path / "root", site, faithful)
    report(figures, "truthful", score)
    # The last of the check's own mistakes, and pictures that copies cropped, may cost a little.
    assert score.after.recall > 0.98
    assert score.after.hallucination < 0.01
    assert score.before.recall < 0.3
    kept = [r for r in site.web.truth if r.reason is None]
    assert score.after.texts >= 0.98 * len({r.sample_id for r in kept})


def test_the_score_counts_every_lie(site: Site, tmp_path: Path) -> None:
    def lying(shown: Scene) -> str:
        absent = next(k for k in KINDS if shown.object_of(k) is None)
        return f"{faithful(shown)} A small red {absent} stands in the upper left."

    score = told(tmp_path / "root", site, lying)
    assert score.after.recall > 0.98
    assert score.after.with_false == 1.0
    assert score.after.false == pytest.approx(1.0, abs=0.02)


def test_faulty_replies_are_mended_or_kept_out(site: Site, tmp_path: Path) -> None:
    """A third of the replies have a fault that text alone can reveal."""
    faults = ("refusal", "repetition loop", "invented name", "template token", "truncation", "wrong language")
    said: list[str] = []

    def faulty(shown: Scene) -> str:
        if shown.index % 3:
            return faithful(shown)
        case = planted(faults[shown.index // 3 % len(faults)], 1, shown.index, lambda _: (faithful(shown), ""))[0]
        said.append(case.text)
        return case.text

    score = told(tmp_path / "root", site, faulty)
    assert said
    assert not {s.caption for s in score.samples} & set(said)
    assert score.after.hallucination < 0.01


def test_the_demo_captioner_is_scored_whatever_it_says(
    site: Site, tmp_path: Path, figures: Figures, full: bool
) -> None:
    if not full:
        pytest.skip("make quality runs the demo captioner; make demo shows it too")
    root = tmp_path / "root"
    refine(str(root), site.source, [*site.settings, "caption.backend=transformers"])
    score = score_release(site.truth, Store(str(root)))
    report(figures, "demo", score)
    for aspect, recall in score.after.by_aspect.items():
        figures.add(
            "release: recall by what is told", fact=aspect, alt_text=score.before.by_aspect[aspect], caption=recall
        )
    for category, (before, after) in score.by_category.items():
        figures.add(
            "release: recall by class of alt text", alt_text_is=category, alt_text=before.recall, caption=after.recall
        )
    assert score.after.texts > 0.5 * len([r for r in site.web.truth if r.reason is None])


def test_a_release_of_another_web_is_told(site: Site, tmp_path: Path) -> None:
    refine(str(tmp_path / "root"), site.source, site.settings)
    rows = site.truth.read_text().splitlines()
    other = tmp_path / "truth.jsonl"
    other.write_text("\n".join(rows[: len(rows) // 2]) + "\n")
    with pytest.raises(RootError, match="does not hold"):
        score_release(other, Store(str(tmp_path / "root")))
    whole = score_release(site.truth, Store(str(tmp_path / "root")))
    categories = [s.category for s in telling(whole.samples, 5)]
    assert len(set(categories)) == min(5, len(whole.by_category))
    assert sum(before.texts for before, _ in whole.by_category.values()) == whole.before.texts


def test_a_tally_is_taken_over_all_facts_and_all_statements() -> None:
    one, two, lie = Claim("object", "cat", ""), Claim("object", "car", ""), Claim("object", "dog", "")
    full = Judgement(frozenset({one, two}), frozenset({one, two}), frozenset({one, two}), frozenset())
    half = Judgement(frozenset({one, two}), frozenset({one}), frozenset({one}), frozenset({lie}))
    score = tally([full, half])
    assert score == TextScore(2, 3 / 4, 1 / 4, 1 / 2, 3 / 2, 1 / 2, {"object": 3 / 4})
    assert tally([]).recall == tally([]).hallucination == tally([]).with_false == 0.0
