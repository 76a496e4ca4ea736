"""The local stage: puts the captions that passed all checks together with the windows that they describe."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar

import pyarrow as pa

from curation.core.stage import Resources, Shard, Work, setting
from curation.core.verdict import Annotation, Annotations, Verdict
from curation.expand.windows_stage import kind_of
from schemas.arrow import Record, rows_of, table_of
from schemas.captions import Caption, CaptionCheck, VerifiedCaption
from schemas.expand import GLOBAL, JOINED, PART
from schemas.reasons import Reason
from schemas.windows import Window, WindowCaption

_BOX = pa.list_(pa.int64())
_WINDOW = pa.struct(
    [
        *(("index", pa.int64()), ("side", pa.string()), ("box", _BOX), ("mask_box", _BOX), ("overlap", pa.int64())),
        ("local_caption", pa.string()),
    ]
)
_RELATION = """(
    SELECT sample_id, any_value(c.global_caption) AS global_caption, list({
        'index': w."index", 'side': w.side, 'box': w.box, 'mask_box': w.mask_box, 'overlap': w.overlap,
        'local_caption': c.caption
    } ORDER BY w."index") FILTER (c.caption IS NOT NULL) AS windows
    FROM window_captions c JOIN windows w USING (sample_id, "index") GROUP BY sample_id
)"""


@dataclass
class _Captions:
    """What was said of a picture, by kind; None for a caption that did not pass. ``open`` while one has no verdict.

    ``parts`` is what was said of its parts, where the global caption is joined from that.
    """

    passed: dict[str, str | None] = field(default_factory=dict)
    open: bool = False
    parts: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class LocalStage:
    """Puts windows and their captions together, and rejects a picture of which too little is described.

    Writes a ``WindowCaption`` row for each window of each picture with captions. ``verified``: as the recipe's
    ``verify.enabled``, and ``parts`` whether long pictures have parts. A global caption that says again most of what
    the captions of two windows or more say, or those of two parts, lists windows.
    """

    name: ClassVar[str] = "local"
    version: ClassVar[int] = 1
    writes: ClassVar[type[Record]] = WindowCaption

    fewest: int
    shingle: int
    max_shared: float
    verified: bool = setting(False, digest=False)  # ``reads`` tells
    parts: bool = setting(False, digest=False)  # likewise
    resources: Resources = setting(Resources(), digest=False)

    @property
    def reads(self) -> tuple[type[Record], ...]:
        return (
            *(Window, CaptionCheck, *((VerifiedCaption,) if self.verified else ())),
            *((Caption,) if self.parts else ()),
        )

    @property
    def verdict(self) -> Verdict:
        return Verdict.several(
            WindowCaption,
            {
                Reason.NO_LOCAL_CAPTION: "fewer windows with a caption than windows.fewest_captions",
                Reason.LISTS_WINDOWS: "the global caption only says what captions of windows say",
            },
        )

    @property
    def annotations(self) -> Annotations:
        keys = (
            Annotation("global_caption", "a.global_caption", pa.string()),
            Annotation("windows", "coalesce(a.windows, [])", pa.list_(_WINDOW)),
        )
        return Annotations(_RELATION, (Window, WindowCaption), keys)

    @contextmanager
    def open(self) -> Iterator[Work]:
        yield self._shard

    def _shard(self, shard: Shard) -> pa.Table:
        windows: dict[str, list[Window]] = defaultdict(list)
        for row in rows_of(Window, shard.read(Window)):
            if row.index is not None:
                windows[row.sample_id].append(row)
        captions = self._captions(shard)
        shard.rows_in = len(windows)
        return table_of(
            WindowCaption,
            (
                made
                for sample, found in windows.items()
                if sample in captions and not captions[sample].open
                for made in self._rows(sample, found, captions[sample])
            ),
        )

    def _captions(self, shard: Shard) -> dict[str, _Captions]:
        found: dict[str, _Captions] = defaultdict(_Captions)
        verified = {}
        if self.verified:
            rows = rows_of(VerifiedCaption, shard.read(VerifiedCaption))
            verified = {(v.sample_id, v.kind): v for v in rows}
        for check in rows_of(CaptionCheck, shard.read(CaptionCheck)):
            of = found[check.sample_id]
            caption = check.caption if check.passed else None
            if self.verified and caption is not None:
                judged = verified.get((check.sample_id, check.kind))
                of.open |= judged is None
                caption = judged.caption if judged is not None and judged.passed else None
            of.passed[check.kind] = caption
        for said in rows_of(Caption, shard.read(Caption)) if self.parts else ():
            if said.kind.startswith(f"{PART}_") and said.text is not None:
                found[said.sample_id].parts.append(said.text)
        return found

    def _rows(self, sample: str, windows: Sequence[Window], captions: _Captions) -> Iterator[WindowCaption]:
        passed = captions.passed
        whole = passed.get(JOINED if JOINED in passed else GLOBAL)
        told = {w.index: passed.get(kind_of(w.index)) for w in windows if w.index is not None}
        texts = [text for text in told.values() if text is not None]
        reason, detail = self._verdict(whole, texts, len(windows), captions.parts)
        for window in windows:
            if window.index is not None:
                yield WindowCaption(
                    *(sample, window.index, window.side or "", told[window.index], whole, reason, detail),
                )

    def _verdict(
        self, whole: str | None, told: Sequence[str], windows: int, parts: Sequence[str]
    ) -> tuple[Reason | None, str | None]:
        from curation.expand.shingles import shared

        if len(told) < self.fewest:
            found = f"{len(told)} of {windows} windows have a caption that passed, at least {self.fewest}"
            return Reason.NO_LOCAL_CAPTION, found
        for texts, of in ((told, f"{windows} windows"), (parts, f"{len(parts)} parts")):
            again = [t for t in texts if whole is not None and shared(t, whole, self.shingle) > self.max_shared]
            if len(again) > 1:
                return Reason.LISTS_WINDOWS, f"says again what {len(again)} of {of} show: {again[0][:200]}"
        return None, None
