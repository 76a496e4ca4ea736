"""The mean of checkpoints, which are calibrated as those of the training are."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from curation.demo.training.mean import average, main
from curation.demo.training.verifier import SHIPPED, begin


def test_every_weight_is_the_mean_of_the_checkpoints() -> None:
    one, _ = begin(SHIPPED)
    two = copy.deepcopy(one)
    with torch.no_grad():
        for value in two.parameters():
            value += torch.randn_like(value)
    wanted = {n: (v + two.state_dict()[n]) / 2 for n, v in one.state_dict().items()}
    average([one, two], two)
    assert all(torch.allclose(v, wanted[n], atol=1e-6) for n, v in two.state_dict().items())


def test_checkpoints_of_other_shapes_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="differ in the names or shapes"):
        average([begin(SHIPPED)[0], begin(SHIPPED, layers=2)[0]], begin(SHIPPED)[0])
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(SystemExit):
        main([str(SHIPPED), "--out", str(tmp_path), "--corpus", str(tmp_path / "corpus")])
    assert "mine.txt" in capsys.readouterr().err
