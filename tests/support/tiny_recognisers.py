"""Small recognisers of the two kinds that are loaded by name or folder, made here and knowing little."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import spacy
import torch
from gliner import GLiNER
from spacy.training import Example
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from curation.news.score import Labelled


def tiny_spacy(folder: Path, captions: Sequence[Labelled], steps: int = 60) -> Path:
    """A pipeline whose entity recogniser has learned these captions, and no others, almost by heart."""
    random.seed(0)
    spacy.util.fix_random_seed(0)
    pipeline = spacy.blank("en")
    learner = pipeline.add_pipe("ner")
    examples = []
    for item in captions:
        fields = {"entities": [(s.start, s.end, s.label) for s in item.entities]}
        examples.append(Example.from_dict(pipeline.make_doc(item.caption), fields))
        for span in item.entities:
            learner.add_label(span.label)  # type: ignore[attr-defined]
    optimizer = pipeline.initialize(lambda: examples)
    for _ in range(steps):
        random.shuffle(examples)
        pipeline.update(examples, sgd=optimizer)
    pipeline.to_disk(folder)
    return folder


def tiny_gliner(folder: Path) -> Path:
    """An untrained checkpoint in GLiNER's own form; what it finds is chance."""
    torch.manual_seed(0)
    special = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3}
    words = Tokenizer(WordLevel(special, unk_token="[UNK]"))
    words.pre_tokenizer = Whitespace()
    encoder = folder.with_name(f"{folder.name}-encoder")
    shape = BertConfig(
        vocab_size=len(special), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64
    )
    BertModel(shape).save_pretrained(encoder)
    PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(encoder)
    config = {
        "model_type": "gliner_uni_encoder_span", "model_name": str(encoder), "hidden_size": 32, "max_width": 6,
        "dropout": 0.0, "max_len": 128, "num_rnn_layers": 0,
    }  # fmt: skip
    GLiNER.from_config(config).save_pretrained(folder)
    return folder
