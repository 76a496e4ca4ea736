"""A run that finds nothing to do: what it reads does not grow with the tables."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from curation.core.store import Store
from curation.counts import COUNTS, counts_of
from flows.refine_laion import main
from tests.support.web_size import make_root

_opened: list[str] = []
sys.addaudithook(lambda event, args: _opened.append(str(args[0])) if event == "open" else None)


@pytest.mark.slow
def test_a_run_with_nothing_to_do_reads_no_table_and_no_part_of_the_release(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, source = tmp_path / "root", tmp_path / "source"
    make_root(root, source, 3, tables_too=False)  # of whose three shards two have files in the manifest alone
    _opened.clear()
    assert main(["--source", str(source), "--root", str(root), "--engine", "local"]) == 0
    assert "train: 3 samples in 3 shards" in capsys.readouterr().out
    read = {Path(name).relative_to(root) for name in _opened if name.startswith(f"{root}/")}
    assert not [p for p in read if p.parts[0] in ("tables", "images") or p.suffix == ".tar"]
    # What was kept is of these tables only: without it everything is counted anew, and here there is nothing to count.
    store = Store(str(root))
    kept = json.loads(store.read(COUNTS))
    assert counts_of(store).conservation.source == 3
    store.write(COUNTS, json.dumps(kept | {"state": "of other tables"}).encode())
    assert counts_of(store).conservation.source == 1
