"""What the card says of licences, opt-outs, content, similarity and concepts follows from the data."""

from __future__ import annotations

import dataclasses
import random
import re
from pathlib import Path
from typing import Annotated, ClassVar

import duckdb
import pytest
from markdown_it import MarkdownIt

from curation.caption.concepts import ADULTS, CHILDREN, GROUPS, MEN, WOMEN, concepts
from curation.catalog import connect
from curation.release.card_concepts import PROMPTS, TEXTS, concepts_section, count_concepts
from curation.release.card_content import content_section, scores_of
from schemas.arrow import Record
from schemas.records import Placement
from tests.support.roots import Row, World, make_world, recipe, release

HOSTILE = "cc-by | 4.0 `x`\n| a | b |\n</td><script>alert(1)</script>\u202e{{7*7}}" + "long " * 100


def card_of(world: World) -> str:
    return Path(world.store.path("release/README.md")).read_text()


def world_of(folder: Path, rows: list[Row], **export: object) -> World:
    made = make_world(str(folder / "root"), recipe(**export), [rows])
    release(made)
    return made


def section(card: str, title: str) -> str:
    return card.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def tables(text: str) -> list[list[list[str]]]:
    """The tables of a text in Markdown, as rows of cells; every row has as many cells as the head."""
    found: list[list[list[str]]] = []
    for token in MarkdownIt().enable("table").parse(text):
        match token.type:
            case "table_open":
                found.append([])
            case "tr_open":
                found[-1].append([])
            case "inline" if found and token.level > 2:
                found[-1][-1].append(token.content)
    return found


