"""Choose tokens in process: sampling with each row's own randomness, JSON that follows a schema, yes or no.

The constraint on JSON is llguidance's, the library behind the structured output of several model servers: it
compiles a JSON Schema in milliseconds and needs no table of the whole vocabulary.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from typing import Any

import llguidance
import llguidance.hf
import numpy as np
import torch
from pydantic import BaseModel
from transformers import LogitsProcessor

from curation.caption.model.chat import Sampling, reply_schema
from curation.caption.model.yes_no import meaning

# Enough to write JSON on one line or indented; no more, since a weak model may write blanks until its limit.
_WHITESPACE = r"(\n[ ]{0,4}|[ ])?"

_MAY_SAY = re.compile("yes|no|true|false", re.I)

log = logging.getLogger(__name__)


class SampleByRow(LogitsProcessor):  # type: ignore[misc]  # transformers is untyped here
    """Turn greedy search into sampling, with each row's own randomness, so that no draw depends on its batch.

    The Gumbel-max trick: the argmax of logits plus Gumbel noise is a sample of their softmax.
    """

    def __init__(self, sampling: Sampling, seeds: Sequence[int]) -> None:
        self._sampling = sampling
        self._generators = [torch.Generator().manual_seed(s) for s in seeds]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        scores = scores.float() / self._sampling.temperature
        if self._sampling.top_p < 1:
            ordered, places = scores.softmax(-1).sort(descending=True)
            outside = ordered.cumsum(-1) - ordered > self._sampling.top_p
            scores = scores.masked_fill(outside.scatter(1, places, outside), -torch.inf)
        noise = torch.stack([torch.rand(scores.shape[1], generator=g, dtype=torch.float64) for g in self._generators])
        gumbel = -torch.log(-torch.log(noise.clamp_(1e-300, 1 - 1e-16)))
        return scores + gumbel.to(scores.device, scores.dtype)


class Listen(LogitsProcessor):  # type: ignore[misc]
    """Remember how probable yes was beside no, at every step and in every row. Changes nothing."""

    def __init__(self, yes: Sequence[int], no: Sequence[int]) -> None:
        self._yes, self._no = list(yes), list(no)
        self._shares: list[list[float]] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if self._yes and self._no:
            sums = [scores[:, ids].double().logsumexp(dim=1) for ids in (self._yes, self._no)]
            self._shares.append((sums[0] - sums[1]).sigmoid().tolist())
        return scores

    def probability(self, row: int, tokens: Sequence[int]) -> float | None:
        """The share of yes where the last of these tokens that says yes or no stands; None where none does."""
        answers = {*self._yes, *self._no}
        places = [i for i, token in enumerate(tokens) if token in answers]
        return self._shares[places[-1]][row] if places and self._shares else None


class YesNo:
    """Which tokens of a tokenizer say yes and which say no."""

    def __init__(self, tokenizer: Any) -> None:
        said = {
            i: meaning(tokenizer.decode([i])) for token, i in tokenizer.get_vocab().items() if _MAY_SAY.search(token)
        }
        self._ids = {answer: sorted(i for i, found in said.items() if found is answer) for answer in (True, False)}

    def listen(self) -> Listen:
        """A processor that changes nothing and remembers, for each step, each row's share of yes."""
        return Listen(self._ids[True], self._ids[False])


class FollowSchema(LogitsProcessor):  # type: ignore[misc]
    """Allow only tokens that continue a row's JSON by its schema; rows without a matcher are free."""

    def __init__(self, matchers: Sequence[llguidance.LLMatcher | None], ends: Sequence[int]) -> None:
        self._matchers = list(matchers)
        self._ends = list(ends)
        self._begun = False

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        last = input_ids[:, -1].tolist()
        forbidden = torch.zeros(scores.shape, dtype=torch.bool)
        for row, matcher in enumerate(self._matchers):
            if matcher is None or matcher.is_error():  # of an error, the check of the whole reply says what came of it
                continue
            if self._begun and not matcher.is_stopped():
                matcher.consume_token(last[row])
            if not matcher.is_error():
                forbidden[row] = self._forbidden(matcher, scores.shape[1])
        self._begun = True
        return scores.masked_fill(forbidden.to(scores.device), -torch.inf)

    def _forbidden(self, matcher: llguidance.LLMatcher, vocabulary: int) -> torch.Tensor:
        forbidden = np.ones(vocabulary, dtype=bool)
        if matcher.is_stopped():
            forbidden[self._ends] = False
        else:
            allowed = np.unpackbits(np.frombuffer(matcher.compute_bitmask(), np.uint8), bitorder="little")[:vocabulary]
            forbidden[: len(allowed)] = allowed == 0
        return torch.from_numpy(forbidden)


class Guide:
    """Makes the matchers of one tokenizer. A reply that cannot be guided is free, and is checked afterwards."""

    def __init__(self, tokenizer: Any, vocabulary: int, ends: Sequence[int]) -> None:
        self._ends = list(ends)
        self._grammars: dict[type[BaseModel], str] = {}
        self._tokenizer: llguidance.LLTokenizer | None = None
        try:
            size = max(vocabulary, len(tokenizer))
            self._tokenizer = llguidance.hf.from_tokenizer(tokenizer, n_vocab=size, eos_token=self._ends)
        except Exception as error:  # a tokenizer without a fast form, or of a kind that llguidance does not know
            log.warning("replies of this checkpoint are not guided to JSON: %s", " ".join(str(error).split())[:200])

    def processors(self, reply_types: Sequence[type[BaseModel] | None]) -> list[FollowSchema]:
        """The processor that guides rows to these replies; none where no row is guided."""
        matchers = [self._matcher(kind) for kind in reply_types]
        return [FollowSchema(matchers, self._ends)] if any(m is not None for m in matchers) else []

    def _matcher(self, reply_type: type[BaseModel] | None) -> llguidance.LLMatcher | None:
        if reply_type is None or self._tokenizer is None:
            return None
        if reply_type not in self._grammars:
            self._grammars[reply_type] = llguidance.LLMatcher.grammar_from_json_schema(
                json.dumps(reply_schema(reply_type)),
                overrides={"whitespace_flexible": True, "whitespace_pattern": _WHITESPACE},
            )
        matcher = llguidance.LLMatcher(self._tokenizer, self._grammars[reply_type], log_level=0)
        if matcher.is_error():
            log.warning("%s cannot be guided: %s", reply_type.__name__, matcher.get_error()[:200])
            return None
        return matcher
