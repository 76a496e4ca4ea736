"""News captions in other words, so that what is learned is the part of a name in a sentence and not the sentence.

No verb, title or credit line of a held-out phrasing is among them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from curation.demo.news import NewsCaption
from curation.demo.truth import Rng, pick

# Many, so that a title never seen is still no part of a name.
_TITLES = (
    "Mayor", "Singer", "Senator", "Captain", "Professor", "Actor", "Judge", "Doctor", "President", "Painter", "Pilot",
    "Governor", "Author", "Driver", "Bishop", "Chef", "Striker", "Inspector", "Violinist", "King", "Queen", "Director",
    "Ambassador", "Surgeon", "Architect", "Baker", "Sculptor", "Ranger", "Manager", "Trainer", "Farmer", "Goalkeeper",
    "Drummer", "Cellist", "Chancellor", "Premier", "Secretary", "Envoy", "Lawyer", "Teacher", "Student", "Nurse",
    "Sergeant", "General", "Colonel", "Admiral", "Count", "Duke", "Prince", "Princess", "Father", "Sister", "Rabbi",
    "Imam", "Abbot", "Councillor", "Deputy", "Treasurer", "Chairman", "Founder", "Inventor", "Explorer", "Sailor",
    "Cyclist", "Boxer", "Golfer", "Swimmer", "Skier", "Jockey", "Referee", "Umpire", "Midfielder", "Defender", "Poet",
    "Novelist", "Composer", "Dancer", "Comedian", "Presenter", "Reporter", "Editor", "Photographer", "Gardener",
    "Carpenter", "Plumber", "Builder", "Miner", "Fisherman", "Astronaut", "Chemist", "Physicist", "Historian", "Dean",
    "Rector", "Curator", "Collector", "Banker", "Tycoon", "Widow", "Uncle", "Aunt", "Marshal", "Sheriff", "Constable",
    "Commissioner", "Lord", "Lady", "Sir", "Dame", "Emperor", "Sultan", "Pope", "Cardinal", "Pastor", "Monk",
)  # fmt: skip
_WORDS: Mapping[str, Sequence[str]] = {
    "holds": ("holds", "lifts", "admires", "paints", "inspects", "unveils", "accepts", "buys", "presents", "repairs"),
    "poses with": ("poses with", "waits beside", "walks past", "smiles at", "sits behind", "looks after", "paid for"),
    "speaks about": ("speaks about", "writes about", "complains about", "describes", "promotes", "tells of", "praises"),
    "carry": ("carry", "move", "clean", "load", "pull", "bring", "count"),
    "across": ("across", "through", "past", "towards", "over", "into", "around"),
    "arrives with": ("arrives with", "returns with", "performs with", "came with", "dances with"),
    "won": ("won", "lost", "found", "earned", "was handed", "was promised", "took home"),
    "given by": ("given by", "brought by", "sent by", "promised by", "built by", "chosen by"),
    "shown by": ("shown by", "restored by", "made by", "owned by", "displayed by"),
    "seen at": ("seen at", "on view at", "used at", "stolen at", "painted for", "made for", "taken to"),
    "is to sell": ("is to sell", "wants", "will auction", "has bought", "plans to move", "gave away"),
    "stand beside": ("stand beside", "wait by", "argue over", "sit near", "meet beside", "laugh about"),
    "celebrate at": ("celebrate at", "appear at", "met at", "travel to", "sing at", "left"),
    "beat": ("beat", "defeated", "face", "draw with", "thank"),
    "leaves": ("leaves", "enters", "visits", "crosses", "approaches"),
    "carrying": ("carrying", "holding", "pushing", "selling"),
    "during": ("during", "before", "after", "at", "ahead of"),
    "beside": ("beside", "near", "with", "and", "in front of"),
    "Photo:": ("Photo:", "Picture:", "Image:", "Source:", "Photographer:", "Courtesy of", "From"),
    "Photograph:": ("Photograph:", "Pictures:", "Images:", "By", "Photography:"),
    "Visitors": ("Visitors", "Children", "Tourists", "Guests", "Students", "Neighbours"),
    "Workers": ("Workers", "Members", "Volunteers", "Players", "Staff"),
    "Fans": ("Fans", "Supporters", "Onlookers", "Spectators"),
}
_PATTERN = re.compile(r"(?<![\w'])(" + "|".join(sorted(map(re.escape, _WORDS), key=len, reverse=True)) + r")(?!\w)")
_LEADING = re.compile(r"(Mayor|Singer) $")


def reworded(news: NewsCaption, rng: Rng) -> str:
    """The caption with other verbs, prepositions and titles around the same names and things."""
    parts: list[str] = []
    at = 0
    people = {(e.start, e.end) for e in news.entities if e.label == "PERSON"}
    named = {(e.start, e.end) for e in news.entities} | {(s.start, s.end) for s in news.subjects}
    for start, end in sorted(named):
        before = _LEADING.sub("", news.text[at:start]) if (start, end) in people else news.text[at:start]
        parts.append(_PATTERN.sub(lambda m: pick(rng, _WORDS[m.group()]), before))
        if (start, end) in people and rng.random() < 0.5:
            parts.append(pick(rng, _TITLES) + " ")
        parts.append(news.text[start:end])
        at = end
    return "".join(parts) + news.text[at:]
