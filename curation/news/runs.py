"""Find runs of capitalised words, and where in a run each name starts and ends."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from curation.news import gazetteers as known
from curation.news.gazetteers import Kind
from curation.news.labels import Scene, is_given, is_person
from curation.news.spans import MOST_WORDS
from curation.news.tokens import Word

_LONGEST = 3 * MOST_WORDS  # words of a run; names, titles and employers together are no longer
_DIGIT = re.compile(r"\d")
_ACRONYM = re.compile(r"[A-Z][A-Z0-9&]{1,5}$")
_COMMON = re.compile(r"(?:s|ing|ed|ly|ion|ment|ness|men|ial|ous|ive|able|ible|ful|less|ary|ory|est)$")
_DETERMINERS = frozenset(["the", "a", "an", "this", "these", "those", "his", "her", "their", "its"])
_TRADE = re.compile(r"(?:er|or|ist|man|woman|ian|ress|eer|ant|ent|mate|keeper|ee)$")
_POSSESSIVE = ("'s", "’s", "'", "’")
_NOT_BEHIND_ROLES = frozenset((*_POSSESSIVE, "&", "jr", "sr", "ii", "iii", "iv"))  # King's Cross, Luther King Jr.
_ON = frozenset(["in", "on", "for", "and", "after", "before", "during", "from", ",", "."])

Piece = tuple[int, int]


def names_of(scene: Scene) -> Iterator[Piece]:
    """The first and the last word, exclusive, of each name; none has more than ``MOST_WORDS`` words."""
    for start, end in _runs(scene):
        yield from ((a, b) for a, b in split_run(scene, start, end) if b - a <= MOST_WORDS)


def _runs(scene: Scene) -> Iterator[Piece]:
    """Neighbouring words that may form names together."""
    words, at = scene.words, 0
    while at < len(words):
        if not words[at].capital:
            at += 1
            continue
        start = at
        at += 1
        while at - start < _LONGEST and at < len(words) and (more := _joined(scene, start, at)):
            at += more
        yield start, at


def _joined(scene: Scene, start: int, at: int) -> int:
    """How many of the next words belong to the run that began at ``start``."""
    words, text = scene.words, scene.text
    last, word = words[at - 1], words[at]
    gap = text[last.end : word.start]
    if gap not in (" ", ""):
        return 0
    if word.capital and gap == " ":
        return 0 if word.opens else 1
    if gap == "":
        return _possessive(scene, start, at) if word.text in _POSSESSIVE else 0
    if word.text.isdigit():
        return 1 if len(word.text) < 4 and not last.kind & Kind.ROLE else 0
    if word.kind & Kind.PARTICLES:
        return _inner(scene, at, lambda w: bool(w.kind & Kind.PARTICLES))
    if word.text == "&":
        return _inner(scene, at, lambda w: w is word)
    if word.low == "and":
        return _joint(scene, at)
    if word.low in ("of", "for") and _governs(last, words[start]):
        return _inner(scene, at, lambda w: w is word or w.low == "the")
    return _nickname(scene, at) if word.text in "\"“'‘" else 0


def _joint(scene: Scene, at: int) -> int:
    """The words of a body of two places: Devon and Cornwall Police."""
    words, names = scene.words, known.names()
    if at + 2 >= len(words) or not words[at + 2].kind & Kind.ORGANISATIONS or not words[at + 2].capital:
        return 0
    both = names.get(words[at - 1].text) == "GPE" and names.get(words[at + 1].text) == "GPE"
    return 3 if both and scene.text[words[at + 1].end : words[at + 2].start] == " " else 0


def _inner(scene: Scene, at: int, small: Callable[[Word], bool]) -> int:
    """The small words from ``at`` on with the capitalised word behind them; 0 where none follows."""
    words, end = scene.words, at
    while end < len(words) and end - at < 3 and small(words[end]):
        end += 1
    if end >= len(words) or not words[end].capital or words[end].opens:
        return 0
    beside = all(scene.text[words[n].end : words[n + 1].start] == " " for n in range(at - 1, end))
    return end - at + 1 if beside else 0


def _governs(last: Word, first: Word) -> bool:
    """Whether a name goes on behind "of": Bank of, University of, but not Mayor of."""
    return bool(last.kind & (Kind.HEADS_OF | Kind.HEAD)) or first.low in ("bank", "house", "institute")


def _possessive(scene: Scene, start: int, at: int) -> int:
    """The words of a possessive inside a name: King's Cross, Rail Drivers' Union, Harcourt's."""
    words, text = scene.words, scene.text
    whole = text[words[start].start : words[at].end]
    if whole in known.names() or text[words[at - 1].start : words[at].end] in known.names():
        return 1
    end = at + 1
    while (
        end < len(words) and end - at < 5 and words[end].capital and text[words[end - 1].end : words[end].start] == " "
    ):
        end += 1
    for stop in range(end, at + 1, -1):
        if text[words[start].start : words[stop - 1].end] in known.names():
            return stop - at
    if end == at + 1:
        closed = at + 1 >= len(words) or words[at + 1].low in _ON
        placed = start > 0 and words[start - 1].low in ("at", "outside", "inside")
        return 1 if closed and placed and words[at].text in ("'s", "’s") else 0
    owned = bool(words[end - 1].kind & (Kind.ORGANISATIONS | Kind.PLACES | Kind.LANDSCAPES | Kind.OWNED))
    given = end - at == 3 and words[at + 1].text in known.given_names()
    return end - at if end - at <= 3 and owned and not given else 0


