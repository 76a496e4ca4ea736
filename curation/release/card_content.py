"""The card's section on content: languages, unsafe content and faces where they were scored, image-text similarity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import duckdb
import pyarrow as pa

from curation.core.printable import first_words
from curation.release.markdown import cell, share
from schemas.arrow import Column, Record, columns

_RELEASED = "(FROM placements SEMI JOIN released USING (sample_id, shard))"
_OF_RELEASED = f"(SELECT * FROM rows SEMI JOIN {_RELEASED} USING (source_file, source_row))"  # noqa: S608  # of our own, as all here
_MOST = 10  # lines of a table
_IDENTIFIED = 1000  # texts whose language is identified: a share of more differs by 3 points at most, 19 times of 20
_FEWEST_LETTERS = 20  # of a text whose language can be told
_NAMED = f"""
SELECT language, count(*) FROM {_OF_RELEASED} GROUP BY language ORDER BY count(*) DESC, language
"""  # noqa: S608
_TEXTS = "SELECT left(alt_text, 2000) FROM {} ORDER BY sample_id, source_file, source_row LIMIT {}"
_UNSAFE = """
SELECT count(*), count(punsafe), count(*) FILTER (punsafe >= $limit), quantile_disc(punsafe, 0.5),
    quantile_disc(punsafe, 0.95)
