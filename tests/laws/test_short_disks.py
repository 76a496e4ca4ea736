"""A disk that fills up, and a clock that is set back, in mid-run."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

import pytest

from curation.core.store import Store
from tests.laws.conftest import Site
from tests.support.processes import run
from tests.support.runs import RESULT, command, counted, refine
from tests.support.toy import fingerprint

# No file may grow beyond so many bytes, as on a disk or a quota that is full for whatever is larger.
_LIMITED = (
    "import resource, runpy, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2); sys.argv = sys.argv[2:]; "
    "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)


def _limits(config: pytest.Config) -> list[int]:
    chance = random.Random(3)
    return (
        [chance.randrange(20_000, 200_000) for _ in range(10)]
        if config.getoption("--chaos", default=False)
        else [60_000]
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "limit" in metafunc.fixturenames:
        metafunc.parametrize("limit", _limits(metafunc.config))


def test_a_run_on_a_full_disk_is_refused_and_goes_on_where_there_is_room(
    limit: int, site: Site, undisturbed: Path, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    words = command(root, "local", site.source, site.settings)
    full = run([sys.executable, "-c", _LIMITED, str(limit), *words[2:]], tmp_path)
    assert full.returncode != 0
    assert "free space" in full.stderr or "File too large" in full.stderr, full.stderr[-2000:]
    done = run(words, tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert fingerprint(Store(str(root)), *RESULT) == fingerprint(Store(str(undisturbed)), *RESULT)
    assert not list(root.rglob(".tmp-*"))
    counted(str(root))


def test_a_clock_that_is_set_back_changes_nothing(
    site: Site, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, known = 0, time.time

    def set_back() -> float:
        nonlocal calls
        calls += 1
        return known() - (90_000.0 if calls > 3 else 0.0)

    monkeypatch.setattr(time, "time", set_back)
    refine(str(tmp_path / "root"), site.source, site.settings)
    assert calls > 3, "the clock was never set back"
    assert fingerprint(Store(str(tmp_path / "root")), *RESULT) == fingerprint(Store(str(undisturbed)), *RESULT)
