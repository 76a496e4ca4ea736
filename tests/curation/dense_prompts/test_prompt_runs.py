"""Whole runs: quotas are filled or what lacks is told, every brief has one fate, and a kill changes nothing."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from curation.catalog import connect, conservation
from curation.core.engines.ray import RayEngine
from curation.core.errors import ModelError, SourceError
from curation.core.store import Store
from curation.dedupe.across.shared_text import runs_of
from curation.demo.prompt_server import PromptServer
from curation.demo.prompt_writer import scene_of, write
from curation.demo.render import jpeg
from curation.demo.world import scene
from curation.dense_prompts.near import shingles
from curation.dense_prompts.release_stage import read_release
from schemas.prompt_records import PlacedPrompt
from tests.support.kills import every_kill
from tests.support.prompts import Spoil, prompts, quick
from tests.support.runs import refine
from tests.support.toy import fingerprint
from tests.support.training_root import training_root

GERMAN = (
    "Ein brauner Hund liegt im Garten neben einem roten Ball und schaut auf die graue Katze, die auf der Mauer sitzt. "
    "Hinter ihnen steht ein altes Haus mit grünen Fensterläden, vor dem drei weiße Stühle um einen runden Tisch "
    "stehen. Am Himmel ziehen kleine Wolken, und das Licht der Abendsonne fällt schräg auf das Gras."
)
RESULT = ("tables", "release", "plans")


@pytest.fixture(scope="module")
def server() -> Iterator[PromptServer]:
    with PromptServer() as started:
        yield started


def fates(root: Path) -> Counter[tuple[str, str | None]]:
    """Briefs by fate and reason; fails when they do not add up."""
    counts = conservation(Store(str(root)))
    assert counts.ok, str(counts)
    with connect(str(root)) as catalog:
        return Counter({(f, r): n for f, r, n in catalog.execute("SELECT fate, reason, rows FROM funnel").fetchall()})


def by_category(root: Path) -> Counter[str]:
    return Counter(item.category for item in read_release(root))


def spoiling(share: int, how: Callable[[dict[str, Any]], Any]) -> Spoil:
    """Spoils every so-manieth reply, by the number of its brief."""

    def spoil(brief: str, reply: dict[str, Any]) -> Any:
        number = re.search(r"no\. (\d+)", brief)
        return how(reply) if number and int(number[1]) % share == 0 else reply

    return spoil


def test_all_quotas_are_filled_and_a_second_run_does_nothing(server: PromptServer, tmp_path: Path) -> None:
    prompts(str(tmp_path), quick(server, 10))
    assert by_category(tmp_path) == {"things": 4, "counts": 3, "relations": 2, "text": 1}
    found, asked = fates(tmp_path), server.asked
    assert found["kept", None] == 10
    before = fingerprint(Store(str(tmp_path)), *RESULT)
    again = prompts(str(tmp_path), quick(server, 10))
    assert {outcome.status for outcome in again} == {"skipped"}
    assert server.asked - asked <= 4  # what the server is asked before any work
    assert fingerprint(Store(str(tmp_path)), *RESULT) == before


@pytest.mark.ray
def test_ray_gives_the_same_bytes(server: PromptServer, tmp_path: Path) -> None:
    engine = RayEngine(cpus=2)
    prompts(str(tmp_path / "here"), quick(server, 10))
    try:
        prompts(str(tmp_path / "ray"), quick(server, 10), engine=engine)
    finally:
        engine.stop()
    here, there = (fingerprint(Store(str(tmp_path / name)), *RESULT) for name in ("here", "ray"))
    assert there == here


def test_faulty_replies_are_rejected_with_their_reason_and_made_up_for(tmp_path: Path) -> None:
    def short(reply: dict[str, Any]) -> Any:
        return {**reply, "prompt": " ".join(reply["prompt"].split()[:20]) + "."}

    def strange(reply: dict[str, Any]) -> Any:
        return {**reply, "questions": [{**q, "elements": ["zeppelin"]} for q in reply["questions"]]}

    def german(reply: dict[str, Any]) -> Any:
        return {**reply, "prompt": GERMAN}

    cases: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
        (short, "too_short"),
        (strange, "invalid_questions"),
        (lambda reply: ["no prompt"], "invalid_reply"),
        (german, "wrong_language"),
        (lambda reply: write(scene_of("things", 1)), "repeated_prompt"),
    ]
    for how, reason in cases:
        root = tmp_path / reason
        with PromptServer(spoil=spoiling(2, how)) as server:
            prompts(str(root), quick(server, 10))
        found = fates(root)
        assert found["rejected", reason] >= 3, (reason, found)
        assert by_category(root) == {"things": 4, "counts": 3, "relations": 2, "text": 1}


def test_what_lacks_after_all_rounds_is_told_and_asked_for_no_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with PromptServer(spoil=spoiling(1, lambda reply: write(scene_of("things", 1)))) as server:
        settings = [*quick(server, 5), "quotas.rounds=2"]
        prompts(str(tmp_path), settings)
        assert by_category(tmp_path).total() == 1
        assert "not all quotas are full after 2 rounds" in caplog.text and "things: 0 of 2" in caplog.text
        assert "**4 prompts lack**" in (tmp_path / "release/README.md").read_text()
        asked = server.asked
        prompts(str(tmp_path), settings)
        assert server.asked - asked <= 4
        prompts(str(tmp_path), [*settings, "quotas.rounds=3"])
        assert server.asked - asked > 4


def test_a_larger_size_adds_prompts_and_keeps_those_that_there_are(server: PromptServer, tmp_path: Path) -> None:
    prompts(str(tmp_path), quick(server, 6))
    first, asked = {i.item_id: i for i in read_release(tmp_path)}, server.asked
    prompts(str(tmp_path), quick(server, 12))
    grown = {i.item_id: i for i in read_release(tmp_path)}
    assert len(grown) == 12 and first.items() <= grown.items()
    assert server.asked - asked < 12  # no reply is paid for twice
    assert fates(tmp_path)["kept", None] == 12
    files = {p.stem for p in (tmp_path / "release/exports/dpg_bench/prompts").iterdir()}
    prompts(str(tmp_path), quick(server, 5))
    left = {p.stem for p in (tmp_path / "release/exports/dpg_bench/prompts").iterdir()}
    assert files == set(grown) and len(left) == 5 and left < files


def test_other_seeds_write_all_anew(server: PromptServer, tmp_path: Path) -> None:
    prompts(str(tmp_path), quick(server, 5))
    before = {i.item_id for i in read_release(tmp_path)}
    prompts(str(tmp_path), [*quick(server, 5), "source.seed=1"])
    after = {i.item_id for i in read_release(tmp_path)}
    assert len(after) == 5 and not before & after
    fates(tmp_path)


def test_a_run_killed_at_any_change_ends_with_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    roots = iter(tmp_path / str(n) for n in range(100))
    with PromptServer(spoil=spoiling(3, lambda reply: {**reply, "questions": reply["questions"][:1]})) as server:
        settings = quick(server, 4)
        prompts(str(tmp_path / "whole"), settings)
        expected = fingerprint(Store(str(tmp_path / "whole")), *RESULT)
        made: list[Path] = []

        def prepare() -> Callable[[], object]:
            made.append(next(roots))
            return lambda: prompts(str(made[-1]), settings)

        kills = 0
        for _ in every_kill(prepare, monkeypatch, step=11):
            kills += 1
            prompts(str(made[-1]), settings)
            assert fingerprint(Store(str(made[-1])), *RESULT) == expected
            fates(made[-1])
    assert kills >= 5


def test_no_prompt_shares_words_with_a_training_root(server: PromptServer, tmp_path: Path) -> None:
    """Of the prompts that a run without it writes, one stands in a training root whole and one in part."""
    prompts(str(tmp_path / "free"), quick(server, 6))
    whole, part, *_ = read_release(tmp_path / "free")
    words = part.prompt.split()
    told = {"a": whole.prompt.upper(), "b": "Much else is here. " + " ".join(words[3:13]) + " and nothing of it."}
    root = training_root(tmp_path / "training", told)
    settings = [*quick(server, 6), f'decontamination.sets=["{root}"]']
    prompts(str(tmp_path / "clear"), settings)
    kept = {i.item_id: i.prompt for i in read_release(tmp_path / "clear")}
    assert len(kept) == 6 and not {whole.item_id, part.item_id} & kept.keys()
    for prompt in kept.values():
        assert not set(runs_of(prompt, 8)) & {run for text in told.values() for run in runs_of(text, 8)}
    with connect(str(tmp_path / "clear")) as catalog:
        found = catalog.execute("SELECT item_id, dataset FROM prompt_overlaps WHERE reason IS NOT NULL").fetchall()
    assert {("a", root), ("b", root)} <= set(found)
    training_root(tmp_path / "training", {"c": next(iter(kept.values()))}, number=1)  # it grew
    prompts(str(tmp_path / "clear"), settings)
    assert not {i.prompt for i in read_release(tmp_path / "clear")} & {next(iter(kept.values()))}
    fates(tmp_path / "clear")


def test_captions_of_a_root_are_rewritten_and_no_caption_stands_in_the_release(tmp_path: Path) -> None:
    """The demo's writer takes a caption for the brief of another scene, so that nothing of it is repeated."""
    captions = {f"c{n}": write(scene_of("things", 500 + n))["prompt"] for n in range(12)}
    root = training_root(tmp_path / "training", captions)
    numbers = iter(range(900, 1000))

    def rewritten(brief: str, reply: dict[str, Any]) -> Any:
        return reply if "no. " in brief else write(scene_of("things", next(numbers)))

    with PromptServer(spoil=rewritten) as server:
        prompts(str(tmp_path / "p"), [*quick(server, 8), "source.captions=1.0"], [root])
    fates(tmp_path / "p")
    store = Store(str(tmp_path / "p"))
    placed = [row for s in store.shards(PlacedPrompt.table) for row in store.read_table(PlacedPrompt, s).to_pylist()]
    assert len(placed) == 8
    made = Counter(row["made_from"] for row in placed)
    assert made["captions"] >= 2
    assert all((row["brief"] is None) == (row["made_from"] == "captions") for row in placed)
    released = b"".join(p.read_bytes() for p in (tmp_path / "p/release").rglob("*") if p.is_file())
    assert not [c for c in captions.values() if c.encode() in released]


