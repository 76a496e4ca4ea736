"""Captions a second of the features stage against a bare loop over transformers: tokenise, forward, keep valid tokens.

Both sides have the same checkpoint (a T5 whose weights are made up, or ``--model``), the same captions and as many
threads, and run in turn. The bare loop sorts captions by length and throws its states away; the stage hashes captions,
writes the states and reads them back for their sha256. Loading the model is left out on both sides. On the CPU,
seconds are CPU seconds, so that neighbours on the machine do not count.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import pyarrow as pa
import torch
from transformers import AutoTokenizer, T5Config, T5EncoderModel

from curation.core.stage import Shard
from curation.core.store import Store
from curation.features.encoder import TextEncoder, identify
from curation.features.encoding import ShardEncoder
from schemas.arrow import columns, table_of
from schemas.features import Features
from schemas.records import Placement
from tests.support.clean_captions import clean_captions
from tests.support.tiny_encoders import tiny_t5

SHARD = "train-000000"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="", help="name or folder of a checkpoint; a T5 is made by default")
    parser.add_argument("--width", type=int, default=256, help="of the T5 that is made")
    parser.add_argument("--layers", type=int, default=6, help="of the T5 that is made")
    parser.add_argument("--captions", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=32, help="captions of a batch of the bare loop")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--dtype", default="float32", choices=["auto", "float32", "bfloat16", "float16"])
    options = parser.parse_args()
    captions = list(dict.fromkeys(text for text, _, _ in clean_captions(options.captions)))
    with tempfile.TemporaryDirectory() as folder:
        model = options.model or _made(Path(folder) / "t5", options.width, options.layers)
        recipe = Features.model_validate({"model": model, "dtype": options.dtype, "device": options.device})
        encoder = TextEncoder(recipe, identify(recipe), options.threads)
        clock = time.process_time if encoder._device.type == "cpu" else time.perf_counter
        store = Store(str(Path(folder) / "root"))
        rows = _placed(captions)
        store.write_table(Placement, SHARD, rows)
        ours: list[float] = []
        theirs: list[float] = []
        for index in range(options.rounds + 1):
            theirs.append(_timed(clock, lambda: _bare(encoder, model, captions, options.batch)))
            ours.append(_timed(clock, lambda: _stage(encoder, recipe, store)))
            if index == 0:  # warms up both
                ours, theirs = [], []
        stored = Path(store.path(f"release/features/{SHARD}.safetensors")).stat().st_size
    rate = len(captions)
    print(
        f"features ratio={statistics.median(theirs) / statistics.median(ours):.2f} "
        f"ours={rate / statistics.median(ours):.1f}/s theirs={rate / statistics.median(theirs):.1f}/s "
        f"(width {encoder.encoder.width}, {stored / rate / 1024:.0f} KiB a caption, {options.threads} threads)"
    )


def _timed(clock: Callable[[], float], work: Callable[[], object]) -> float:
    started = clock()
    work()
    return clock() - started


def _made(folder: Path, width: int, layers: int) -> str:
    tokenizer = AutoTokenizer.from_pretrained(tiny_t5())
    torch.manual_seed(0)
    sizes = {"d_model": width, "d_kv": width // 8, "d_ff": width * 4, "num_heads": 8}
    config = T5Config(vocab_size=len(tokenizer), num_layers=layers, pad_token_id=0, **sizes)
    T5EncoderModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def _bare(encoder: TextEncoder, name: str, captions: Sequence[str], batch: int) -> list[torch.Tensor]:
    tokenizer: Any = AutoTokenizer.from_pretrained(name)
    model, device = encoder._model, encoder._device
    found: list[torch.Tensor] = []
    ordered = sorted(captions, key=len, reverse=True)
    with torch.inference_mode():
        for start in range(0, len(ordered), batch):
            texts = ordered[start : start + batch]
            inputs = tokenizer(texts, padding=True, truncation=True, max_length=256, return_tensors="pt").to(device)
            states = model(**inputs).last_hidden_state.half().cpu()
            lengths = inputs["attention_mask"].sum(dim=1).tolist()
            found = [row[:length].clone() for row, length in zip(states, lengths, strict=True)]
    return found


def _stage(encoder: TextEncoder, recipe: Features, store: Store) -> None:
    work = ShardEncoder(encoder, (), recipe.batch_tokens, "a digest")
    work(Shard(SHARD, store, reads={store.table_file(Placement.table, SHARD): "a sum"}))


def _placed(captions: Sequence[str]) -> Any:
    """Placements of which only ids and captions matter."""
    blank: dict[str, Any] = {
        c.name: None if c.nullable else 0 if pa.types.is_integer(c.arrow) else "" for c in columns(Placement)
    }
    blank |= {"captions": "{}", "annotations": "{}", "caption_kind": "dense", "shard": SHARD, "split": "train"}
    return table_of(
        Placement,
        [Placement(**(blank | {"sample_id": f"{n:032x}", "caption": text})) for n, text in enumerate(captions)],
    )


if __name__ == "__main__":
    main()
