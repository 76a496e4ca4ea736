"""An index of hashes on disk: it grows by appending, and look-ups do not read all of it.

    index = HashIndex(Path("runs/refined/index/phash"))
    index.add(hashes, ids)                       # appends a sorted run
    index.near(new_hashes, distance=4)           # which entries are within 4 bits of each hash
    index.compact()                              # merges the runs into one

A folder holds ``index.json`` = {"format": 1, "words": 1, "runs": [{"file", "rows"}, …]} and the runs that it
names (their format is in ``runs.py``). The first hashes added set ``words``, the number of
64-bit words of a hash. A run is written under a temporary name and renamed, then index.json is replaced. Only runs
that index.json names count: a killed writer leaves the index unchanged, and the next writer deletes its leftovers.
Equal (hash, id) pairs count once, so a killed writer may add the same pairs again. A look-up searches every run:
compact after some dozens of appends. A lock lets one writer in at a time; readers need not wait.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.core.cores import cores
from curation.core.errors import StoreError
from curation.dedupe.search.distinct import Hashes, fixed_array, words_of
from curation.dedupe.search.hamming import bits_between
from curation.dedupe.search.kernels import Words
from curation.dedupe.search.memory import available, refuse
from curation.dedupe.search.runs import ID_BYTES, Run, open_run, write_run
from schemas.arrays import Array, Values, strings, whole

_NEAR: dict[str, pa.DataType] = {"i": pa.uint32(), "id": pa.binary(ID_BYTES), "distance": pa.uint8()}
NEAR = pa.schema(_NEAR)
_FORMAT = 1
_FILE = "index.json"
_LOCK = "index.lock"
_TEMPORARY = ".tmp-"
_COMPACT_BYTES = 120  # per hash: the input, the output, and two orders
_FOUND_BYTES = 64


@dataclass(frozen=True)
class _Listed:
    """The content of index.json: the words of a hash, and the runs with their number of rows."""

    words: int
    runs: tuple[tuple[str, int], ...]

    def check(self, hashes: Words) -> None:
        if self.runs and hashes.shape[1] != self.words:
            raise ValueError(f"hashes of {hashes.shape[1] * 64} bits; the index has hashes of {self.words * 64}")


@dataclass(frozen=True)
class HashIndex:
    """Pairs of a hash and a 16-byte id in ``folder``, a local path that need not exist yet.

    Hashes are 64-bit words, or several words each, as for ``near_pairs``; all of one index are equally wide.
    """

    folder: Path

    def __len__(self) -> int:
        """Number of pairs; pairs that were added twice count twice until ``compact``."""
        return sum(rows for _, rows in self._listed().runs)

    @property
    def runs(self) -> int:
        """Number of runs."""
        return len(self._listed().runs)

    def add(self, hashes: Hashes, ids: Values) -> None:
        """Appends pairs as one run, all or none of them. Each id is 16 bytes, or 32 hex digits.

        Raises ``TypeError`` or ``ValueError`` for wrong types or for hashes of another width than those in the index,
        and ``StoreError`` for a full disk.
        """
        words, id_column = words_of(hashes), _ids(ids)
        if len(words) != len(id_column):
            raise ValueError(f"{len(words)} hashes and {len(id_column)} ids; give one id for each hash")
        if len(words) == 0:
            return
        with self._writing():
            listed = self._listed()
            listed.check(words)
            self._publish(_Listed(words.shape[1], (*listed.runs, self._write(words, id_column))))

    def compact(self, memory: int | None = None) -> None:
        """Merges all runs into one. Raises ``TooMuchMemory`` beyond ``memory`` bytes (default: half of the rest)."""
        with self._writing():
            listed = self._listed()
            if len(listed.runs) < 2:
                return
            total, allowed = sum(rows for _, rows in listed.runs), memory or available() // 2
            each = _COMPACT_BYTES * listed.words
            if total * each > allowed:
                refuse(f"merging {total:,} hashes", f"{each} bytes a hash", total * each, allowed)
            runs = self._open(listed)
            hashes = np.concatenate([run.hashes() for run in runs])
            written = self._write(hashes, pa.concat_arrays([run.ids for run in runs]))
            self._publish(_Listed(listed.words, (written,)))

    def near(self, hashes: Hashes, distance: int, *, memory: int | None = None, threads: int | None = None) -> pa.Table:
        """All entries of the index within ``distance`` (0 to 16) bits of each of ``hashes``, exactly.

        Columns: ``i`` (place in ``hashes``, uint32), ``id`` and ``distance`` (bits, uint8); sorted by i, distance, id.
        Raises ``TooMuchMemory`` when the answer would take more than ``memory`` bytes, ``ValueError`` for hashes
        of another width than those in the index, and ``StoreError`` for a damaged index.
        """
        queries, allowed = words_of(hashes), memory or available() // 2
        self._listed().check(queries)
        parts, found = [NEAR.empty_table()], 0
        for run in self._mapped():
            for query, row in run.near(queries, distance, threads or cores()):
                found += len(query)
                if found * _FOUND_BYTES > allowed:
                    reason = f"more than {found:,} pairs"
                    refuse(f"all pairs within {distance} bits of the index", reason, found * _FOUND_BYTES, allowed)
                apart = bits_between(queries[query], run.hashes(row))
                columns = [pa.array(query, pa.uint32()), run.ids.take(row), pa.array(apart)]
                parts.append(pa.table(columns, schema=NEAR))
        table = pa.concat_tables(parts).group_by(NEAR.names, use_threads=False).aggregate([])
        return table.sort_by([("i", "ascending"), ("distance", "ascending"), ("id", "ascending")]).cast(NEAR)

    def entries(self) -> pa.Table:
        """Reads the whole index: all pairs once, sorted by hash and id. Hashes of several words are binary."""
        words = self._listed().words
        kind = pa.uint64() if words == 1 else pa.binary(8 * words)
        schema = pa.schema([("hash", kind), ("id", pa.binary(ID_BYTES))])
        parts = [pa.table([_as_column(run.hashes()), run.ids], schema=schema) for run in self._mapped()]
        whole = pa.concat_tables([schema.empty_table(), *parts]).group_by(schema.names, use_threads=False).aggregate([])
        return whole.sort_by([("hash", "ascending"), ("id", "ascending")])

    def _mapped(self) -> list[Run]:
        try:
            return self._open(self._listed())
        except FileNotFoundError:  # merged since index.json was read
            pass
        try:
            return self._open(self._listed())
        except FileNotFoundError as error:
            raise StoreError(f"{self.folder / _FILE} names a run that is missing ({error}); build it anew") from error

    def _open(self, listed: _Listed) -> list[Run]:
        return [open_run(self.folder / file, listed.words) for file, _ in listed.runs]

    def _listed(self) -> _Listed:
        try:
            content = json.loads((self.folder / _FILE).read_text())
            if content["format"] != _FORMAT:
                found = content["format"]
                raise StoreError(f"{self.folder} is an index of format {found}, not {_FORMAT}; build it anew")
            return _Listed(content.get("words", 1), tuple((run["file"], run["rows"]) for run in content["runs"]))
        except FileNotFoundError:
            return _Listed(1, ())
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{self.folder / _FILE} is damaged ({error}); build the index anew") from error

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / _LOCK).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            listed = {file for file, _ in self._listed().runs}
            for path in self.folder.iterdir():
                if path.name.startswith(_TEMPORARY) or (path.suffix == ".arrow" and path.name not in listed):
                    path.unlink()
            yield

    def _write(self, hashes: Words, ids: Array) -> tuple[str, int]:
        name = f"run-{uuid.uuid4().hex[:16]}.arrow"
        temporary = self.folder / (_TEMPORARY + name)
        try:
            rows = write_run(temporary, hashes, ids)
            temporary.rename(self.folder / name)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise StoreError(f"cannot write {self.folder / name}: {error}; free space") from error
        return name, rows

    def _publish(self, listed: _Listed) -> None:
        before = {file for file, _ in self._listed().runs}
        runs = [{"file": file, "rows": rows} for file, rows in listed.runs]
        temporary = self.folder / (_TEMPORARY + _FILE)
        temporary.write_text(json.dumps({"format": _FORMAT, "words": listed.words, "runs": runs}, indent=1))
        temporary.rename(self.folder / _FILE)
        for file in before - {file for file, _ in listed.runs}:
            (self.folder / file).unlink(missing_ok=True)


def _as_column(hashes: Words) -> Array:
    return pa.array(hashes[:, 0]) if hashes.shape[1] == 1 else fixed_array(hashes)


def _ids(values: Values) -> Array:
    ids = whole(values)
    if ids.null_count:
        raise ValueError(f"{ids.null_count} of {len(ids)} ids are null")
    if ids.type == pa.binary(ID_BYTES):
        return ids
    if not (pa.types.is_string(ids.type) or pa.types.is_large_string(ids.type)):
        raise TypeError(f"ids are {ids.type}; expected {ID_BYTES} bytes, or {2 * ID_BYTES} hex digits, each")
    if not pc.all(pc.match_substring_regex(ids, f"^[0-9a-f]{{{2 * ID_BYTES}}}$")).as_py() and len(ids):
        raise ValueError(f"ids are not all {2 * ID_BYTES} lower-case hex digits")
    data = bytes.fromhex("".join(strings(ids)))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(ID_BYTES), len(ids), [None, pa.py_buffer(data)])
