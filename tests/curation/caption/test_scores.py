from __future__ import annotations

import dataclasses
import io
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest
import torch
from PIL import Image
from transformers import AutoModel, AutoProcessor

from curation.caption.check.similarity import SimilarityModel
from curation.caption.scores_stage import ScoresStage, check_model
from curation.core.errors import ModelError
from curation.core.stage import Shard, Stage, digest
from curation.core.store import Store
from curation.core.tar import TarWriter
from schemas.arrow import conform, rows_of, table_of
from schemas.captions import CaptionCheck, Score
from schemas.reasons import Reason
from schemas.records import Duplicate, ImageRow, SourceRow
from schemas.refine import Scores
from tests.support.images import smooth
from tests.support.tiny_clip import make_tiny_clip, make_tiny_siglip
from tests.support.tiny_models import tiny_captioner


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_clip(tmp_path_factory.mktemp("models") / "clip")


def _filled(kind: type, **values: object) -> object:
    return kind(**(dict.fromkeys((f.name for f in dataclasses.fields(kind)), None) | values))


def _picture(number: int) -> bytes:
    out = io.BytesIO()
    picture = Image.fromarray(smooth(40 + number, 50)).rotate(number * 30)
    picture.save(out, "JPEG")
    return out.getvalue()


def _check(number: int, kind: str, text: str, passed: bool = True) -> CaptionCheck:
    return CaptionCheck(f"{number:032x}", kind, passed, [], False, None, text, 3, 3, None)


def _root(folder: Path, count: int = 7) -> Store:
    """Sample 1 has no image, 2 is a duplicate, 3 no alt text; 4's dense caption did not pass."""
    store = Store(str(folder))
    local = folder / "made.tar"
    folder.mkdir(exist_ok=True)
    images, rows, duplicates, checks = [], [], [], []
    with TarWriter(local) as tar:
        for n in range(count):
            sample = f"{n:032x}"
            rows.append(
                _filled(
                    SourceRow,
                    sample_id=sample,
                    source_file="a",
                    source_row=n,
                    alt_text=" " if n == 3 else f"alt text {n}",
                )
            )
            if n == 1:
                images.append(_filled(ImageRow, sample_id=sample, reason=Reason.HTTP_404))
                continue
            data = _picture(n)
            images.append(
                _filled(ImageRow, sample_id=sample, sha256="s", offset=tar.add(f"{sample}.jpg", data), size=len(data))
            )
            reason = Reason.NEAR_DUPLICATE if n == 2 else None
            duplicates.append(Duplicate(sample, reason, f"{0:032x}" if n == 2 else sample, 0, sample))
            if n != 2:
                checks += [
                    _check(n, "alt_text", "", passed=False),
                    _check(n, "dense", f"A long text {n}.", passed=n != 4),
                ]
                checks.append(_check(n, "short", f"Text {n}."))
    store.publish(store.images_file("a"), local)
    for kind, made in ((SourceRow, rows), (ImageRow, images), (Duplicate, duplicates), (CaptionCheck, checks)):
        store.write_table(kind, "a", table_of(kind, made))  # type: ignore[type-var]
    return store


@contextmanager
def _opened(stage: ScoresStage, store: Store) -> Iterator[pa.Table]:
    with stage.open() as work:
        yield conform(Score, work(Shard("a", store)))


def test_keepers_passed_captions_and_alt_texts_are_scored_in_row_order(tmp_path: Path, clip: Path) -> None:
    with _opened(ScoresStage.of(Scores(model=str(clip), batch=2)), _root(tmp_path)) as table:
        found = [(int(s.sample_id, 16), s.kind) for s in rows_of(Score, table)]
    three = ["alt_text", "dense", "short"]
    assert found == [
        *((0, kind) for kind in three),
        *((3, kind) for kind in three[1:]),
        *((4, kind) for kind in ("alt_text", "short")),
        *((n, kind) for n in (5, 6) for kind in three),
    ]


@pytest.mark.parametrize("make", [make_tiny_clip, make_tiny_siglip])
def test_scores_are_the_checkpoint_s_own_cosines(tmp_path: Path, make: object) -> None:
    folder = make(tmp_path / "model")  # type: ignore[operator]
    store = _root(tmp_path / "root")
    with _opened(ScoresStage.of(Scores(model=str(folder))), store) as table:
        scores = {(int(s.sample_id, 16), s.kind): s.similarity for s in rows_of(Score, table)}
    model, processor = AutoModel.from_pretrained(folder).eval(), AutoProcessor.from_pretrained(folder)
    texts = {(0, "alt_text"): "alt text 0", (5, "dense"): "A long text 5.", (6, "short"): "Text 6."}
    for (n, kind), text in texts.items():
        image = Image.open(io.BytesIO(_picture(n)))
        inputs = processor(text=[text], images=image, padding="max_length", return_tensors="pt")
        with torch.inference_mode():
            out = model(**inputs)
        cosine = torch.nn.functional.cosine_similarity(out.image_embeds, out.text_embeds).item()
        assert scores[n, kind] == pytest.approx(cosine, abs=2e-5)


