"""Source rows that say nothing but what a test is about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from schemas.ids import sample_id
from schemas.records import SourceRow


def source_row(number: int, url: str | None, **changes: Any) -> SourceRow:
    """Row ``number`` of part.parquet, with an alt text of its own."""
    row = SourceRow(
        sample_id=sample_id(url or f"local:{number}", f"text {number}"),
        source_file="part.parquet",
        source_row=number,
        url=url,
        alt_text=f"text {number}",
        claimed_width=None,
        claimed_height=None,
        similarity=None,
        aesthetic=None,
        punsafe=None,
        pwatermark=None,
        language=None,
        license=None,
        expected_md5=None,
        expected_sha256=None,
        local_file=None,
        local_offset=None,
        local_size=None,
        reason=None,
        detail=None,
    )
    return replace(row, **changes)