def number(cell: str) -> int:
    return int(cell.replace(",", "").strip("*"))


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Rows whose source states licences, languages and probabilities, and one hostile licence."""
    rows = [
        Row(
            ["kept", "kept", "gone", "opted_out", "copy"][n % 5],
            f"two dogs and a woman beside a red car, number {n}",
            states={
                "license": [None, "cc-by-4.0", HOSTILE][n % 3],
                "language": ["en", "de", None][n % 3],
                "punsafe": [None, 0.1, 0.7][n % 3],
            },
        )
        for n in range(40)
    ]
    return world_of(tmp_path_factory.mktemp("rich"), [Row(), *rows])


def test_licences_add_up_to_source_rows_and_released_samples(rich: World) -> None:
    (licences, *_) = tables(section(card_of(rich), "Licence and opt-out"))
    *lines, last = licences[1:]
    assert sum(number(line[1]) for line in lines) == number(last[1]) == 41
    assert sum(number(line[2]) for line in lines) == number(last[2]) == len(rich.kept_ids())
    assert any("cc-by-4.0" in line[0] for line in lines) and any(line[0] == "none named" for line in lines)


def test_a_hostile_licence_stays_text_in_its_cell(rich: World) -> None:
    text = section(card_of(rich), "Licence and opt-out")
    (licences, *_) = tables(text)
    assert all(len(line) == len(licences[0]) for line in licences)
    (hostile,) = [line[0] for line in licences if "script" in line[0]]
    assert hostile.startswith("`") and hostile.endswith("`") and len(hostile) < 120
    html = MarkdownIt().enable("table").render(text)
    assert "<script" not in html and "\u202e" not in html


def test_opt_outs_are_counted_by_what_was_found(rich: World) -> None:
    opted = [t for t in tables(section(card_of(rich), "Licence and opt-out")) if "opt-outs" in t[0][0]]
    count = sum(reason == "opted_out" for _, _, reason in rich.expected.values())
    assert [number(line[2]) for line in opted[0][1:]] == [count, count] and count > 0
    assert "X-Robots-Tag: noai" in opted[0][1][1]


def test_files_of_several_sources_are_told_apart(tmp_path: Path) -> None:
    made = make_world(str(tmp_path / "root"), shards=[[Row()] * 3, [Row(states={"license": "mit"}), Row("gone")]])
    release(made)
    (licences, *_) = tables(section(card_of(made), "Licence and opt-out"))
    assert licences == [
        ["source", "licence", "source rows", "released", "share"],
        ["`part-0.parquet`", "none named", "3", "3", "75.0%"],
        ["`part-1.parquet`", "`mit`", "1", "1", "25.0%"],
        ["`part-1.parquet`", "none named", "1", "0", "0.0%"],
        ["", "**all**", "5", "4", ""],
    ]


def test_unsafe_content_is_counted_where_it_was_scored_and_else_said_not_to_be(rich: World, tmp_path: Path) -> None:
    (unsafe,) = [t for t in tables(section(card_of(rich), "Content")) if "punsafe" in t[0][0]]
    catalog = connect(rich.store.url)
    for line, of in zip(unsafe[1:], ("rows", "(FROM rows SEMI JOIN placements USING (sample_id))"), strict=True):
        found = catalog.execute(f"SELECT count(*), count(punsafe), count(*) FILTER (punsafe >= 0.5) FROM {of}")
        assert tuple(map(number, line[1:4])) == found.fetchone()
    without = section(card_of(world_of(tmp_path, [Row()] * 4)), "Content")
    assert "Unsafe content was not scored" in without and "Faces were not counted" in without


def test_similarity_has_percentiles_where_there_is_any(rich: World, tmp_path: Path) -> None:
    (similar,) = [t for t in tables(section(card_of(rich), "Content")) if "similarity" in t[0][0]]
    assert [line[1:] for line in similar[1:3]] == [[str(len(rich.kept_ids()))] + [v] * 5 for v in ("0.300", "0.200")]
    states = {"similarity": None}
    bare = world_of(tmp_path, [Row(states=states)] * 4, scores=False)
    assert "similarity (CLIP) was not computed" in section(card_of(bare), "Content")


def test_languages_are_those_that_the_source_names_and_those_that_are_identified(rich: World) -> None:
    named, identified, *_ = tables(section(card_of(rich), "Content"))
    assert sum(number(line[1]) for line in named[1:]) == len(rich.kept_ids())
    assert {line[0] for line in named[1:]} == {"`en`", "`de`", "not named"}
    assert identified[1][0] == "`en`"


def test_shares_of_lengths_are_the_whole(rich: World) -> None:
    steps = [t for t in tables(section(card_of(rich), "Captions")) if t[0][0].startswith("CLIP tokens with")]
    assert steps and all(
        sum(float(cell.strip("%")) for cell in line[1:]) == pytest.approx(100, abs=0.4) for line in steps[0][1:]
    )


def brute_force(texts: list[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for text in texts:
        for concept in {concepts()[w][0] for w in re.findall("[a-z]+", text.lower()) if w in concepts()}:
            counts[concept] = counts.get(concept, 0) + 1
    return counts


def connection_of(texts: list[str]) -> duckdb.DuckDBPyConnection:
    made = duckdb.connect()
    made.execute("CREATE TABLE t (sample_id VARCHAR, text VARCHAR)")
    made.executemany("INSERT INTO t VALUES (?, ?)", [[f"{n:04d}", text] for n, text in enumerate(texts)])
    return made


def test_concepts_are_counted_as_by_hand_once_a_text_whatever_the_order_and_the_threads() -> None:
    drawn = random.Random(0)
    words = [*drawn.sample(sorted(concepts()), 60), "the", "und", "O'Neil", "—", "Dogs’", "MEN,women", "\x00"]
    texts = [" ".join(drawn.choices(words, k=12)) for _ in range(200)]
    made = connection_of(texts)
    for threads, order in ((1, "sample_id"), (4, "sample_id DESC")):
        made.execute(f"SET threads = {threads}")
        found = count_concepts(made, f"SELECT sample_id, text FROM t ORDER BY {order}")
        assert dict(found.concepts) == brute_force(texts) and found.texts == 200
        few = count_concepts(made, f"SELECT sample_id, text FROM t ORDER BY {order}", most=50)
        assert dict(few.concepts) == brute_force(texts[:50]) and few.texts == 50


def test_the_list_has_singulars_of_its_plurals_and_no_word_of_two_meanings() -> None:
    of = {word: concept for word, (concept, _) in concepts().items()}
    singulars = {"men": "man", "dogs": "dog", "leaves": "leaf", "puppies": "puppy", "teapots": "teapot", "boxes": "box"}
    assert all(of[plural] == of[singular] == singular for plural, singular in singulars.items())
    assert of["grass"] == "grass" and of["glasses"] == "glass" and of["trees"] == "tree"
    assert not {"orange", "crane", "stands", "light", "photo", "saw"} & of.keys()
    assert {group for _, group in concepts().values()} == set(GROUPS.values())
    assert set(of.values()) <= set(of) and (WOMEN | MEN | CHILDREN | ADULTS) - {"adult"} <= set(of.values())


def note(texts: list[str]) -> str:
    made = connection_of(texts)
    made.execute("CREATE VIEW placements AS SELECT sample_id, text AS caption, 0 AS shard FROM t")
    made.execute("CREATE VIEW released AS SELECT sample_id, 0 AS shard FROM t")
    return concepts_section(made, PROMPTS)


def test_the_note_says_what_its_figures_say() -> None:
    unequal = note(["a man on a horse"] * 60 + ["a woman on a horse"] * 20 + ["a boat"] * 20)
    assert "for women are in 20.0% of prompts (20), words for men in 60.0% (60): men are named 3.0 times" in unequal
    assert "| horse | 80 | 80.0% |" in unequal and "words for adults in 80.0% (80): no text names children" in unequal
    equal = note(["a man"] * 50 + ["a woman"] * 45)
    assert "(45), words for men in 52.6% (50): no difference beyond chance" in equal
    assert "too few to compare" in note(["a man"] * 10 + ["nobody"] * 40)
    assert "3 texts are too few" in note(["a man"] * 3)
    assert "No concept of the list is named" in note(["qwertz"] * 40)


def test_concepts_that_the_filters_favour_are_named(tmp_path: Path) -> None:
    rows = [Row(ending, f"a {of}, number {n}") for n in range(60) for ending, of in (("kept", "dog"), ("gone", "cat"))]
    text = section(card_of(world_of(tmp_path, rows)), "Concepts")
    assert re.search(r"named more often in the released alt texts .*: dog \(2\.00\)\.", text)
    assert re.search(r"named less often in the released alt texts .*: cat \(0\.00\)\.", text)
    assert "in alt texts of the source and in no caption: most often cat (60)" in text


def test_captions_of_another_language_are_not_counted_by_an_english_list() -> None:
    made = duckdb.connect()
    assert "none were counted" in concepts_section(made, TEXTS, "German")


def released_of(kept: list[str | None]) -> duckdb.DuckDBPyConnection:
    """A release of samples with these further columns of their source."""
    made = duckdb.connect()
    made.execute("CREATE TABLE s (source_row INTEGER, columns VARCHAR)")
    made.executemany("INSERT INTO s VALUES (?, ?)", [list(row) for row in enumerate(kept)])
    made.execute("CREATE VIEW source_columns AS SELECT *, 'f' AS source_file FROM s")
    empty = "NULL::VARCHAR AS language, NULL::DOUBLE AS punsafe, NULL::DOUBLE AS similarity"
    made.execute(f"CREATE VIEW rows AS SELECT source_row, source_file, {empty} FROM source_columns")
    made.execute(
        "CREATE VIEW placements AS SELECT source_row, source_file, source_row::VARCHAR AS sample_id, 0 AS shard, "
        "'a picture of a dog' AS alt_text, NULL::FLOAT AS similarity, NULL::FLOAT AS alt_text_similarity "
        "FROM source_columns"
    )
    made.execute("CREATE VIEW released AS SELECT sample_id, shard FROM placements")
    return made


@dataclasses.dataclass(frozen=True, slots=True)
class _Looks(Record):
    """A table of scores."""

    table: ClassVar[str] = "looks"
    sample_id: Annotated[str, "as in rows"]
    nsfw: Annotated[float | None, "probability | of unsafe content [0..1]"]
    face_share: Annotated[float | None, "share of the picture that faces take [0..1]"]


class _Scorer:
    writes = _Looks


class _NoScorer:
    writes = Placement


def test_tables_of_scores_are_known_by_their_columns_and_named_where_they_tell_of_content() -> None:
    assert [(table, column.name) for table, column in scores_of([_NoScorer(), _Scorer(), object()])] == [
        ("looks", "nsfw"),
        ("looks", "face_share"),
    ]
    made = released_of([None] * 101)
    made.execute("CREATE VIEW looks AS SELECT sample_id, source_row / 100 AS nsfw, NULL AS face_share FROM placements")
    text = content_section(made, None, [_Scorer()])
    assert "the scores `nsfw` below" in text and "Faces: see the scores `face_share`" in text


def test_faces_and_classes_come_from_columns_that_the_source_has() -> None:
    kept = [
        '{"NSFW": "UNLIKELY", "num_faces": 2}',
        '{"NSFW": "NSFW", "num_faces": 0}',
        '{"face_bboxes": "[[0.1, 0.2, 0.3, 0.4]]"}',
        '{"face_bboxes": "no list"}',
        '{"num_faces": "x | y"}',
        None,
    ]
    made = released_of(kept)
    text = content_section(made, None)
    assert "3 samples are counted, 2 (66.7%) have one or more" in text
    assert "| `NSFW` | 1 | 16.7% |" in text and "| not named | 4 | 66.7% |" in text
