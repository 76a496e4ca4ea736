"""A sample as a person sees it who judges it, and what judgement may do to it."""

from __future__ import annotations

from dataclasses import dataclass

from curation.core.errors import LapidaryError
from curation.core.run_status import status
from curation.core.store import Store
from curation.report.asking import Root
from curation.report.judging import restoring_stages
from curation.reviews.decision import REASONS

_SEEN = """
SELECT fate, stage, reason, caption FROM listed WHERE sample_id = ? AND reason IS DISTINCT FROM 'repeated_row'
ORDER BY source_file, source_row LIMIT 1
"""
_KINDS = {
    "placements": "SELECT caption_kind AS kind FROM placements WHERE sample_id = ? AND caption = ?",
    "verified_captions": "SELECT kind FROM verified_captions WHERE sample_id = ? AND caption = ? ORDER BY kind",
    "caption_checks": "SELECT kind FROM caption_checks WHERE sample_id = ? AND caption = ? ORDER BY kind",
    "captions": "SELECT kind FROM captions WHERE sample_id = ? AND text = ? ORDER BY kind",
}
_FIRST_KIND = "SELECT kind FROM captions WHERE sample_id = ? ORDER BY kind LIMIT 1"


@dataclass(frozen=True)
class Sample:
    """A sample as people see it: its fate in the root, and its caption with the last edit that stands."""

    fate: str
    stage: str | None
    reason: str | None
    caption: str | None
    kind: str | None


def find(root: Root, sample: str) -> Sample | None:
    """A sample of the temporary table ``listed``, as the release or the stages left it; None where there is none."""
    rows = root.ask(_SEEN, [sample])
    return Sample(**rows[0], kind=_kind(root, sample, rows[0]["caption"])) if rows else None


def _kind(root: Root, sample: str, caption: str | None) -> str | None:
    """The kind of caption that is seen; that of any reply where there is no text."""
    for view, query in _KINDS.items():
        if caption and root.has(view) and "caption_kind" in root.columns("placements"):
            for row in root.ask(query, [sample, caption]):
                return str(row["kind"])
    found = root.ask(_FIRST_KIND, [sample]) if root.has("captions") else []
    return str(found[0]["kind"]) if found else None


def kept_for_good(root: Root, seen: Sample) -> str | None:
    """Why a keep or an edit cannot bring a sample back; None where it can, or the sample is there."""
    if seen.fate == "kept" or seen.stage in restoring_stages(root) or seen.reason in REASONS:
        return None
    if seen.fate == "failed":
        return "no verdict was reached on this sample yet; run again first"
    said = (seen.reason or seen.fate).replace("_", " ")
    return f"it ended at {seen.stage}: {said}. Judgement cannot bring that back: no caption of it was looked at"


def held_by(store: Store) -> str | None:
    """That a run works on the root, for people; None where none does."""
    try:
        found = status(store)
    except LapidaryError:
        return None
    if found.state != "running":
        return None
    return f"{found.command.split()[0] if found.command else 'a run'} works on this root ({found.run_id})"
