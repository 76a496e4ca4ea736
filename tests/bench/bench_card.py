"""CPU seconds of the card's sections over a release of a million samples, in views over Parquet files.

Captions are pairs of the tests' own, about 60 words each; alt texts their first eight words; a licence, a language and
further columns stand in most rows.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import duckdb

from curation.release.card_concepts import concepts_section
from curation.release.card_content import content_section
from curation.release.card_rights import rights
from curation.release.facts import ReleaseFacts
from schemas.recipe import Download
from tests.support.clean_captions import clean_captions

_ROWS = """
COPY (
    SELECT md5(i::VARCHAR) AS sample_id, 'list/part-' || i // 100000 || '.parquet' AS source_file, i AS source_row,
        'http://pictures.example/' || i AS url,
        texts[1 + i % len(texts)] || ' ' || texts[1 + (i * 7 + i // 1000) % len(texts)] AS caption,
        array_to_string(string_split(texts[1 + i % len(texts)], ' ')[1:8], ' ') || ' ' || i AS alt_text,
        ['cc-by-4.0', 'cc0', NULL][1 + i % 3] AS license, ['en', 'de', NULL][1 + i % 3] AS language,
        random() AS punsafe, random() AS similarity,
        '{"num_faces": ' || i % 3 || ', "NSFW": "UNLIKELY"}' AS columns
    FROM range($rows) t(i), (SELECT $texts::VARCHAR[] AS texts)
) TO '$file' (FORMAT parquet)
"""
_VIEWS = """
CREATE VIEW rows AS SELECT * EXCLUDE (caption, columns) FROM '$file';
CREATE VIEW source_columns AS SELECT source_file, source_row, sample_id, columns FROM '$file';
CREATE VIEW placements AS SELECT *, similarity AS alt_text_similarity, 'dense' AS caption_kind, 60 AS words,
    80 AS clip_tokens, 'train-' || source_row // 10000 AS shard FROM '$file' WHERE source_row % 3 > 0;
CREATE VIEW released AS SELECT sample_id, shard FROM placements;
CREATE VIEW images AS SELECT sample_id, CASE WHEN source_row % 3 = 0 THEN 'opted_out' END AS reason,
    CASE WHEN source_row % 3 = 0 THEN 'X-Robots-Tag: noai' END AS opt_out FROM '$file';
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        file = str(Path(folder) / "rows.parquet")
        texts = [text for text, _, _ in clean_captions(1000)]
        connection.execute(_ROWS.replace("$file", file), {"rows": options.rows, "texts": texts})
        connection.execute(_VIEWS.replace("$file", file))
        facts = ReleaseFacts({"train": options.rows * 2 // 3}, {"train": 1}, {}, (), ())
        parts: dict[str, Callable[[], object]] = {
            "content": lambda: content_section(connection, 0.5),
            "concepts": lambda: concepts_section(connection),
            "rights": lambda: rights(connection, facts, Download(), ""),
        }
        for name, part in parts.items():
            cpu, wall = time.process_time(), time.perf_counter()
            part()
            print(f"{name}: {time.process_time() - cpu:.1f} s CPU, {time.perf_counter() - wall:.1f} s")
        print(concepts_section(connection))


if __name__ == "__main__":
    main()
