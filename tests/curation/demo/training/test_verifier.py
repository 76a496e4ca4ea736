"""The demo verifier: its statements, its pass over many of them, its training and the checkpoint that is shipped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, LlavaForConditionalGeneration

from curation.caption.model.chat import ChatRequest, Sampling
from curation.caption.model.checkpoint import identify, locate
from curation.caption.model.transformers import TransformersModel
from curation.caption.prompts import load
from curation.caption.verify.statements import split
from curation.caption.verify.trial import try_out
from curation.demo.claims import claims
from curation.demo.false_captions import false_caption
from curation.demo.judge import judge
from curation.demo.phrases import PLACE_PHRASES, dense_caption
from curation.demo.render import jpeg
from curation.demo.training import corpus
from curation.demo.training.calibrating import answered, calibrate, fitted
from curation.demo.training.packed import Asker, leads
from curation.demo.training.pair import Pair
from curation.demo.training.self_verifying import open_doubts
from curation.demo.training.squares import square_pairs
from curation.demo.training.statements import pairs
from curation.demo.training.tower import features
from curation.demo.training.truths import Truth, truths
from curation.demo.training.verifier import begin, main
from curation.demo.training.verifying import asked_of, calibration_error, dropped, figures, open_verifier
from curation.demo.truth import Scene, generator, reserved
from curation.demo.vocabulary import COLOURS, KINDS
from curation.demo.world import scene
from schemas.chat import Captioning

CAPTIONER, VERIFIER = Path(locate("demo")), Path(locate("demo-verifier"))
# Words of the phrasings that are kept for held-out scenes.
HELD_OUT = (
    "appear", "one finds", "Visible ", "forms the backdrop", "Everything is seen", "further left than",
    "further right than", "on the left of the", "on the right of the", "placed above", "placed in front", "peek",
    "partly covered by", "partly cover ", "partly covers ",
    "is beneath", "are beneath", "is underneath", "are underneath",
    "On a board stands", "framed sign", "no writing at all", "No lettering can",
    "shares the space", "every bit of", "Clear contours and", "drawn plainly", "No further thing",
    "A view of", ", seen ",
)  # fmt: skip


def drawn(count: int) -> list[tuple[Scene, Pair]]:
    shown = [(scene(3, i, "heldout" if i % 2 else "train"), scene(3, i + 500)) for i in range(count)]
    return [(s, p) for i, (s, other) in enumerate(shown) for p in pairs(s, other, generator(5, i), 8)]


def test_of_a_pair_one_statement_is_true_and_the_other_false() -> None:
    """By the reader of claims, which skips what it does not understand: it reads most of the false ones as false."""
    cases = drawn(150)
    assert not [(p.true, judge(s, p.true).false) for s, p in cases if judge(s, p.true).false]
    unread = [p.false for s, p in cases if not judge(s, p.false).false]
    assert len(unread) < 0.1 * len(cases), unread
    assert {p.fault for _, p in cases} == {
        "object", "colour", "count", "size", "place", "relation", "background", "text", "invented", "stranger", "short",
    }  # fmt: skip


def true_ones(count: int) -> list[tuple[Scene, Truth]]:
    shown = [scene(3, i, "heldout" if i % 2 else "train") for i in range(count)]
    return [(s, t) for i, s in enumerate(shown) for t in truths(s, generator(6, i), 10)]


def test_statements_that_stand_alone_are_true() -> None:
    cases = true_ones(150)
    assert not [(t.text, judge(s, t.text).false) for s, t in cases if judge(s, t.text).false]
    kinds = [t.kind for _, t in cases]
    assert {"whole", "thing", "relation", "background", "written", "always", "short"} == set(kinds)
    # Most of them claim something, so that they are not true of any picture.
    assert np.mean([bool(judge(s, t.text).true) for s, t in cases]) > 0.7


def test_no_statement_names_a_combination_that_no_training_scene_shows() -> None:
    """Its name alone would tell that a statement is false, and true ones about held-out scenes would sound false."""
    shown = [(scene(3, i), scene(3, i + 500)) for i in range(120)]
    texts = [
        t for i, (s, other) in enumerate(shown) for p in pairs(s, other, generator(5, i), 8) for t in (p.true, p.false)
    ]
    named = [c for t in texts for c in claims(t) if c.aspect == "colour" and c.subject in KINDS and c.value in COLOURS]
    assert len(named) > 500
    assert not [c for c in named if reserved(c.subject, c.value)]


def test_no_statement_has_a_phrasing_that_is_kept_for_held_out_scenes() -> None:
    texts = [text for _, p in drawn(150) for text in (p.true, p.false)] + [t.text for _, t in true_ones(150)]
    assert not [
        (t, w) for t in texts for w in HELD_OUT if w in t.replace("else appears", "").replace("words appear", "")
    ]
    assert not [t for t in texts if t.startswith("Higher than") and (" is " in t or " are " in t)]
    assert PLACE_PHRASES["upper left"][0] in " ".join(texts)


def test_squares_are_asked_about_in_pairs() -> None:
    found = square_pairs("red", "white", generator(1), 40)
    assert all(p.true != p.false and "purple" not in p.true for p in found)
    assert {"There is a red square on a white background."} <= {p.true for p in found}


def test_a_verifier_goes_on_with_the_words_that_it_has() -> None:
    model, tokenizer = begin(VERIFIER)
    assert tokenizer.get_vocab() == AutoTokenizer.from_pretrained(VERIFIER).get_vocab()
    assert model.config.text_config.vocab_size == len(tokenizer)


def test_a_calibrated_verifier_says_the_fitted_line_of_what_it_said(tmp_path: Path) -> None:
    corpus.build(tmp_path, 24, 5, "heldout", 1, 12)
    model, tokenizer = begin(VERIFIER)
    asker = Asker(tokenizer, model.config)
    states, true = answered(model, asker, corpus.load(tmp_path, "heldout", 24), range(24))
    assert 0.6 < float(true.float().mean()) < 0.75

    def leads_of(found: torch.Tensor) -> torch.Tensor:
        rows = model.lm_head.weight.detach()
        return found @ (rows[asker.yes] - rows[asker.no])

    before, others = leads_of(states), model.lm_head.weight.detach().clone()
    slope, shift = calibrate(model, asker, states, true)
    after = leads_of(states)
    wanted = slope * before + shift
    # No direction is quite the same in all states.
    assert float((after - wanted).abs().mean()) < 0.1 * abs(shift) + 1e-3
    assert np.corrcoef(after.numpy(), wanted.numpy())[0, 1] > 0.98
    loss = torch.nn.functional.binary_cross_entropy_with_logits
    assert loss(after, true.float()) <= loss(before, true.float()) + 1e-3
    changed = (model.lm_head.weight.detach() != others).any(dim=1)
    assert changed.nonzero().flatten().tolist() == [asker.yes]


def test_many_statements_in_one_pass_are_answered_as_one_by_one() -> None:
    model, tokenizer = begin(CAPTIONER)
    model.eval()
    asker = Asker(tokenizer, model.config)
    pixels = torch.randn(2, 3, 192, 192, generator=torch.Generator().manual_seed(1))
    rows = [
        ["A large red ball stands.", "Two cats.", "There is no text to read, yes."],
        ["A house is left of the big green tree.", "No.", 'The word "OPEN" is written on a board. It is pale.'],
    ]
    with torch.no_grad():
        together = leads(model, asker, asker.pack(rows), features(model.model.vision_tower, pixels))
        for at, row in enumerate(rows):
            for number, statement in enumerate(row):
                ids = torch.tensor([[*asker.prefix, *asker.tokens(statement)]])
                logits = model(input_ids=ids, pixel_values=pixels[at : at + 1]).logits[0, -1]
                alone = logits[asker.yes] - logits[asker.no]
                assert float(together[at, number]) == pytest.approx(float(alone), abs=1e-3)


def test_a_request_is_spelled_as_the_processor_spells_it() -> None:
    """The tokens that training reads are those of the prompt, the chat template and the processor."""
    model, tokenizer = begin(CAPTIONER)
    asker = Asker(tokenizer, model.config)
    text = "A large red ball stands in the upper left."
    user = load("verify").render("", {}, text)
    whole = f"<s>USER: {'<image>' * 144}\n{user}\nASSISTANT:"
    assert tokenizer(whole, add_special_tokens=False).input_ids == [*asker.prefix, *asker.tokens(text)]


def test_a_short_training_makes_a_checkpoint_that_answers(tmp_path: Path) -> None:
    sizes = ["--scenes", "12", "--sight", "1", "--heldout", "6", "--chunk", "6", "--batch", "2", "--threads", "1"]
    arguments = ["--out", str(tmp_path / "out"), "--work", str(tmp_path / "work"), *sizes]
    assert main([*arguments, "--steps", "2", "--score", "2"]) == 0
    card = (tmp_path / "out" / "README.md").read_text()
    assert "caught: wrong size" in card
    assert "Below target" in card
    model = TransformersModel(str(tmp_path / "out"), identify(str(tmp_path / "out")), device="cpu")
    (reply,) = model.complete([asked("0", scene(9, 1), "There is a red ball.")])
    model.close()
    assert reply.tokens_out  # what it says after two steps is not to be expected to be yes or no
    # More steps go on from the saved state.
    assert main([*arguments, "--steps", "3", "--score", "0"]) == 0


def test_a_folder_of_something_else_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(SystemExit):
        main(["--out", str(tmp_path), "--work", str(tmp_path / "work")])


def test_one_who_knows_the_truth_catches_all_and_one_who_says_yes_nothing() -> None:
    shown = [scene(12, i, "heldout") for i in range(6)]

    def knows(scenes: list[Scene], rows: list[list[str]]) -> list[list[float]]:
        return [[float(not judge(s, t).false) for t in row] for s, row in zip(scenes, rows, strict=True)]

    best = figures(shown, knows)  # type: ignore[arg-type]
    assert all(v == 1 for k, v in best.items() if k.startswith("caught"))
    assert best["true statements called false"] == best["expected calibration error"] == 0
    worst = figures(shown, lambda _, rows: [[1.0] * len(r) for r in rows])
    assert all(v == 0 for k, v in worst.items() if k.startswith("caught"))
    assert worst["expected calibration error, half false"] == pytest.approx(0.5)
    captions = [false_caption("wrong object", s) for s in shown]
    mended = dropped(shown, captions, knows)  # type: ignore[arg-type]
    assert mended["captions with a false claim"] == 1
    assert mended["after verification"] == 0
    assert {a.kind for a in asked_of(shown[:1]) if not a.true} > {"swapped colours", "wrong relation"}


def test_a_captioner_doubts_what_is_false_more() -> None:
    shown = [scene(12, i) for i in range(8)]
    asked = asked_of(shown)
    rows = [[a.text for a in asked if a.scene == at] for at in range(len(shown))]
    doubts = np.array([x for row in open_doubts(CAPTIONER)(shown, rows) for x in row])
    true = np.array([a.true for a in asked])
    assert np.median(doubts[true]) > np.median(doubts[~true]) + 1
    slope, shift = fitted(torch.tensor(doubts, dtype=torch.float32), torch.tensor(true))
    assert slope > 0
    said = 1 / (1 + np.exp(-(slope * doubts + shift)))
    assert np.mean((said > 0.5) == true) >= max(true.mean(), 1 - true.mean())


def test_calibration_is_the_gap_between_what_is_said_and_what_is_so() -> None:
    said = np.array([0.9] * 10 + [0.2] * 10)
    assert calibration_error(said, np.array([True] * 9 + [False] + [True] * 2 + [False] * 8)) == pytest.approx(0)
    assert calibration_error(said, np.array([False] * 10 + [True] * 2 + [False] * 8)) == pytest.approx(0.45)


def asked(key: str, shown: Scene, statement: str) -> ChatRequest:
    prompt = load("verify")
    return ChatRequest(
        key, prompt.render("", {}, statement), prompt.system, jpeg(shown), sampling=Sampling(max_tokens=4), yes_no=True
    )


def test_the_shipped_verifier_tells_true_from_false() -> None:
    """By the ordinary path of a recipe, and with the same probabilities as its own pass over many statements."""
    shown = [scene(77, i, "heldout") for i in range(8)]
    rows = [
        [
            s.asked
            for text in (dense_caption(one, generator(1, i)), false_caption("swapped colours", one))
            for s in split(text)
        ]
        for i, one in enumerate(shown)
    ]
    model = TransformersModel("demo-verifier", identify("demo-verifier"), device="cpu")
    requests = [asked(f"{i}-{k}", s, t) for i, s in enumerate(shown) for k, t in enumerate(rows[i])]
    replies = {r.key: r.probability for r in model.complete(requests)}
    try_out(model, load("verify"), Sampling(max_tokens=4), 0.5, "verify")
    model.close()
    right = []
    together = open_verifier(VERIFIER)(shown, rows)
    for i, one in enumerate(shown):
        for k, text in enumerate(rows[i]):
            said = replies[f"{i}-{k}"]
            assert said is not None
            assert said == pytest.approx(together[i][k], abs=0.15)  # one in bfloat16, the other in float32
            right.append((said >= 0.5) == (not judge(one, text).false))
    assert np.mean(right) > 0.95, right


def test_both_checkpoints_together_stay_small() -> None:
    assert sum(f.stat().st_size for folder in (CAPTIONER, VERIFIER) for f in folder.iterdir()) <= 30_000_000
    model = LlavaForConditionalGeneration.from_pretrained(VERIFIER)
    assert model.config.text_config.num_hidden_layers == 3
    assert Captioning(model="demo-verifier").model == "demo-verifier"
