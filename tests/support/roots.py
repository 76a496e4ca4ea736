"""Makes a root's tables by hand, through the store alone: a small world in which every fate occurs."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from PIL import Image

from curation.core.engines.local import LocalEngine
from curation.core.pipeline import Totals, run_reduce, run_segment
from curation.core.root import write_recipe
from curation.core.store import Store
from curation.core.tar import TarWriter
from curation.release.export_stage import ExportStage
from schemas.arrow import Record, table_of
from schemas.captions import Caption, CaptionCheck, Score
from schemas.chat import Captioning, CaptionKind
from schemas.ids import sample_id, shard_name
from schemas.manifest import ShardEntry, ShardFailure
from schemas.reasons import Reason
from schemas.records import Duplicate, ImageRow, Repeat, SourceRow
from schemas.refine import Check, Export, RefineLaion, Scores
from tests.support.release_steps import finish_release, pack_reduce

STAGES = ("plan", "download", "dedupe", "recaption", "check", "scores")
TABLE_OF_STAGE = {
    "download": "images",
    "dedupe": "duplicates",
    "recaption": "captions",
    "check": "caption_checks",
    "scores": "scores",
}

# Every way a row can end before the release, with the stage and the reason that the catalog must give.
REJECTED: dict[str, tuple[str, str]] = {
    "filtered": ("plan", "claimed_too_small"),
    "repeated": ("plan", "repeated_row"),
    "gone": ("download", "http_404"),
    "opted_out": ("download", "opted_out"),
    "copy": ("dedupe", "exact_duplicate"),
    "near_copy": ("dedupe", "near_duplicate"),
    "silent": ("recaption", "model_error"),
    "refused": ("check", "refusal"),
    "repaired_yet_short": ("check", "too_short"),
    "unlike": ("scores", "low_image_text_similarity"),
}
_WITHOUT_CAPTION = ("silent", "refused", "repaired_yet_short", "unlike")
KEPT = ("kept", "kept_by_second_kind", "kept_by_alt_text")


@dataclass(frozen=True)
class Row:
    """One source row to be: how it shall end, and what it says; ``states`` are further columns of it."""

    ending: str = "kept"
    alt_text: str | None = None
    cluster: str | None = None
    states: Mapping[str, object] = field(default_factory=dict)


@dataclass
class World:
    """A root whose stages up to scores are done, and what its catalog must say."""

    store: Store
    recipe: RefineLaion
    expected: dict[tuple[str, int], tuple[str, str, str | None]] = field(default_factory=dict)
    ids: dict[tuple[str, int], str] = field(default_factory=dict)

    def kept_ids(self) -> set[str]:
        return {self.ids[key] for key, (fate, _, _) in self.expected.items() if fate == "kept"}


def recipe(
    *, shard_size: int = 4, scores: bool = True, val: float = 0.2, test: float = 0.2, **export: object
) -> RefineLaion:
    """A recipe that the world follows."""
    kinds = [CaptionKind(kind="dense", prompt="dense"), CaptionKind(kind="short", prompt="short")]
    return RefineLaion(
        caption=Captioning(model="some/captioner", kinds=kinds),
        check=Check(names="reject"),
        scores=Scores(model="some/clip", min_caption_similarity=0.1) if scores else Scores(),
        export=Export.model_validate(
            {"shard_size": shard_size, "val": val, "test": test, "alt_text_fallback": True} | export
        ),
    )


def every_ending(kept: int = 12) -> list[Row]:
    """Rows of all endings, kept ones among them."""
    rows = [Row() for _ in range(kept)]
    for ending in (*REJECTED, "kept_by_second_kind", "kept_by_alt_text"):
        rows += [Row(ending), Row(ending)]
    return rows


def make_world(url: str, found: RefineLaion | None = None, shards: Sequence[Sequence[Row]] | None = None) -> World:
    """A world of these shards, or of two with every ending; its recipe.toml is written as well."""
    world = World(Store(url), found or recipe())
    write_recipe(world.store, world.recipe)
    for index, rows in enumerate(shards if shards is not None else (every_ending(), every_ending())):
        add_shard(world, f"part-{index}.parquet", rows)
    return world


def add_shard(world: World, source_file: str, rows: Sequence[Row], *, until: str = "scores", error: str = "") -> str:
    """Adds a shard whose stages are finished up to ``until``; the next one failed where ``error`` is given."""
    made = _Shard(shard_name(source_file, 0), source_file)
    for index, row in enumerate(rows):
        made.add(index, row)
    reached = STAGES[: STAGES.index(until) + 1]
    _write(world, made, reached)
    unfinished = [s for s in STAGES if s not in reached and (s != "scores" or world.recipe.scores.model)]
    if error:
        world.store.commit_failure(
            ShardFailure(TABLE_OF_STAGE[unfinished[0]], made.name, error, "Traceback", "local", 1)
        )
    for index, row in enumerate(rows):
        key = (source_file, index)
        world.ids[key] = made.rows[index].sample_id
        ended_at = REJECTED[row.ending][0] if row.ending in REJECTED else None
        if row.ending == "unlike" and not world.recipe.scores.model:
            ended_at = None
        if row.ending == "silent" and "check" not in reached:
            ended_at = None  # the alt text may still step in
        if ended_at is not None and ended_at in reached:
            world.expected[key] = ("rejected", *REJECTED[row.ending])
        elif unfinished:
            world.expected[key] = ("failed", unfinished[0], "shard_failed" if error else "unfinished")
        else:
            world.expected[key] = ("kept", "release", None)
    return made.name


def release(world: World) -> Totals:
    """Packs, exports and finishes, as a run does."""
    totals = run_reduce(world.store, pack_reduce(world.recipe), lambda _: None)
    stage = ExportStage(images=world.recipe.export.images)
    shards = world.store.shards("placements")
    exported = run_segment(world.store, LocalEngine(), [stage], shards, lambda _: None)
    assert not totals.failed
    finish_release(world.store, world.recipe)
    return exported


def picture(seed: int, width: int = 24, height: int = 16) -> bytes:
    """A small JPEG, different for every seed."""
    pixels = hashlib.shake_256(seed.to_bytes(8, "big")).digest(width * height * 3)
    sink = io.BytesIO()
    Image.frombytes("RGB", (width, height), pixels).save(sink, "JPEG", quality=80)
    return sink.getvalue()


@dataclass
class _Shard:
    name: str
    source_file: str
    rows: list[SourceRow] = field(default_factory=list)
    repeats: list[Repeat] = field(default_factory=list)
    images: list[ImageRow] = field(default_factory=list)
    pixels: list[bytes] = field(default_factory=list)
    duplicates: list[Duplicate] = field(default_factory=list)
    captions: list[Caption] = field(default_factory=list)
    checks: list[CaptionCheck] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)

    def add(self, index: int, row: Row) -> None:
        # Where the alt text shall not step in for a caption, there is none.
        found = "" if row.ending in _WITHOUT_CAPTION else f"alt text {index} of {self.source_file}"
        alt_text = row.alt_text if row.alt_text is not None else found
        url = f"http://pictures.example/{self.source_file}/{index}.jpg"
        ident = sample_id(url, alt_text)
        if row.ending == "repeated":
            original = next(r for r in self.rows if r.reason is None)
            url, alt_text, ident = str(original.url), original.alt_text, original.sample_id
            self.repeats.append(Repeat(self.source_file, index, ident, Reason.REPEATED_ROW, "repeats row 0"))
        filtered = Reason.CLAIMED_TOO_SMALL if row.ending == "filtered" else None
        made = source_row(ident, self.source_file, index, url, alt_text, filtered)
        self.rows.append(dataclasses.replace(made, **row.states))
        if row.ending not in ("filtered", "repeated"):
            self._image(ident, alt_text, row, index)

    def _image(self, ident: str, alt_text: str, row: Row, index: int) -> None:
        missing = {"gone": Reason.HTTP_404, "opted_out": Reason.OPTED_OUT}.get(row.ending)
        data = picture(int(ident[:12], 16))
        self.images.append(_image_row(ident, missing, data))
        self.pixels.append(b"" if missing else data)
        if missing:
            return
        twin = {"copy": Reason.EXACT_DUPLICATE, "near_copy": Reason.NEAR_DUPLICATE}.get(row.ending)
        keeper = self.images[0].sample_id if twin else ident
        cluster = row.cluster or (self.images[0].sample_id if twin else ident)
        self.duplicates.append(Duplicate(ident, twin, keeper, 3 if row.ending == "near_copy" else 0, cluster))
        if not twin:
            self._words(ident, alt_text, row.ending)

    def _words(self, ident: str, alt_text: str, ending: str) -> None:
        found = {k: f"A {k} caption of sample {ident[:6]}, with a red house." for k in ("dense", "short")}
        for kind, text in found.items():
            reason = Reason.MODEL_ERROR if ending in ("silent", "kept_by_alt_text") else None
            self.captions.append(_caption(ident, kind, None if reason else text, reason))
            if reason:
                self.checks.append(_check(ident, kind, None, [reason]))
                continue
            faults = {
                "refused": [Reason.REFUSAL],
                "repaired_yet_short": [Reason.BOILERPLATE_OPENING, Reason.TOO_SHORT],
            }.get(ending, [])
            if ending == "kept_by_second_kind" and kind == "dense":
                faults = [Reason.REPETITION]
            self.checks.append(_check(ident, kind, None if faults else text, faults))
            similarity = 0.05 if ending == "unlike" else 0.3
            self.scores.append(Score(ident, kind, similarity, "clip@1"))
        counts = _check(ident, "alt_text", alt_text, [])
        self.checks.append(dataclasses.replace(counts, passed=False, caption=None))
        if alt_text.strip():
            self.scores.append(Score(ident, "alt_text", 0.2, "clip@1"))


def _write(world: World, made: _Shard, reached: Iterable[str]) -> None:
    store = world.store
    images = list(made.images)
    if "download" in reached:
        path = store.scratch(store.images_file(made.name))
        with TarWriter(path) as tar:
            for at, (row, data) in enumerate(zip(images, made.pixels, strict=True)):
                if data:
                    images[at] = dataclasses.replace(row, offset=tar.add(f"{row.sample_id}.jpg", data))
        store.publish(store.images_file(made.name), path)
    tables: dict[str, Sequence[tuple[type[Record], Sequence[Record]]]] = {
        "plan": [(SourceRow, made.rows), (Repeat, made.repeats)],
        "download": [(ImageRow, images)],
        "dedupe": [(Duplicate, made.duplicates)],
        "recaption": [(Caption, made.captions)],
        "check": [(CaptionCheck, made.checks)],
        "scores": [(Score, made.scores)] if world.recipe.scores.model else [],
    }
    for stage in reached:
        for record, rows in tables[stage]:
            write_table(store, record, made.name, rows)


def write_table(store: Store, record: type[Record], shard: str, rows: Sequence[Record]) -> None:
    """A finished shard of a table."""
    sha, size = store.write_table(record, shard, table_of(record, rows))
    writes = {store.table_file(record.table, shard): sha}
    store.commit(ShardEntry(record.table, shard, "by hand", {}, writes, len(rows), len(rows), size, 0.0, "local"))


def source_row(ident: str, file: str, index: int, url: str, alt_text: str, reason: Reason | None) -> SourceRow:
    """A row of a list as its plan has it."""
    return SourceRow(
        sample_id=ident,
        source_file=file,
        source_row=index,
        url=url,
        alt_text=alt_text,
        claimed_width=640,
        claimed_height=480,
        similarity=0.3,
        aesthetic=6.0,
        punsafe=None,
        pwatermark=0.1,
        language=None,
        license=None,
        expected_md5=None,
        expected_sha256=None,
        local_file=None,
        local_offset=None,
        local_size=None,
        reason=reason,
        detail="shorter side 90 < 200" if reason else None,
    )


def _image_row(ident: str, missing: Reason | None, data: bytes) -> ImageRow:
    sha = hashlib.sha256(data).hexdigest()
    there = missing is None
    return ImageRow(
        sample_id=ident,
        reason=missing,
        detail="HTTP 404" if missing else None,
        http_status=404 if missing else 200,
        final_url=None,
        opt_out="X-Robots-Tag: noai" if missing is Reason.OPTED_OUT else None,
        original_width=24 if there else None,
        original_height=16 if there else None,
        original_format="jpeg" if there else None,
        original_bytes=len(data) if there else None,
        original_sha256=sha if there else None,
        hash_matches=None,
        width=24 if there else None,
        height=16 if there else None,
        sha256=sha if there else None,
        phash=int(sha[:16], 16) if there else None,
        phash256=hashlib.sha256(sha.encode()).digest() if there else None,
        unchanged=there or None,
        offset=None,
        size=len(data) if there else None,
    )


def _caption(ident: str, kind: str, text: str | None, reason: Reason | None) -> Caption:
    return Caption(
        sample_id=ident,
        kind=kind,
        text=text,
        reason=reason,
        detail="the model gave up" if reason else None,
        finish="stop" if text else None,
        prompt=f"{kind}@1",
        model="some/captioner",
        model_revision="main",
        reply_key=hashlib.sha256(f"{ident}{kind}".encode()).hexdigest(),
        tokens_in=300,
        tokens_out=20,
    )


def _check(ident: str, kind: str, text: str | None, faults: list[Reason]) -> CaptionCheck:
    return CaptionCheck(
        sample_id=ident,
        kind=kind,
        passed=not faults,
        reasons=faults,
        repaired=Reason.BOILERPLATE_OPENING in faults,
        detail="what was found" if faults else None,
        caption=text,
        words=len((text or "").split()),
        clip_tokens=2 * len((text or "").split()),
        sentence_end_77=len(text) if text and len(text) < 200 else None,
    )
