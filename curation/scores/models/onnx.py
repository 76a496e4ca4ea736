"""ONNX models on one thread of the processor, or on a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from curation.core.errors import ModelError
from schemas.score_models import Device

_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


def providers(key: str, device: Device) -> list[str]:
    """What onnxruntime is to run a model on. Raises ``ModelError`` naming the recipe's ``key`` where it cannot."""
    import onnxruntime

    there = onnxruntime.get_available_providers()
    if device == "cuda" and _CUDA not in there:
        raise ModelError(
            f'{key} is "cuda", but onnxruntime offers {", ".join(there)}; install onnxruntime-gpu in its place, or '
            'set the key to "auto" or "cpu"'
        )
    return [_CUDA, _CPU] if device != "cpu" and _CUDA in there else [_CPU]


def session(path: Path, chosen: list[str]) -> Any:
    """A loaded model. One thread, as a worker has one core, and sums are added in one order. Threads may share it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), sess_options=options, providers=chosen)