def test_a_model_that_repeats_the_caption_is_found_out(tmp_path: Path) -> None:
    captions = {f"c{n}": write(scene_of("things", 500 + n))["prompt"] for n in range(6)}
    root = training_root(tmp_path / "training", captions)
    of = {text: write(scene_of("things", 500 + n)) for n, text in enumerate(captions.values())}

    def repeated(brief: str, reply: dict[str, Any]) -> Any:
        return next((own for text, own in of.items() if text in brief), reply)

    with PromptServer(spoil=repeated) as server:
        prompts(str(tmp_path / "p"), [*quick(server, 6), "source.captions=1.0"], [root])
    assert fates(tmp_path / "p")["rejected", "shared_text"] >= 3
    assert not {i.prompt for i in read_release(tmp_path / "p")} & set(captions.values())


def test_near_prompts_are_rejected_and_name_the_one_that_stays(tmp_path: Path) -> None:
    def nearly(reply: dict[str, Any]) -> Any:
        base = write(scene_of("things", 1))
        return {**base, "prompt": base["prompt"] + " It is late."}

    with PromptServer(spoil=spoiling(2, nearly)) as server:
        prompts(str(tmp_path), quick(server, 8))
    with connect(str(tmp_path)) as catalog:
        query = """SELECT c.text, o.text FROM prompt_choices p JOIN prompt_checks c USING (sample_id)
            JOIN prompt_checks o ON o.sample_id = p.other_id WHERE p.reason = 'near_prompt'"""
        pairs = catalog.execute(query).fetchall()
    assert pairs
    for one, other in pairs:
        a, b = shingles(one), shingles(other)
        assert len(a & b) / len(a | b) >= 0.5