FROM {}
"""
# Columns of public lists that say more; a source's own columns are kept as JSON.
_CLASSES = ("NSFW", "nsfw")
_FACES = ("num_faces", "face_bboxes")
_KEPT = f"(SELECT c.columns FROM source_columns c SEMI JOIN {_RELEASED} USING (source_file, source_row))"  # noqa: S608
_QUANTILES = ", ".join(f"quantile_disc({{value}}, {p})" for p in (0.05, 0.25, 0.5, 0.75, 0.95))
_SIMILARITIES = (
    ("caption, by the model of scores", "similarity", _RELEASED),
    ("alt text, by the model of scores", "alt_text_similarity", _RELEASED),
    ("alt text, as the source says", "similarity", _OF_RELEASED),
)


def content_section(connection: duckdb.DuckDBPyConnection, limit: float | None, parts: Sequence[object] = ()) -> str:
    """The section; ``limit`` is the recipe's limit on the probability of unsafe content, where it has one.

    ``parts`` are those of the steps that made the release: a table of theirs with nothing but numbers by sample_id
    holds scores.
    """
    scores = scores_of(parts)
    about = (
        _languages(connection),
        _unsafe(connection, 0.5 if limit is None else limit, scores),
        _similarity(connection),
    )
    sections = [list(lines) for lines in about]
    return "\n".join(["## Content", *(line for lines in sections if lines for line in ("", *lines))])


def scores_of(parts: Sequence[object]) -> list[tuple[str, Column]]:
    """The tables of scores that these parts write, and their columns of scores, in order."""
    records = [writes for part in parts if isinstance(writes := getattr(part, "writes", None), type)]
    found = {r.table: columns(r) for r in records if issubclass(r, Record)}
    return [
        (table, column)
        for table, (first, *others) in found.items()
        if first.name == "sample_id" and others and all(pa.types.is_floating(c.arrow) for c in others)
        for column in others
    ]


def _languages(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    named = connection.execute(_NAMED).fetchall()
    total = sum(count for _, count in named)
    if any(language is not None for language, _ in named):
        known = [(cell(first_words(x, 40)) if x is not None else "not named", n) for x, n in named]
        yield from _shares("language, as the source says", "samples", known, total)
    else:
        yield "The source names no languages."
    yield ""
    texts = [text for (text,) in connection.execute(_TEXTS.format(_RELEASED, _IDENTIFIED)).fetchall()]
    found = Counter(_language(text) for text in texts)
    ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    yield from _shares("language of the alt text, as identified", "alt texts", ranked, len(texts))
    yield ""
    yield (
        f"py3langid identified it in the {len(texts):,} alt texts with the smallest sample_id, which is a hash; texts "
        f"of less than {_FEWEST_LETTERS} letters are too short for that, and names and brands mislead it."
    )


def _language(text: str) -> str:
    from curation.caption.check.faults.language import likeliest

    return cell(likeliest(text)) if sum(map(str.isalpha, text)) >= _FEWEST_LETTERS else "too short to tell"


def _shares(head: str, unit: str, found: list[tuple[str, int]], total: int) -> Iterator[str]:
    """A table of the most frequent values, the rest in one line."""
    yield f"| {head} | {unit} | share |"
    yield "|---|---:|---:|"
    for value, count in found[:_MOST]:
        yield f"| {value} | {count:,} | {share(count, total)} |"
    if rest := found[_MOST:]:
        count = sum(n for _, n in rest)
        yield f"| {len(rest):,} others | {count:,} | {share(count, total)} |"


def _unsafe(connection: duckdb.DuckDBPyConnection, limit: float, scores: Sequence[tuple[str, Column]]) -> Iterator[str]:
    judged = [c.name for _, c in scores if _about(c, ("nsfw", "unsafe"))]
    scored = {
        of: connection.execute(_UNSAFE.format(relation), {"limit": limit}).fetchone() or (0, 0, 0, None, None)
        for of, relation in (("source rows", "rows"), ("released", _OF_RELEASED))
    }
    if any(known for _, known, *_ in scored.values()):
        yield f"| `punsafe`, as the source says | rows | scored | {limit:g} and more | of the scored | median | p95 |"
        yield "|---|---:|---:|---:|---:|---:|---:|"
        for of, (rows, known, high, median, p95) in scored.items():
            figures = f"{rows:,} | {known:,} | {high:,} | {share(high, known)} | {_number(median)} | {_number(p95)}"
            yield f"| {of} | {figures} |"
    elif judged:
        yield f"The source does not score unsafe content; the scores {_names(judged)} below are of the images."
    else:
        yield "Unsafe content was not scored: the source has no `punsafe`, and no model looked at the images."
    yield ""
    counted = [c.name for _, c in scores if _about(c, ("face",))]
    faces = f"Faces: see the scores {_names(counted)} below." if counted else "Faces were not counted."
    yield from _kept_columns(connection, faces)


def _about(column: Column, words: Sequence[str]) -> bool:
    return any(word in column.name for word in words)


def _names(found: Sequence[str]) -> str:
    return ", ".join(map(cell, found))


def _kept_columns(connection: duckdb.DuckDBPyConnection, faces: str) -> Iterator[str]:
    """What further columns of the source say of unsafe content and faces; ``faces`` where they say nothing of these."""
    if connection.execute("SELECT count(*) FROM duckdb_views() WHERE view_name = 'source_columns'").fetchone() != (0,):
        value = f"coalesce({', '.join(f'json_extract_string(columns, {_path(key)})' for key in _CLASSES)})"
        classes = connection.execute(
            f"SELECT {value} AS said, count(*) FROM {_KEPT} GROUP BY said ORDER BY count(*) DESC, said"  # noqa: S608
        ).fetchall()
        if any(value is not None for value, _ in classes):
            named = [(cell(first_words(x, 40)) if x is not None else "not named", n) for x, n in classes]
            yield from _shares("`NSFW`, as the source says", "samples", named, sum(n for _, n in named))
            yield ""
        known, some = connection.execute(_faces()).fetchone() or (0, 0)
        if known:
            faces = (
                f"Faces, as the source says: {known:,} samples are counted, {some:,} ({share(some, known)}) have one "
                "or more."
            )
    yield faces


def _faces() -> str:
    number, boxes = (f"json_extract_string(columns, {_path(key)})" for key in _FACES)
    # Boxes are a list in a text. A text that is none of this counts as unknown.
    length = f"CASE WHEN json_valid({boxes}) THEN json_array_length({boxes}) END"
    counted = f"coalesce(try_cast({number} AS BIGINT), {length})"
    return f"SELECT count(n), count(*) FILTER (n > 0) FROM (SELECT {counted} AS n FROM {_KEPT})"  # noqa: S608


def _path(key: str) -> str:
    return f"'$.{key}'"


def _similarity(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    lines = []
    for of, column, relation in _SIMILARITIES:
        values = _QUANTILES.format(value=column)
        found = connection.execute(f"SELECT count({column}), {values} FROM {relation}").fetchone()  # noqa: S608
        if found is not None and found[0]:
            lines.append(f"| {of} | {found[0]:,} | {' | '.join(map(_number, found[1:]))} |")
    if not lines:
        yield "Image-text similarity (CLIP) was not computed, and the source gives none."
        return
    yield "| image-text similarity (cosine) | samples | p5 | p25 | median | p75 | p95 |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    yield from lines


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
