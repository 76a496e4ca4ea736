"""How a checkpoint's weights are loaded."""

from __future__ import annotations

import pytest
import torch

from curation.core.checkpoints import dtype_of


@pytest.mark.parametrize(("has", "found"), [(True, "auto"), (False, "float32")])
def test_weights_are_loaded_in_a_type_that_the_processor_computes(
    has: bool, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": has})
    assert dtype_of("auto", torch.device("cpu")) == found
    assert dtype_of("bfloat16", torch.device("cpu")) == "bfloat16"  # who asks for it gets it
    assert dtype_of("auto", torch.device("cuda")) == "auto"
