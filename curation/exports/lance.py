"""A Lance dataset for each split: columns in files of a format made for random access, read by the package lance.

The data files of a tar are written once and named by it; the version that lists them comes last. Lance stamps a version
with the time and a random name, so that the same release gives the same data files and rows, but not the same bytes in
``_versions`` and ``_transactions``.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from curation.core.errors import UsageError
from curation.exports.form import Done, Facts, Place, Settings, by_split
from curation.exports.release import ReleaseTar, Sample, in_groups

_STORAGE = "2.1"  # Lance's file format; the one that is current differs by Lance's version, and so would bytes
_COLUMNS: dict[str, pa.DataType] = {
    "sample_id": pa.string(),
    "image": pa.large_binary(),
    "caption": pa.string(),
    "caption_kind": pa.string(),
    "alt_text": pa.string(),
    "width": pa.int32(),
    "height": pa.int32(),
}
_SCHEMA = pa.schema(_COLUMNS)


@dataclass(frozen=True)
class Lance:
    """A Lance dataset for each split, with images inside (the package lance; LanceDB)"""

    name: ClassVar[str] = "lance"
    version: ClassVar[int] = 1
    uses: ClassVar[frozenset[str]] = frozenset()

    def shard(self, tar: ReleaseTar, samples: Iterable[Sample], place: Place, settings: Settings) -> Facts:
        """``<split>.lance/data/<tar>.00000.lance`` and so on."""
        rows = _Rows(samples)
        try:
            fragments = _lance().fragment.write_fragments(
                pa.RecordBatchReader.from_batches(_SCHEMA, rows.batches()),
                str(place.files / "begun.lance"),
                mode="create",
                data_storage_version=_STORAGE,
            )
        except OSError as error:
            raise rows.failure or error from None
        begun, folder = place.files / "begun.lance", place.files / f"{tar.split}.lance" / "data"
        folder.mkdir(parents=True)
        written: list[dict[str, Any]] = []
        for number, fragment in enumerate(fragments):
            told: dict[str, Any] = fragment.to_json()
            (file,) = told["files"]
            name = f"{tar.name}.{number:05d}.lance"
            (begun / "data" / file["path"]).rename(folder / name)
            file["path"] = name
            written.append(told)
        shutil.rmtree(begun, ignore_errors=True)
        return {"fragments": written}

    def finish(self, shards: Sequence[Done], place: Place, settings: Settings) -> None:
        """The version of each dataset that lists its data files."""
        lance = _lance()
        for split, of_split in by_split(shards).items():
            told = [fragment for shard in of_split for fragment in shard.facts["fragments"]]
            fragments = [lance.FragmentMetadata.from_json(json.dumps(fragment)) for fragment in told]
            lance.LanceDataset.commit(
                str(place.files / f"{split}.lance"), lance.LanceOperation.Overwrite(_SCHEMA, fragments)
            )


def _lance() -> Any:
    """The package. Raises ``UsageError`` where it is not installed."""
    if importlib.util.find_spec("lance") is None:
        raise UsageError(
            "the form 'lance' needs the package pylance, which is not installed; "
            "pip install 'lapidary-curation[lance]', or choose another form"
        )
    import lance.fragment

    return lance


class _Rows:
    """Samples as Lance asks for them. It tells of what they raise as text: ``failure`` is what it was."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._samples = samples
        self.failure: BaseException | None = None

    def batches(self) -> Iterator[pa.RecordBatch]:
        try:
            for group in in_groups(self._samples):
                yield pa.RecordBatch.from_pylist([_row(sample) for sample in group], _SCHEMA)
        except BaseException as failure:
            self.failure = failure
            raise


def _row(sample: Sample) -> dict[str, Any]:
    return {
        "sample_id": sample.sample_id,
        "image": sample.image,
        "caption": sample.caption,
        "caption_kind": sample.kind,
        "alt_text": sample.alt_text,
        "width": sample.width,
        "height": sample.height,
    }
