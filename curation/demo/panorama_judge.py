"""Scores a release of expansion data against the truth of the panoramas that it was made from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curation.catalog import connect
from curation.core.errors import RootError
from curation.core.store import Store
from curation.demo.judge import judge
from curation.demo.panorama import view
from curation.demo.panoramas import read_truth
from curation.demo.truth import Scene

_RELEASED = """
SELECT p.sample_id, p.annotations, i.original_sha256, p.width, p.height
FROM placements p SEMI JOIN released USING (sample_id, shard) JOIN images i USING (sample_id)
ORDER BY p.shard, p.position
"""


@dataclass(frozen=True)
class Naming:
    """How truly texts name the objects of what they describe.

    ``f1`` and ``recall`` are those of kinds of object over all texts together; ``false`` is the share of all that the
    texts state (also colours, counts, places and backgrounds) that is not so.
    """

    texts: int
    f1: float
    recall: float
    false: float


@dataclass(frozen=True)
class Expanded:
    """A released picture: its global caption; and by side the captions of its windows and the imagined ones."""

    sample_id: str
    whole: str
    windows: tuple[tuple[str, str], ...]
    imagined: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class JudgedRelease:
    """The scores of local and of global captions, and the pictures in the release's order."""

    local: Naming
    whole: Naming
    samples: tuple[Expanded, ...]


def judge_release(truth: Path, store: Store) -> JudgedRelease:
    """Scores the finished release shards of a root. Raises ``RootError`` for a picture that ``truth`` does not hold."""
    known = read_truth(truth)
    local: list[tuple[Scene, str]] = []
    whole: list[tuple[Scene, str]] = []
    samples = []
    with connect(store.url) as catalog:
        found = catalog.execute(_RELEASED).fetchall()
    for sample_id, annotated, sha256, width, height in found:
        if sha256 not in known:
            raise RootError(f"{store.url} released sample {sample_id}, which {truth} does not hold")
        shown, annotation = known[sha256], json.loads(annotated)
        whole.append((shown, annotation["global_caption"]))
        local += _local(shown, annotation["windows"], (width, height))
        samples.append(_expanded(sample_id, annotation))
    return JudgedRelease(naming(local), naming(whole), tuple(samples))


def naming(told: Sequence[tuple[Scene, str]]) -> Naming:
    """The score of texts about scenes."""
    right = named = there = false = stated = 0
    for shown, text in told:
        judged = judge(shown, text)
        kinds = {o.kind for o in shown.objects}
        said = {c.subject for c in judged.true | judged.false if c.aspect == "object"}
        right, named, there = right + len(kinds & said), named + len(said), there + len(kinds)
        false, stated = false + len(judged.false), stated + len(judged.true) + len(judged.false)
    return Naming(len(told), 2 * right / max(1, named + there), right / max(1, there), false / max(1, stated))


def _local(shown: Scene, windows: Iterable[dict[str, Any]], size: tuple[int, int]) -> Iterator[tuple[Scene, str]]:
    across, down = shown.width / size[0], shown.height / size[1]
    for window in windows:
        left, top, right, bottom = window["box"]
        box = (round(left * across), round(top * down), round(right * across), round(bottom * down))
        yield view(shown, box), window["local_caption"]


def _expanded(sample_id: str, annotation: dict[str, Any]) -> Expanded:
    return Expanded(
        sample_id,
        annotation["global_caption"],
        tuple((w["side"], w["local_caption"]) for w in annotation["windows"]),
        tuple((i["side"], i["caption"]) for i in annotation.get("imagined") or ()),
    )
