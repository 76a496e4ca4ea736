"""Finds names in a caption that no picture can show: invented people and places.

A tower, a make of car, a character, a dish or a town is known by its looks, so that its name may be right. A
person's name, or that of a street or a village, stands in no pixel.

What is known is told by the list of well-known things, by GeoNames, and by the vocabulary of CLIP: a word of its own
in that vocabulary stood under very many pictures. Names of streets, schools and the like count as invented however
common their words are, and so do names of people where a title, a role or a given name shows that one is meant.
"""

from __future__ import annotations

import re

from curation.caption.check.clip_tokens import is_word
from curation.caption.check.faults.known_names import (
    all_given_names,
    cities,
    common_given_names,
    plain_tokens,
    seen,
    towns,
    well_known,
)
from curation.caption.check.faults.names import plain
from curation.caption.check.sentences import sentences
from curation.caption.check.wordlists import words
from curation.caption.check.written import without_written

_TOKEN = re.compile(r"[^\W_]+(?:['’.&\-][^\W_]+)*")
_POSSESSIVE = re.compile(r"['’]s\Z")
_BEFORE = re.compile(r"([\w'’.]+)(,?)\s+(?:the\s+)?\Z", re.IGNORECASE)
_ARTICLE = re.compile(r"\b(an?|the|my|his|her|their|our)\s+(?:[\w'’-]+\s+){0,3}\Z", re.IGNORECASE)
_POSSESSIVES = frozenset(["my", "his", "her", "their", "our"])
_NAMED = re.compile(
    r"\b(?:named|called|nicknamed|calls?(?:\s+(?:him|her|it))?|known\s+as|name\s+(?:is|of)|belongs\s+to)"
    r"\s+(?:\w+\s+)?\Z",
    re.IGNORECASE,
)
_PERSON_NAMED = re.compile(
    r"\b(?:man|woman|boy|girl|child|person|toddler|baby|teenager|lady|gentleman|chef|nurse|teacher|farmer|student|singer"
    r"|player|dancer|waiter|hiker|friend|brother|sister|son|daughter)\s+(?:\w+\s+)?(?:named|called|nicknamed)\s+\Z",
    re.IGNORECASE,
)
# Their names are written on them.
_THING_NAMED = re.compile(
    r"\b(?:newspaper|magazine|book|film|movie|song|album|play|game|ship|boat|yacht|ferry|barge|tugboat|locomotive|plane|shop"
    r"|store|café|cafe|bar|pub|restaurant|painting|brand|breed|drink|cocktail|dish|cheese|beer|dance|flower|rose|rocket)"
    r"\s+(?:named|called|nicknamed|known\s+as)\s+(?:\w+\s+)?\Z",
    re.IGNORECASE,
)
# "a lorry with Eddie Stobart on its door"
_ON_THINGS = re.compile(
    r"\s+(?:written\s+|printed\s+|painted\s+)?(?:on|across|along)\s+(?:its|the|his|her)\s+(?:\w+\s+)?(?:side|door|front|back"
    r"|hull|roof|tail|wing|label|chest|sleeve|cover|bonnet|hood|awning|window|fuselage|bow|stern|cap|shirt|jersey)s?\b"
)
_IS = re.compile(
    r"\b(?:man|woman|boy|girl|child|person|chef|nurse|bride|groom|dancer|player|singer|violinist|actor|owner|driver"
    r"|lady|gentleman|baby)\b[^.]{0,40}\b(?:is|was)\s+\Z",
    re.IGNORECASE,
)
_FOLLOWING = re.compile(r"\s+([a-z][\w'’-]*)(?:\s+([\w'’-]+))?")
_ROLE = re.compile(
    r"\A(?:\w+(?:er|or|ist|man|woman|ess|ian|ant|erina)|twins?|siblings|sisters|brothers|bride|groom|chef|nurse|king"
    r"|couple|boy|girl|poet|pilot|guide|artist|coach|monk|priest|star|friend|neighbou?r|colleague|cousin|nephew|niece"
    r"|son|wife|husband|grandfather|grandmother|grandpa|grandma|student|smith|blacksmith|cellist|cook|clerk|judge"
    r"|surgeon|champion|mechanic|scout|recruit|athlete|toddler|baby)\Z"
)
_CALLED = frozenset(["named", "called", "nicknamed"])
_BESIDE = frozenset(["is", "are", "and", "with", "by", "beside", "sits", "shows", "stands"])
_SITS = frozenset(["sits", "stands", "kneels", "waits", "lies", "sleeps", "walks", "dances", "poses", "leans"])
_PERSON_OF = re.compile(
    r"\b(?:portrait|photo(?:graph)?|picture|image|close-?up|selfie|snapshot|bust|likeness)\s+(?:is\s+)?(?:of|shows)\s+\Z",
    re.IGNORECASE,
)
# Figures are made of those whom many know.
_DEPICTED = re.compile(
    r"\b(?:(?:statues?|figures?|figurines?|dolls?|toys?|plush(?:ie)?|murals?|posters?|cosplay|costumes?|puppets?"
    r"|marionettes?|sculptures?|balloons?|action\s+figures?|stickers?)\s+of|dressed\s+(?:up\s+)?as|cosplayer\s+as)\b[^.]*\Z",
    re.IGNORECASE,
)
_LOOKS_LIKE = re.compile(r"\b(?:little|young|old|tiny)\s+\Z", re.IGNORECASE)
_STATES = frozenset(
    ["is", "was", "has", "stands", "rises", "lies", "looms", "towers", "opens", "sits", "shines"]
)  # of things
_POSED = re.compile(
    r",\s+(?:(?:wearing|dressed|holding|sitting|seated|standing|smiling|leaning|looking|kneeling|who)\b"
    r"|in\s+an?\s|with\s+(?:a|his|her)\s)"
)
_IN = frozenset(
    ["in", "near", "at", "outside", "around", "from", "to", "on", "over", "through", "across", "along", "toward",
     "towards", "via"]
)  # fmt: skip


