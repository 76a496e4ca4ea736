"""Concept balance: 1,000,000 texts matched to a list of 500,000 entries and judged; processor seconds and memory.

python tests/bench/bench_balance.py [TEXTS [ENTRIES]]
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import pyarrow as pa

from curation.caption.entries import Entries
from curation.release.balance_reduce import keeping

SHARD = 10_000
WORDS = 200_000
MOST = 2_000


def words() -> list[str]:
    """Made words of 3 to 9 letters; the first are the most frequent."""
    rng = np.random.default_rng(0)
    letters = np.array(list("etaoinshrdlucmfwypvbgkjqxz"))
    drawn = letters[np.minimum(rng.geometric(0.12, (WORDS, 9)) - 1, 25)]
    lengths = rng.integers(3, 10, WORDS)
    return ["".join(row[:n]) for row, n in zip(drawn.tolist(), lengths.tolist(), strict=True)]


def drawn(rng: np.random.Generator, known: list[str], count: int, least: int, most: int) -> list[str]:
    """Texts of so many words; a word's frequency falls with its rank, as in language."""
    lengths = rng.integers(least, most + 1, count)
    ranks = np.minimum(rng.zipf(1.15, int(lengths.sum())) - 1, WORDS - 1).tolist()
    ends = np.cumsum(lengths).tolist()
    return [" ".join(known[r] for r in ranks[end - n : end]) for n, end in zip(lengths.tolist(), ends, strict=True)]


def main(texts: int = 1_000_000, entries: int = 500_000) -> None:
    known, rng = words(), np.random.default_rng(1)
    phrases = [f"{known[a]} {known[b]}" for a, b in rng.integers(0, WORDS, (entries - len(set(known)), 2)).tolist()]
    started = time.process_time()
    listed = Entries.of([*dict.fromkeys(known), *phrases])
    find = listed.matcher()
    built, matching = time.process_time() - started, 0.0
    counts, found = np.zeros(len(listed.names), np.int64), []
    for at in range(0, texts, SHARD):
        shard = pa.array(drawn(rng, known, min(SHARD, texts - at), 4, 18))
        started = time.process_time()
        found.append(find(shard))
        counts += np.bincount(found[-1][1], minlength=len(counts))
        matching += time.process_time() - started
    started, kept = time.process_time(), 0
    keeps = keeping(counts, listed.hashes(0), MOST)
    for number, matched in enumerate(found):
        ids = pa.array(
            [f"{(number * SHARD + n) * 0x9E3779B97F4A7C15 % 2**64:016x}" for n in range(len(matched[0]) - 1)]
        )
        kept += int(keeps(ids, matched).sum())
    judging = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    load = Path("/proc/loadavg").read_text().split()[0]
    print(f"balance texts={texts} entries={len(listed.names)} list={built:.1f}s matching={matching:.1f}s "
          f"judging={judging:.1f}s (processor) mentions={int(counts.sum())} above={int((counts > MOST).sum())} "
          f"kept={kept} peak={peak:.2f}GB load={load}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
