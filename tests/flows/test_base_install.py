"""What a base installation is told to do adds the rest to it, whether it came from a clone or from an index."""

from __future__ import annotations

import importlib
import shlex
import subprocess
import sys
from types import ModuleType

import pytest

from flows import cli


@pytest.mark.parametrize("name", ["refine", "anchor"])
def test_the_command_that_adds_what_is_missing_takes_the_installed_base(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(module: str) -> ModuleType:
        raise ModuleNotFoundError(f"No module named 'prefect' (for {module})", name="prefect")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(SystemExit) as ended:
        cli.main([name])
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2 and line.startswith(f"lapidary {name} needs prefect")
    pip, *words = shlex.split(line.rpartition(": ")[2])
    # No index is asked for the name: the first release need not be there.
    done = subprocess.run(
        [sys.executable, "-m", pip, *words, "--dry-run", "--no-index", "--no-deps"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
