"""In process, the probability of yes is that of the tokens that say so, where the answer stands."""

from __future__ import annotations

import math

import pytest
import torch

from curation.caption.model.decoding import Listen, YesNo
from curation.caption.model.yes_no import meaning


class Vocabulary:
    """A tokenizer's words; a word piece that begins a word has a blank before it."""

    words = ("<s>", "yes", " Yes", "no", "NO", "not", "ball", " yesterday", "<pad>")

    def get_vocab(self) -> dict[str, int]:
        return {word.replace(" ", "Ġ"): i for i, word in enumerate(self.words)}

    def decode(self, ids: list[int]) -> str:
        return "".join(self.words[i] for i in ids)


def scores(**probabilities: float) -> torch.Tensor:
    found = torch.full((1, len(Vocabulary.words)), -30.0)
    for word, p in probabilities.items():
        found[0, Vocabulary.words.index(word.replace("_", " "))] = math.log(p)
    return found


@pytest.mark.parametrize(
    ("token", "means"), [("yes", True), ("▁No", False), ("Ġtrue", True), ("not", None), ("", None)]
)
def test_tokens_of_any_tokenizer_are_read(token: str, means: bool | None) -> None:
    assert meaning(token.replace("Ġ", " ")) is means


def test_the_share_is_taken_where_the_answer_stands() -> None:
    listen = YesNo(Vocabulary()).listen()
    steps = [scores(ball=0.9, yes=0.05, no=0.05), scores(yes=0.5, _Yes=0.25, no=0.2, NO=0.05)]
    for step in steps:
        assert torch.equal(listen(torch.zeros(1, 1), step), step)  # it changes nothing
    assert listen.probability(0, [6, 1]) == pytest.approx(0.75)
    assert listen.probability(0, [3]) == pytest.approx(0.5)
    assert listen.probability(0, [6, 5]) is None


def test_a_tokenizer_without_such_words_gives_no_probability() -> None:
    listen = Listen([], [2])
    listen(torch.zeros(1, 1), scores(no=1.0))
    assert listen.probability(0, [2]) is None
