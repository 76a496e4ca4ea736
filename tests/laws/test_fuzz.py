"""Whatever bytes come: pictures, lists, tars, headers and replies are read or refused, and nothing else happens.

``make chaos`` tries many more. What was found stands in ``tests/data/fuzz``, one file an example, and is tried always.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from curation.caption.model.json_reply import NotReadableError, read_json
from curation.caption.model.ledger import Ledger
from curation.core.errors import LapidaryError
from curation.core.store import Store
from curation.images.facts import PixelsRejected
from curation.images.pixels import prepare
from curation.signals.embedded import image_signs
from curation.signals.headers import header_signs
from curation.sources.discover import open_source
from schemas.recipe import Download
from tests.support.images import encoded, natural, smooth
from tests.support.sources import write_tar

CORPUS = Path(__file__).resolve().parents[1] / "data" / "fuzz"
LIMITS = Download(max_pixels=1_000_000)
Edits = list[tuple[float, int]]


class Reply(BaseModel):
    caption: str
    people: int


@cache
def originals() -> dict[str, list[bytes]]:
    """What is damaged: real files of each kind, small."""
    pictures = [encoded(natural(48, 32), kind) for kind in ("jpeg", "png", "webp", "gif", "bmp", "tiff")]
    table = pa.table(
        {"url": [f"http://x.example/{n}.jpg" for n in range(20)], "text": [f"text {n}" for n in range(20)]}
    )
    parquet = io.BytesIO()
    pq.write_table(table, parquet)
    return {
        "picture": [*pictures, encoded(smooth(40, 40), "jpeg", progressive=True)],
        "parquet": [parquet.getvalue()],
        "header": [
            b"noai, noindex",
            b"train-ai=n",
            b'<http://x.example/l>; rel="license"',
            b"unavailable_after: 25 Jun",
        ],
        "reply": [
            b'{"caption": "a red ball", "people": 2}',
            b'<think>so</think>```json\n{"caption": "x", "people": 0}```',
        ],
        "tsv": [b"url\ttext\nhttp://x.example/1.jpg\ta text\nhttp://x.example/2.jpg\tanother\n"],
    }


def tar(folder: Path) -> bytes:
    members = [("a.jpg", originals()["picture"][0]), ("a.txt", b"a text"), ("b.png", originals()["picture"][1])]
    return write_tar(folder / "whole.tar", [*members, ("b.json", b'{"caption": "b"}')]).read_bytes()


def mutated(data: bytes, edits: Edits, cut: float) -> bytes:
    """Some bytes changed, and the end cut off; ``edits`` are places from 0 to 1 with the new byte."""
    made = bytearray(data)
    for place, byte in edits:
        made[int(place * (len(made) - 1))] = byte
    return bytes(made[: max(1, int(cut * len(made)))])


def reads_picture(data: bytes, folder: Path) -> None:
    with contextlib.suppress(PixelsRejected):
        prepare(data, LIMITS)
    assert all(sign.verbatim is not None for sign in image_signs(data))


def reads_list(name: str) -> Callable[[bytes, Path], None]:
    def read(data: bytes, folder: Path) -> None:
        file = folder / name
        file.write_bytes(data)
        try:
            rows = sum(table.num_rows for found in open_source([str(file)]).files for table in found.read())
        except LapidaryError as error:
            assert str(error)
        else:
            assert rows < 10_000

    return read


def reads_header(data: bytes, folder: Path) -> None:
    for name in (b"X-Robots-Tag", b"Content-Usage", b"Content-Signal", b"Link", b"TDM-Reservation"):
        header_signs([(name, data)], ["CCBot"])


def reads_reply(data: bytes, folder: Path) -> None:
    text = data.decode("utf-8", "replace")
    try:
        assert Reply.model_validate_json(read_json(text, Reply))
    except NotReadableError as error:
        assert str(error)
    journal = folder / "replies" / "s.jsonl"
    journal.parent.mkdir(exist_ok=True)
    journal.write_bytes(json.dumps([{"key": "k", "text": text}]).encode()[: len(data)] + b"\n" + data)
    with Ledger(Store(str(folder)), "s") as ledger:
        assert ledger.get("k") is None


READERS: dict[str, Callable[[bytes, Path], None]] = {
    "picture": reads_picture,
    "parquet": reads_list("list.parquet"),
    "tsv": reads_list("list.tsv"),
    "tar": reads_list("shard.tar"),
    "header": reads_header,
    "reply": reads_reply,
}


@pytest.mark.parametrize("kind", READERS)
def test_damaged_bytes_are_read_or_refused(
    kind: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> None:
    folder = tmp_path_factory.mktemp(kind)
    whole = [tar(folder)] if kind == "tar" else originals()[kind]
    (folder / "one").mkdir()
    long = request.config.getoption("--chaos", default=False)

    @settings(
        max_examples=2000 if long else 60,
        deadline=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        derandomize=not long,
        database=None,
    )
    @given(
        st.sampled_from(range(len(whole))),
        st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=12),
        st.floats(0.02, 1) | st.just(1.0),
    )
    def fuzz(number: int, edits: Edits, cut: float) -> None:
        READERS[kind](mutated(whole[number], edits, cut), folder / "one")

    fuzz()


@pytest.mark.parametrize("file", sorted(CORPUS.glob("*/*")), ids=lambda p: f"{p.parent.name}/{p.name}")
def test_what_was_found_once_is_read_or_refused(file: Path, tmp_path: Path) -> None:
    READERS[file.parent.name](file.read_bytes(), tmp_path)
