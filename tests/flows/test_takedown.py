"""A takedown as a flow: what a deployment stores of it is plain data."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest

from curation.core.errors import UsageError
from flows.takedown import parser, take_down
from flows.takedown_flow import takedown


def test_the_flow_takes_what_the_command_takes(tmp_path: Path) -> None:
    stored = {"root": str(tmp_path / "root"), "urls": ["http://x.example/1.jpg"], "reason": "r", "yes": True}
    assert takedown.validate_parameters(json.loads(json.dumps(stored)))["urls"] == stored["urls"]
    options = set(vars(parser().parse_args(["root"])))
    assert options <= set(takedown.parameters.properties)
    assert inspect.signature(takedown.fn) == inspect.signature(take_down, eval_str=True)


def test_a_takedown_of_nothing_makes_no_root(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no root"):
        take_down(str(tmp_path / "root"), reason="r", urls=["http://x.example/1.jpg"])
    assert not (tmp_path / "root").exists()
