"""Renames a LLaVA checkpoint's weights to the names used on the hub.

transformers 5 reads both spellings and writes the newer one; vLLM 0.32 knows the older one only.
"""

from __future__ import annotations

import re
from pathlib import Path

from safetensors.torch import load_file, save_file

WEIGHTS = "model.safetensors"
_TOWER = re.compile(r"^((?:model\.)?vision_tower\.)(?!vision_model\.)")


def name_as_on_hub(folder: Path) -> None:
    """Rewrites the folder's weights if any has a newer name; values do not change."""
    path = folder / WEIGHTS
    weights = load_file(path)
    named = {_TOWER.sub(r"\1vision_model.", name): weight for name, weight in weights.items()}
    if named.keys() != weights.keys():
        save_file(named, path, metadata={"format": "pt"})