def test_what_is_beyond_the_text_tower_s_limit_is_not_read(tmp_path: Path, clip: Path) -> None:
    model = SimilarityModel(str(clip))
    head = "a red cube and a blue ball " * 11  # 77 tokens and more
    first, longer, other = model.embed_texts([head, head + "and something else entirely", "short"])
    assert torch.equal(first, longer)
    assert not torch.allclose(first, other)
    assert model.embed_texts(["\ud800 \x00", ""]).isfinite().all()
    small = SimilarityModel(str(make_tiny_siglip(tmp_path / "siglip")))
    assert small.embed_texts(["word " * 400]).norm().item() == pytest.approx(1.0, abs=1e-5)


def test_a_text_s_numbers_do_not_depend_on_its_neighbours_lengths(clip: Path) -> None:
    model = SimilarityModel(str(clip))
    beside_short = model.embed_texts(["a red cube", "a"])[0]
    beside_long = model.embed_texts(["a red cube", "a long text " * 30])[0]
    assert torch.equal(beside_short, beside_long)


def test_a_process_with_other_threads_writes_the_same_bytes(tmp_path: Path, clip: Path) -> None:
    code = (
        "import sys, torch; torch.set_num_threads(5)\n"
        "from curation.caption.scores_stage import ScoresStage; from schemas.refine import Scores\n"
        "from curation.core.stage import Shard; from curation.core.store import Store\n"
        "from schemas.captions import Score\n"
        "stage = ScoresStage.of(Scores(model=sys.argv[2])); store = Store(sys.argv[1])\n"
        "with stage.open() as work: print(store.write_table(Score, 'there', work(Shard('a', store))))\n"
    )
    store = _root(tmp_path)
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path), str(clip)], capture_output=True, text=True)
    with _opened(ScoresStage.of(Scores(model=str(clip))), store) as table:
        here = store.write_table(Score, "here", table)
    assert done.stdout.strip() == str(here), done.stderr


def test_a_shard_without_keepers_needs_no_tar(tmp_path: Path, clip: Path) -> None:
    store = Store(str(tmp_path))
    for kind in (SourceRow, ImageRow, Duplicate, CaptionCheck):
        store.write_table(kind, "a", table_of(kind, []))  # type: ignore[type-var]
    with _opened(ScoresStage.of(Scores(model=str(clip))), store) as table:
        assert table.num_rows == 0


def test_the_digest_follows_the_weights_and_not_their_place(tmp_path: Path, clip: Path) -> None:
    stage = ScoresStage.of(Scores(model=str(clip)))
    assert isinstance(stage, Stage)
    (tmp_path / "clip").symlink_to(clip)
    assert digest(ScoresStage.of(Scores(model=str(tmp_path / "clip"), workers=3, device="cpu"))) == digest(stage)
    # The lowest similarity is packing's business, and must not make a model look at every image again.
    assert digest(ScoresStage.of(Scores(model=str(clip), min_caption_similarity=0.2))) == digest(stage)
    other = make_tiny_clip(tmp_path / "other" / "clip", seed=1)
    assert digest(ScoresStage.of(Scores(model=str(other)))) != digest(stage)


def test_what_is_no_two_tower_checkpoint_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    cases = {
        str(tmp_path / "missing"): "is not there",
        str(tmp_path / "empty"): r"without config\.json",
        str(tmp_path / "broken"): "neither a checkpoint folder nor a model",
        str(tiny_captioner()): "one with a tower for images and one for text",
        "nobody/no-such-clip": "neither a checkpoint folder nor a model",
    }
    for model, message in cases.items():
        with pytest.raises(ModelError, match=message) as raised:
            check_model(Scores(model=model))
        assert "\n" not in str(raised.value)


def test_weights_that_are_missing_or_damaged_are_a_model_error(tmp_path: Path) -> None:
    folder = make_tiny_clip(tmp_path / "clip")
    (folder / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(ModelError, match="cannot be loaded"):
        SimilarityModel(str(folder))
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="no \\*\\.safetensors"):
        check_model(Scores(model=str(folder)))
