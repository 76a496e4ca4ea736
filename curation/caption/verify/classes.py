"""Classifies a statement by rules on its words, so that a recipe can verify only some classes."""

from __future__ import annotations

import re

_COLOURS = (
    r"(?:red|orange|yellow|green|blue|purple|violet|pink|brown|black|white|gr[ea]y|beige|cream|cyan|turquoise|teal|"
    r"magenta|maroon|navy|indigo|lilac|crimson|scarlet|golden|silver|bronze|copper|khaki|olive|tan|ivory|mauve|amber|"
    r"colou?red|colou?rless|multicolou?red)(?:ish)?"
)
_NUMBERS = (
    r"(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|"
    r"eighteen|nineteen|twenty|thirty|forty|fifty|a dozen|half a dozen|a pair of|a couple of|both|no|zero|single|"
    r"exactly one|only one|\d{1,3}(?![\d:.,]\d|\s?(?:%|mm|cm|km|m|years?|percent)\b))"
)
_WRITTEN = (
    r"(?:reads?|reading|says?|saying|spells?|spelling|spelled|labell?ed|written|writing|lettering|letters?|inscribed|"
    r"inscription|captioned|printed|engraved|the words?|the text|the name|the number|the title|slogan)"
)
_RELATIONS = (
    r"(?:left|right|above|below|behind|beneath|underneath|under|beside|besides|between|near|nearby|next to|in front of|"
    r"on top of|at the (?:top|bottom) of|on|inside|within|against|around|across|over|among|alongside|opposite|facing|"
    r"leaning|hanging|attached to|close to|far from|foreground|background|middle|centre|center|corner)"
)
_SIZES = (
    r"(?:tiny|small|little|large|big|huge|giant|tall|short|long|wide|narrow|thick|thin|high|low|miniature|enormous|"
    r"massive|oversized|medium[- ]sized)(?:er|est)?|larger|smaller|bigger|taller|shorter|same size"
)
# In the order in which they are listed. Quoted words count as written ones.
_CLASSES = {
    "count": re.compile(rf"\b{_NUMBERS}\b", re.I),
    "colour": re.compile(rf"\b{_COLOURS}\b", re.I),
    "text": re.compile(rf"\b{_WRITTEN}\b|[\"“«„][^\"“”«»„]{{1,200}}[\"”»“]", re.I),
    "relation": re.compile(rf"\b{_RELATIONS}\b", re.I),
    "size": re.compile(rf"\b(?:{_SIZES})\b", re.I),
}


def classes_of(text: str) -> tuple[str, ...]:
    """The classes of a statement in English: some of count, colour, text, relation and size, else ``other`` alone."""
    return tuple(name for name, pattern in _CLASSES.items() if pattern.search(text)) or ("other",)