def _nickname(scene: Scene, at: int) -> int:
    """The words of a nickname in quotes with the name behind it: "Tad" Lyle."""
    words = scene.words
    for end in range(at + 2, min(at + 5, len(words) - 1)):
        if words[end].text in "\"”'’":
            inside = words[at + 1 : end]
            return end - at + 2 if all(w.capital for w in inside) and words[end + 1].capital else 0
    return 0


def split_run(scene: Scene, start: int, end: int) -> list[Piece]:
    """The names of a run, without titles, offices and nationalities in front of them."""
    words = scene.words
    while start < end and _no_name(scene, start, end):
        start += 1
    if start >= end:
        return []
    if end - start == 1 and scene.low(end) == "of" and _is_role(scene, start):
        return []
    if scene.low(start - 1) == "of" and scene.kind(start - 2) & Kind.ROLE:
        # Secretary of State | John Kerry
        start = next((at for at in range(start + 1, end - 1) if is_given(words[at])), start)
    if scene.phrase(start, end) in known.names():
        return [(start, end)]
    maker = _maker(scene, start, end)
    if maker is not None:
        return [*split_run(scene, start, maker), (maker, end)]
    if not words[end - 1].kind & Kind.HEAD or is_person(scene, start, end):
        for at in range(end - 2, start - 1, -1):
            if _is_role(scene, at):
                left = split_run(scene, start, at) if at > start else []
                return [*left, *split_run(scene, at + 1, end)]
    if end - start > 1 and words[start].kind & Kind.NORP and not words[end - 1].kind & Kind.HEAD:
        return [(start, start + 1), *split_run(scene, start + 1, end)]
    last = words[end - 1]
    if end - start > 1 and _is_role(scene, end - 1) and not last.kind & Kind.HEAD and not is_given(words[start]):
        return split_run(scene, start, end - 1)
    if end - start == 1 and _is_role(scene, start) and not last.kind & Kind.ORGANISATIONS:
        return []
    trade = end - start > 2 and _TRADE.search(words[start].low) and not is_given(words[start])
    if trade and words[start + 1].text in known.given_names():
        return [(start + 1, end)]
    return [(start, end)]


def _maker(scene: Scene, start: int, end: int) -> int | None:
    """Where behind a maker's name a product's begins: Airbus | A380."""
    names = known.names()
    for at in range(max(start + 1, end - 3), end):
        if names.get(scene.phrase(at, end)) == "PRODUCT":
            return at
        if at == end - 1 and _DIGIT.search(scene.words[at].text) and names.get(scene.phrase(start, at)) == "ORG":
            return at
    return None


def _no_name(scene: Scene, at: int, end: int) -> bool:
    """Whether the first word of a run is only capitalised because a sentence starts with it."""
    word = scene.words[at]
    if word.low in _DETERMINERS and (len(word.text) > 1 or (word.opens and end - at > 1)):
        return True
    if not word.opens or _is_known(word) or _begins_known(scene, at, end):
        return False
    if end - at > 1:
        follows = scene.words[at + 1].low == "of" or scene.words[end - 1].kind & Kind.HEAD
        return bool(word.kind & (Kind.ORDINARY | Kind.ORGANISATIONS)) and not follows
    if scene.cue(end) & Kind.PLAYERS and not word.kind & Kind.ORDINARY:
        return False
    if word.kind & Kind.ORDINARY or _is_role(scene, at):
        return True
    named = scene.low(end) in _POSSESSIVE or scene.kind(end) & (Kind.ROLE | Kind.CUES_ORGANISATIONS)
    return not named and _COMMON.search(word.low) is not None


def _begins_known(scene: Scene, at: int, end: int) -> bool:
    """Whether a known name begins here: New York (Mayor), Apple (CEO), Land's End."""
    names = known.names()
    if any(scene.phrase(at, stop) in names for stop in range(at + 2, min(at + 4, end) + 1)):
        return True
    if end - at > 1 and scene.low(at + 1) in _POSSESSIVE:
        return True
    office = scene.kind(at + 1) & Kind.ROLE and scene.words[at + 1].capital
    return bool(office) and scene.words[at].text in names


def _is_known(word: Word) -> bool:
    """Whether the word is a name by itself."""
    if word.kind & Kind.ORDINARY and word.text not in known.countries():
        return False
    return (
        word.text in known.names()
        or word.text in known.given_names()
        or bool(word.kind & Kind.NORP)
        or _ACRONYM.match(word.text) is not None
    )


def _is_role(scene: Scene, at: int) -> bool:
    word = scene.words[at]
    if not word.kind & Kind.ROLE or word.low in known.words("no_roles"):
        return False
    return scene.low(at + 1) not in _NOT_BEHIND_ROLES
