"""Damages files of a root as disks and people do, and follows what a refusal says."""

from __future__ import annotations

import random
import re
import shlex
from collections.abc import Callable
from pathlib import Path

from curation.core.errors import LapidaryError
from flows.redo import main as redo

_DELETE = re.compile(r"delete (?P<file>/\S+?\.json)\b")
_REDO = re.compile(r"begin (?:python -m flows\.redo|lapidary redo) (?P<words>.+?) and run again")
HOW = ("truncated", "flipped", "emptied")


def damage(path: Path, how: str, chance: random.Random) -> None:
    """Cuts a file, flips one bit of eight of its bytes, or empties it."""
    data = bytearray(path.read_bytes())
    match how:
        case "truncated":
            del data[chance.randrange(len(data) // 4, len(data) - 1) :]
        case "flipped":
            for _ in range(8):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        case _:
            data.clear()
    path.write_bytes(bytes(data))


def mended(run: Callable[[], list[str]], most: int = 12) -> list[str]:
    """Runs until nothing is refused, each time doing what the refusal says; returns the refusals.

    ``run`` returns the errors of shards that failed, and raises ``LapidaryError`` for what ends it. Raises
    ``AssertionError`` for a refusal that names neither a file to delete nor a shard to do anew, and for more than
    ``most`` of them.
    """
    refusals: list[str] = []
    while True:
        try:
            failed = run()
        except LapidaryError as error:
            failed = [str(error)]
        if not failed:
            return refusals
        refusals += failed
        named = {Path(found["file"]) for text in failed if (found := _DELETE.search(text))}
        anew = {found["words"] for text in failed if (found := _REDO.search(text))}
        assert named or anew, f"no refusal says what to do: {failed}"
        for words in anew:
            assert redo(shlex.split(words)) == 0
        for file in named:
            file.unlink(missing_ok=True)
        assert len(refusals) <= most, refusals