def test_what_cannot_be_used_is_refused_before_any_work(server: PromptServer, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for settings, source, error, said in [
        ([], [str(tmp_path / "empty")], SourceError, "holds no release"),
        ([f'decontamination.sets=["{tmp_path / "p"}"]'], [], SourceError, "itself"),
        (["llm.model=other"], [], ModelError, "other"),
    ]:
        with pytest.raises(error, match=said) as found:
            prompts(str(tmp_path / "p"), [*quick(server), *settings], source)
        assert "\n" not in str(found.value)


def test_the_release_holds_what_its_sums_say_and_reads_as_a_data_set(server: PromptServer, tmp_path: Path) -> None:
    import hashlib

    import datasets

    prompts(str(tmp_path / "root"), quick(server, 6))
    release = tmp_path / "root/release"
    sums = dict(line.split("  ")[::-1] for line in (release / "SHA256SUMS").read_text().splitlines())
    files = {str(p.relative_to(release)): p for p in release.rglob("*") if p.is_file() and p.name != "SHA256SUMS"}
    assert {name: hashlib.sha256(p.read_bytes()).hexdigest() for name, p in files.items()} == sums
    read = datasets.load_dataset(str(release), split="test", cache_dir=str(tmp_path / "cache"))
    items = read_release(release)
    assert [row["prompt"] for row in read] == [item.prompt for item in items]
    first = json.loads(json.dumps(read[0]["questions"]))
    assert len(first) == len(items[0].questions) and first[0]["question"] == items[0].questions[0].question


def test_a_training_list_keeps_clear_of_the_prompts_that_its_recipe_names(server: PromptServer, tmp_path: Path) -> None:
    prompts(str(tmp_path / "prompts"), quick(server, 4))
    first = read_release(tmp_path / "prompts")[0]
    texts = ["A plain picture.", f"Look: {' '.join(first.prompt.upper().split()[4:16])}", first.prompt]
    for number, text in enumerate(texts):
        (tmp_path / "training").mkdir(exist_ok=True)
        (tmp_path / f"training/{number}.jpg").write_bytes(jpeg(scene(31, number)))
        (tmp_path / f"training/{number}.txt").write_text(text)
    settings = ["caption.backend=scripted", "export.val=0", "export.test=0"]
    refine(str(tmp_path / "refined"), str(tmp_path / "training"), [
        *settings, f'decontamination.sets=["{tmp_path / "prompts"}"]',
    ])  # fmt: skip
    with connect(str(tmp_path / "refined")) as catalog:
        rows = catalog.execute("SELECT alt_text, reason, detail FROM samples").fetchall()
    assert {text: reason for text, reason, _ in rows} == dict(
        zip(texts, [None, "shared_text", "shared_text"], strict=True)
    )
    assert all(first.item_id in detail for _, reason, detail in rows if reason)