def find_invented(names: list[str], text: str, alt_text: str | None = None) -> list[str]:
    """Those of the names that ``find_names`` found which are of people or places, and not well known.

    With an alt text also people at the start of a sentence, whom ``find_names`` leaves since every word has a
    capital there; who stands in the alt text is not invented.
    """
    unwritten = without_written(text)
    found = [name for name in names if _invented(name, unwritten)]
    if alt_text is not None:
        known = frozenset(plain_tokens(alt_text[:20_000]))
        found += [name for name in _people_at_starts(unwritten) if not set(plain_tokens(name)) & known]
    return list(dict.fromkeys(found))


def _invented(name: str, text: str) -> bool:
    at = text.find(name)
    if at < 0:
        return True
    place = _Place(name, text[max(0, at - 80) : at], text[at + len(name) : at + len(name) + 60])
    if _PERSON_NAMED.search(place.before) and len(place.tokens) == 1:
        return True  # "a toddler called Milo", which is a drink as well
    if place.lead in ("with", "by") and _ON_THINGS.match(place.after):
        return False
    return not _well_known(place) and (_is_person(place) or _is_place(place))


def _people_at_starts(text: str) -> list[str]:
    """First words of sentences that are given names, or names in front of ", wearing", and act or are described."""
    found = []
    for start, end in sentences(text):
        word = _TOKEN.match(text, start, end)
        if word is None or not word[0][0].isupper() or not _may_be_given(word[0]):
            continue
        place = _Place(word[0], "", text[word.end() : min(end, word.end() + 60)])
        if _well_known(place) or (place.after.startswith((" of", "'", "’", "-"))):
            continue
        # "Neon signs": what is a word of pictures counts only where it is a common given name besides.
        posed = _POSED.match(place.after) is not None
        if (_is_given(word[0]) and (posed or place.acts or place.verb)) or (posed and not seen(place.tokens)):
            found.append(word[0])
    return found


def _may_be_given(word: str) -> bool:
    bare = plain(word)
    return len(bare) > 2 and not any(bare in words(listed) for listed in ("ordinary", "starters", "small", "capitals"))


def _is_given(word: str) -> bool:
    bare = plain(word)
    return bare in words("given_names") or (bare in all_given_names() and not is_word(bare))


class _Place:
    """A name and what stands around it."""

    def __init__(self, name: str, before: str, after: str) -> None:
        self.name, self.before, self.after = name, before, after
        self.tokens = plain_tokens(name)
        lead, follow, article = _BEFORE.search(before), _FOLLOWING.match(after), _ARTICLE.search(before)
        self.lead = lead[1].lower().rstrip(".") if lead is not None else ""
        self.apposed = lead is not None and bool(lead[2])
        self.follow = follow[1].lower() if follow is not None else ""
        self.next = follow[2].lower() if follow is not None and follow[2] else ""
        self.article = article[1].lower() if article is not None else ""
        behind = before.lower().split()[-1:]
        if behind and behind[0] in ("a", "an", "the", *_POSSESSIVES):
            self.article = behind[0]
        elif article is not None and len(article[0].split()) > 2 and _ROLE.search(self.lead) is None:
            self.article = ""
        elif _PERSON_OF.search(before) or self.lead in _IN | _BESIDE | _STATES | words("person_verbs"):
            self.article = ""  # "a street in Ardenvale", "the winner is": the article belongs to another noun
        self.starts = not before.strip() or before.rstrip().endswith((".", "!", ":"))
        self.acts = self.follow in words("person_verbs") or (
            self.follow.endswith("s") and self.next in words("name_objects")
        )
        self.verb = self.follow.endswith("s") and not self.follow.endswith("ss") and self.follow not in _STATES
        # "a Dyson fan": in front of a noun a name says what kind of thing it is.
        self.modifies = (
            bool(self.follow) and self.follow not in words("name_follows") | words("starters") and not self.acts
        )


