"""The check takes shortcuts for what most captions are. Each agrees with the definition that it stands for."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.caption.check import sentences, written
from curation.caption.check.caption import check_caption
from curation.caption.check.counts import lower_words, word_count
from curation.caption.check.faults import echo, ending, names, refusal, talk_patterns, task_talk
from curation.caption.check.faults.ending import _measure, _scattered
from curation.caption.check.finding import Finding
from curation.caption.languages import profile
from curation.caption.model.untrusted import _hidden, _hides_text, instructions, suspicious
from schemas.refine import Check
from tests.support.clean_captions import clean_captions
from tests.support.faults import CLASSES, PROMPT, planted
from tests.support.steps import steps

ENGLISH = profile("en")
# Of the interpreter, for a character of a caption without a fault, words known: 8.5 as this was written.
MOST_STEPS = 9.5
PIECES = st.lists(
    st.sampled_from(["the", "Red", "PARK", "a", "d'or", "it’s", "--", "…", *"“”\"'‘’4_é\n", ". ", " "]), max_size=60
).map("".join)
TEXTS = PIECES | st.text(max_size=80)


def _captions() -> list[str]:
    found = [text for text, _, _ in clean_captions(400)]
    return [*found, *(p.text for fault in CLASSES for p in planted(fault, 15, seed=5))]


@pytest.fixture(scope="module")
def captions() -> list[str]:
    return _captions()


@given(TEXTS)
def test_words_are_tokens_with_a_letter_or_a_digit(text: str) -> None:
    assert word_count(text) == sum(re.search(r"[^\W_]", token) is not None for token in text.split())


@given(TEXTS)
def test_a_text_without_an_opening_mark_has_no_quotation(text: str) -> None:
    assert written.without_quotes(text) == written._QUOTED.sub(written._blank_unless_named, text)


@given(st.lists(st.sampled_from(["a", "red", "cube", "and", "ball", "on"]), max_size=90))
def test_scattered_repeats_are_those_of_the_n_grams(said: list[str]) -> None:
    text = " ".join(said)
    grams = Counter(tuple(said[n : n + 4]) for n in range(len(said) - 3))
    share = sum(c - 1 for c in grams.values()) / max(1, sum(grams.values()))
    found = _scattered(said, _measure(text, ENGLISH))
    assert (found is not None) == (len(said) >= 40 and share > 0.5)


def _first_period(said: list[str]) -> int | None:
    """Where words begin that follow each other again as often as a loop needs; by looking at every pair of places."""
    for at in range(len(said)):
        for period in range(1, min(at, 40) + 1):
            length = 0
            while at + length < len(said) and said[at - period + length] == said[at + length]:
                length += 1
            if length >= (3 if period == 1 else 2 * period if period < 6 else period):
                return at
    return None


@given(st.lists(st.sampled_from(["a", "red", "cube", "and", "ball", "on"]), max_size=60))
def test_loops_are_those_of_every_pair_of_places(said: list[str]) -> None:
    text = " ".join(said)
    found = ending._period(text, ENGLISH, _measure(text, ENGLISH), said, range(len(said)))
    at = _first_period(said)
    assert (None if found is None else found.start) == (None if at is None else len(" ".join([*said[:at], ""])))


@given(
    st.lists(
        st.sampled_from(["a", "red", "cube", "and", "ball", "on", "it stands.", "A red cube.", "क、ी"]), max_size=60
    )
    | st.lists(st.sampled_from(["立", "方", "体", "红", "色", "。"]), max_size=60).map(lambda said: ["".join(said)])
)
def test_what_is_said_but_once_is_no_loop(said: list[str]) -> None:
    for language in (ENGLISH, profile("zh")):
        text = " ".join(said)
        measure = _measure(text, language)
        spoken = [word.lower() for word in measure.word.findall(text)]
        every = [
            ending._letter_run(text),
            ending._period(text, language, measure, spoken, range(len(spoken))),
            ending._same_sentence(text, language, measure),
        ]
        loops = [loop for loop in every if loop is not None]
        first = min(loops, key=lambda loop: loop.start or 0) if loops else _scattered(spoken, measure)
        assert ending.find_loop(text, language) == first


@given(st.lists(st.sampled_from(["a", "aa", "ha", "hahaha", "!", "! !", "!!!!", " ", "b-", "\n", "x1"]), max_size=24))
def test_runs_are_looked_for_where_they_can_be(said: list[str]) -> None:
    text = "".join(said)
    run = ending._RUN.search(text) or ending._RUN_OF_PARTS.search(text)
    found = ending._letter_run(text)
    assert (None if found is None else found.start) == (None if run is None else run.start())


@given(TEXTS | st.text("aAİΣσßǅ'’- 1_ſıé", max_size=40))
def test_words_in_lower_case_are_those_of_the_text(text: str) -> None:
    for word in (ending._WORDS, ending._CHARACTERS, echo._WORDS, refusal._TOKEN):
        assert lower_words(word, text) == [found.lower() for found in word.findall(text)]


@given(
    st.lists(st.sampled_from(["describe", "the", "picture", "in", "one", "sentence", "and", "name", "all", "objects"]))
)
def test_an_echo_is_a_run_of_the_prompt_or_most_of_the_caption(said: list[str]) -> None:
    prompt = "describe the picture in one sentence and name all objects in the picture"
    asked = prompt.split()
    runs = [" ".join(asked[n : n + 7]) for n in range(len(asked) - 6)]
    grams = [" ".join(said[n : n + 3]) for n in range(len(said) - 2)]
    shared = [gram for gram in grams if f" {gram} " in f" {prompt} "]
    run = next((r for n in range(len(said) - 6) if (r := " ".join(said[n : n + 7])) in runs), "")
    most = shared[0] if len(shared) >= 5 and len(shared) * 2 > len(grams) else ""
    order = echo._IMPERATIVE.pattern.search(" ".join(said))
    assert echo.find_prompt_echo(" ".join(said), prompt) == (run or most or (order[0].strip()[:80] if order else ""))


@given(
    st.lists(
        st.sampled_from(["I", "sorry", "cannot", "the", "request", "image", "cat", "rules", "you", "policy", "blue"])
    )
)
def test_topics_are_weighed_where_other_words_do_not_outweigh_them(said: list[str]) -> None:
    told = {word: refusal._tells(word.lower()) for word in said}
    strangers = sum(told[word] is None for word in said)
    total = refusal._SEEN * strangers + sum(refusal._WEIGHT[what] for what in told.values() if what is not None)
    topics = {what for what in told.values() if what} - {"image", "function"}
    enough = len(topics) > 1 and total >= refusal._ENOUGH
    alone = not topics <= {"inability", "person"} and total >= refusal._ENOUGH_ALONE
    if min(abs(total - refusal._ENOUGH), abs(total - refusal._ENOUGH_ALONE)) > 1e-6:  # else as the sum is rounded
        assert refusal._talks(" ".join(said)) == (enough if strangers else alone)


@given(
    st.lists(st.sampled_from(["the", "Red", "Panda", "Golden", "Gate", "bridge", "of", "Looking", "x"]), max_size=20)
)
def test_title_case_is_a_share_of_the_ordinary_words(said: list[str]) -> None:
    found = names._words(" ".join(said))
    inside = [w for w in found if not w.first and len(w.text) >= 4 and names._ordinary(w)]
    capitals = [w for w in inside if w.capital]
    runs = sum(w.capital and not before.capital for before, w in pairwise(found))
    title = len(capitals) >= 3 and len(capitals) >= 0.6 * len(inside) and (runs > 1 or all(w.capital for w in found))
    assert names._title_case(found) == title


@given(
    st.lists(
        st.sampled_from(
            [
                "The",
                "Red",
                "a",
                "Anna",
                "and her",
                "Sunlight",
                "runs",
                "it.",
                ". ",
                ": ",
                "3D",
                "O'Neil",
                "É",
                "\n",
                "x",
            ]
        ),
        max_size=14,
    ).map(" ".join),
    st.sampled_from(["", "Anna and the Red cat"]),
)
def test_sentences_that_begin_plainly_have_no_names(text: str, alt_text: str) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(names, "_begins_plainly", lambda text: False)
        looked_at = names.find_names(text, alt_text, ())
    assert names.find_names(text, alt_text, ()) == looked_at


def test_most_captions_begin_plainly(captions: list[str]) -> None:
    """Also of those that are made to have faults."""
    assert sum(map(names._begins_plainly, captions)) > 0.3 * len(captions)
    assert not any(names._begins_plainly(text) for text in ("Anna sits.", "A cat of Anna.", "On it: A cat."))


def test_a_text_is_searched_for_every_sign_of_talk_that_it_holds(
    captions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def noted(text: str, plain: str, looks: list[object], found: list[Finding]) -> str:
        asked.append(looks)
        return text

    monkeypatch.setattr(task_talk, "_without_sentences", noted)
    held = 0
    for text in captions:
        low = f" {text.lower()} "
        looks = [(look, signs) for look, signs in talk_patterns.SIGNS if any(sign in low for sign in signs)]
        asked.clear()
        _, found = task_talk.strip_talk(text)
        long = any(len(sign.strip()) > 3 and sign in low for _, signs in looks for sign in signs)
        if long and not found:
            (given_looks,) = asked
            assert [look for look, _ in given_looks] == [look for look, _ in looks], text  # type: ignore[attr-defined]
            for (_, given_signs), (_, signs) in zip(given_looks, looks, strict=True):  # type: ignore[call-overload]
                for start, end in sentences.sentences(text):
                    spoken = f" {text[start:end].lower()} "
                    assert any(s in spoken for s in given_signs) == any(s in spoken for s in signs), text
            held += 1
    assert held > 50


ORDERS = st.lists(
    st.sampled_from(
        [
            *("ignore", "the", "image", "you’re", "now", "do not", "don’t", "describe", "忽略", "图片", "é", "system:"),
            *("<image>", "Write", "only", ":", '"a', "ſay", "vergiss", "bild", "забудь", "указания", ".", "prompt"),
        ]
    ),
    max_size=8,
).map(" ".join)


@given(TEXTS | ORDERS)
def test_a_text_is_searched_for_every_instruction_that_it_may_hold(text: str) -> None:
    visible = "".join(" " if c.isspace() else c for c in text if not _hidden(c))
    spaced = " ".join(unicodedata.normalize("NFKC", visible).split())
    found = [m.group().strip() for look in instructions() for m in look.pattern.finditer(spaced)]
    assert suspicious(text) == list(dict.fromkeys([*found, *(["hidden characters"] if _hides_text(text) else [])]))


def test_what_is_kept_of_a_text_does_not_depend_on_the_texts_before(captions: list[str]) -> None:
    """What is remembered of the texts of one caption is found anew for the next."""
    remembered: list[Callable[..., object]] = [word_count, written.without_quotes, sentences.sentences]
    first = [[look(text) for look in remembered] for text in captions]
    for look in remembered:
        look.cache_clear()  # type: ignore[attr-defined]
    assert first == [[look(text) for look in remembered] for text in captions]


def test_a_caption_without_a_fault_is_judged_in_few_steps() -> None:
    settings, told = Check(), clean_captions(150)
    for text, alt_text, kind in told:  # words are looked up once
        check_caption(text, kind, "stop", alt_text, PROMPT, settings)
    spent = 0
    for text, alt_text, kind in told:
        spent += steps(
            lambda t=text, a=alt_text, k=kind: check_caption(t, k, "stop", a, PROMPT, settings),  # type: ignore[misc]
            1000 * len(text),
        )
    assert spent <= MOST_STEPS * sum(len(text) for text, _, _ in told)
