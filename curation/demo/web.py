"""The demo web: a real HTTP server on this machine with known pictures, texts and troubles.

with DemoWeb(seed=0, scenes=300) as web:
    web.write(folder)                       # part-*.parquet as LAION has it, truth.jsonl beside it
    ...                                     # refine it; allow web.host_port

python -m curation.demo.web --scenes 300 --write DIR
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import zlib
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from curation.demo.fates import TruthRow, truth_rows, write_truth
from curation.demo.files import Studio
from curation.demo.pages import pages
from curation.demo.serving import Server

LAST_PORT = 65535
TRUTH = "truth.jsonl"  # beside the list: what every row shows, and its expected fate
_COLUMNS: dict[str, pa.DataType] = {
    "URL": pa.string(),
    "TEXT": pa.string(),
    "WIDTH": pa.int32(),
    "HEIGHT": pa.int32(),
    "similarity": pa.float64(),
    "hash": pa.int64(),
    "punsafe": pa.float32(),
    "pwatermark": pa.float32(),
    "AESTHETIC_SCORE": pa.float64(),
}
SCHEMA = pa.schema(_COLUMNS)


class DemoWeb:
    """Serves while entered. The same seed, number of scenes and port give the same list and the same bytes.

    Troubles that happen once per URL (429 and 500, then fine) happen again after each start.
    """

    def __init__(
        self,
        seed: int,
        scenes: int,
        host: str = "127.0.0.1",
        port: int = 0,
        parts: int = 2,
        without: Iterable[str] = (),
    ) -> None:
        """At most one part a scene; the port 0 takes a free one.

        Raises ``ValueError`` for no scenes, no parts, an unknown trouble, or a number that is no port.
        """
        if scenes < 1 or parts < 1:
            raise ValueError(f"{scenes} scenes in {parts} parts: at least one of each is needed")
        if not 0 <= port <= LAST_PORT:
            raise ValueError(f"the port is {port}; a number from 1 to {LAST_PORT} was expected, or 0 for a free one")
        self.seed = seed
        self.pages = pages(seed, scenes, without)
        self.parts = min(parts, scenes)
        self.studio = Studio(seed)
        self._server = Server(self.pages, self.studio, host, port)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()

    @property
    def host_port(self) -> str:
        """The value for ``download.allow_private_hosts``."""
        return self._server.host_port

    @property
    def trapped(self) -> int:
        """Connections to the private address that redirects point at; a guarded fetcher leaves it at 0."""
        return self._server.trapped

    @property
    def hits(self) -> dict[str, int]:
        """Requests by path since the start."""
        return dict(self._server.hits)

    @cached_property
    def truth(self) -> list[TruthRow]:
        """What every row of the list shows, and its expected fate; makes every picture once."""
        return truth_rows(self.seed, self.pages, self._urls(), self._files(), self.studio)

    def write(self, folder: Path) -> list[Path]:
        """Writes the list's parts and ``truth.jsonl``; returns the parts."""
        folder.mkdir(parents=True, exist_ok=True)
        table = self._table()
        written = []
        for part, (start, end) in enumerate(pairwise(self._bounds())):
            path = folder / _part(part)
            pq.write_table(table.slice(start, end - start), path)
            written.append(path)
        write_truth(folder / TRUTH, self.truth)
        return written

    def _urls(self) -> list[str]:
        base = f"http://{self.host_port}"
        return [base + p.path if p.path.startswith("/") else p.path for p in self.pages]

    def _files(self) -> list[tuple[str, int]]:
        bounds = enumerate(pairwise(self._bounds()))
        return [(_part(part), row) for part, (start, end) in bounds for row in range(end - start)]

    def _bounds(self) -> list[int]:
        return [len(self.pages) * part // self.parts for part in range(self.parts + 1)]

    def _table(self) -> pa.Table:
        urls = self._urls()
        columns: list[Sequence[object]] = [
            [u or None for u in urls],
            [p.alt_text for p in self.pages],
            [p.width for p in self.pages],
            [p.height for p in self.pages],
            [p.similarity for p in self.pages],
            [zlib.crc32((u + p.alt_text).encode()) for u, p in zip(urls, self.pages, strict=True)],
            [p.punsafe for p in self.pages],
            [p.pwatermark for p in self.pages],
            [p.aesthetic for p in self.pages],
        ]
        return pa.table([pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)


def _part(number: int) -> str:
    return f"part-{number:05d}.parquet"


def main(arguments: list[str] | None = None) -> int:
    """Serves until it is interrupted."""
    parser = argparse.ArgumentParser(prog="python -m curation.demo.web", description=__doc__.split("\n\n")[0])
    parser.add_argument("--scenes", type=int, default=300, help="number of different pictures (default 300)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the world (default 0)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one")
    parser.add_argument("--parts", type=int, default=2, help="number of Parquet files (default 2)")
    parser.add_argument("--write", type=Path, metavar="DIR", help="folder for the list and truth.jsonl")
    parser.add_argument(
        "--without", action="append", default=[], metavar="TROUBLE", help="leave out this trouble; may be repeated"
    )
    options = parser.parse_args(arguments)
    stopped = threading.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: stopped.set())
    try:
        web = DemoWeb(options.seed, options.scenes, "127.0.0.1", options.port, options.parts, options.without)
    except ValueError as error:
        parser.error(str(error))
    try:
        with web:
            if options.write:
                web.write(options.write)
            sys.stdout.write(f"http://{web.host_port}\n")
            sys.stdout.flush()
            stopped.wait()
    except OSError as error:
        sys.stderr.write(f"cannot serve or write: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
