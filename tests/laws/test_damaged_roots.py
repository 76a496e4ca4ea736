"""A file of a root that a disk or a person has damaged does no harm, or is refused with what to do about it.

``make chaos`` damages more files, in more ways.
"""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from curation.core.store import Store
from tests.laws.conftest import Site
from tests.support.damage import HOW, damage, mended
from tests.support.runs import RESULT, counted, refine
from tests.support.toy import fingerprint

# Files that a run reads again when captions and what follows from them are to be made anew.
READ = (
    *("tables/rows/*.parquet", "tables/images/*.parquet", "tables/duplicates/*.parquet", "tables/repeats/*.parquet"),
    *("images/*.tar", "replies/*.jsonl", "manifest/rows/*.json", "manifest/images/*.json"),
    *("manifest/duplicates/*.json", "index/**/*.*"),
)
QUICK = (
    ("tables/images/*.parquet", "flipped"),
    ("images/*.tar", "flipped"),
    ("replies/*.jsonl", "flipped"),
)
SEEDS = 4  # of each case, in the long form


def _cases(config: pytest.Config) -> list[tuple[str, str, int]]:
    if not config.getoption("--chaos", default=False):
        return [(where, how, 0) for where, how in QUICK]
    return [(where, how, seed) for where in READ for how in HOW for seed in range(SEEDS)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", _cases(metafunc.config), ids=lambda c: "-".join(map(str, c)))


def begun_again(undisturbed: Path, root: Path) -> Path:
    """A copy of a finished root whose captions, and all that follows from them, are to be made anew."""
    shutil.copytree(undisturbed, root)
    for table in ("captions", "caption_checks", "scores", "placements", "released", "release"):
        shutil.rmtree(root / "manifest" / table, ignore_errors=True)
        shutil.rmtree(root / "tables" / table, ignore_errors=True)
    shutil.rmtree(root / "release")
    return root


def test_damage_is_refused_or_does_no_harm(
    case: tuple[str, str, int], site: Site, undisturbed: Path, tmp_path: Path
) -> None:
    where, how, seed = case
    chance = random.Random(f"{where} {how} {seed}")
    root = begun_again(undisturbed, tmp_path / "root")
    files = sorted(p for p in root.glob(where) if p.is_file() and p.stat().st_size > 8)
    damage(chance.choice(files), how, chance)

    def run() -> list[str]:
        return [o.error for o in refine(str(root), site.source, site.settings) if o.status == "failed"]

    mended(run)
    assert fingerprint(Store(str(root)), *RESULT) == fingerprint(Store(str(undisturbed)), *RESULT)
    counted(str(root))
