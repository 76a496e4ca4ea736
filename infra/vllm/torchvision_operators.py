"""Lets torchvision be imported where its compiled operators cannot be loaded, as on a machine without CUDA.

torchvision describes ``nms`` and ``qnms`` to torch as it is imported, and fails where they do not exist.
A file with the ending .pth in site-packages imports this module at each start of the interpreter; the two
schemas are defined just before torchvision is imported, so that other programs do not pay for torch.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_kept: list[object] = []  # a library's definitions live as long as it does


class _BeforeTorchvision(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == "torchvision":
            sys.meta_path.remove(self)
            import torch

            library = torch.library.Library("torchvision", "DEF")
            for schema in _SCHEMAS:
                library.define(schema)
            _kept.append(library)
        return None


sys.meta_path.insert(0, _BeforeTorchvision())