def _well_known(place: _Place) -> bool:
    known, tokens = well_known(), place.tokens
    whole = " ".join(tokens)
    if whole in known or whole in cities() or (len(tokens) == 1 and tokens[0].rstrip("s") in known):
        return True
    # What is known may have more words: "Leaning Tower" of Pisa, "Alice" in Wonderland.
    front, back = plain_tokens(place.before)[-3:], plain_tokens(place.after)[:3]
    around = [*front, *tokens, *back]
    first, last = len(front), len(front) + len(tokens)
    for start in range(last):
        for end in range(max(start + 2, first + 1), len(around) + 1):
            if " ".join(around[start:end]) in known:
                return True
    plain_words = words("ordinary") | words("institutions") | words("starters")
    things = [t for t in tokens if t not in plain_words]
    return bool(things) and tokens[0] not in common_given_names() and all(t in known or t in cities() for t in things)


def _is_person(place: _Place) -> bool:
    tokens, several = place.tokens, len(place.tokens) > 1
    if (several and tokens[-1] in words("name_sights")) or _DEPICTED.search(place.before):
        return False
    if (several and tokens[0] in words("titles")) or (place.lead in words("titles") and place.lead not in _CALLED):
        return True
    if (_NAMED.search(place.before) and not _THING_NAMED.search(place.before)) or _IS.search(place.before):
        return True
    if place.article in ("a", "an"):
        return _ROLE.search(place.lead) is not None and place.lead not in words("name_no_roles") and not place.modifies
    if place.article:  # "the dancer Ione Marchetti"
        if place.article in _POSSESSIVES and place.lead == place.article:
            return tokens[0] in common_given_names() and not place.modifies
        return (
            place.lead != place.article
            and _ROLE.search(place.lead) is not None
            and place.lead not in words("name_no_roles")
        )
    if tokens[0] in common_given_names() and not (place.modifies and (place.lead == "of" or not several)):
        return True
    if tokens[0] in all_given_names() and _is_named_as_people_are(place):
        return True
    return not seen(tokens) and _looks_like_a_person(place, several)


def _is_named_as_people_are(place: _Place) -> bool:
    """Whether a given name stands where things hardly do, so that it may be a word of pictures as well."""
    if _LOOKS_LIKE.search(place.before) or _PERSON_OF.search(place.before):
        return not place.modifies or place.acts
    if _POSSESSIVE.search(place.name) or place.after.startswith(("'s", "’s")):
        return len(place.tokens) == 1 and place.follow in words("name_owned")
    if set(plain_tokens(place.before)[-3:]) & well_known():
        return False  # "Wallace and Gromit"
    return place.apposed or (place.lead == "and" and _pair(place))


def _pair(place: _Place) -> bool:
    """Whether another name stands in front of the "and" in front of this one."""
    before = place.before.split()[-2:]
    if len(before) < 2 or not before[0][:1].isupper():
        return False
    other = plain(before[0])
    return other in all_given_names() or not is_word(other)  # "SpongeBob and Patrick"


def _looks_like_a_person(place: _Place, several: bool) -> bool:
    """By what a name does in its sentence, where neither a title nor a given name tells."""
    tokens, given = place.tokens, place.tokens[0] in all_given_names()
    if _POSSESSIVE.search(place.name) or place.after.startswith(("'s", "’s")):
        return place.follow not in words("name_follows") | {""} or not place.after.strip()
    if _LOOKS_LIKE.search(place.before) or _PERSON_OF.search(place.before):
        return True
    if place.lead == "and":
        before = plain_tokens(place.before)[-3:]
        if set(before) & well_known():
            return False  # "Wallace and Gromit"
        if _pair(place) and (place.modifies or place.acts):
            return True
    common = any(is_word(t) for t in tokens)
    if (place.starts or place.apposed) and place.acts:
        return given or not (common and place.follow in _STATES)
    if place.follow == "and" and (place.starts or (place.apposed and (several or given))):
        return True
    if place.apposed and place.after.startswith(","):
        return True
    if (place.starts or place.apposed) and place.verb:
        return several or given
    if place.modifies:
        return False
    if several:
        if place.lead in _SITS:  # "In the doorway stands Mirela Custodio"
            return True
        return (place.starts or place.apposed or place.lead in _BESIDE) and not common
    return given and (place.apposed or place.lead in _BESIDE)


def _is_place(place: _Place) -> bool:
    tokens, several = place.tokens, len(place.tokens) > 1
    everywhere = several and any(t in words("name_everywhere") for t in tokens)
    if (several and tokens[-1] in words("name_sights")) or " ".join(tokens) in towns():
        return False
    if place.article in ("a", "an") and (not everywhere or place.modifies):
        return False
    if everywhere or (several and tokens[0] in words("name_place_starts")):
        return not (place.article == "the" and place.modifies and seen(tokens))
    if seen(tokens) and (not several or place.article == "the"):
        return False
    if several and any(t in words("institutions") for t in tokens):
        return True
    if place.lead in words("institutions") | words("name_lands"):
        return True
    if place.lead == "of" and any(
        w in words("name_lands") or w in words("name_everywhere") for w in place.before.lower().split()[-4:]
    ):
        return True
    if not place.article and place.lead in _IN and place.follow in words("name_lands") | words("institutions"):
        return True  # "in Skarvik harbour"
    return not place.article and not place.modifies and place.lead in _IN
