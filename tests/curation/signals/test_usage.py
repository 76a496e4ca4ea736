"""AIPREF preferences and content signals: what each value says of training."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.signals.usage import content_signal_verdict, usage_verdict
from schemas.signals import SignalVerdict


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (b"train-ai=n", "forbids"),
        (b"train-ai=y", "allows"),
        (b"train-ai=y, search=n", "allows"),
        (b"search=y,train-ai=n", "forbids"),
        (b"train-ai=n, train-ai=y", "allows"),  # the last key wins (RFC 9651, 3.2)
        (b"train-ai=y, train-ai=n", "forbids"),
        (b"train-ai=n;note=1", "forbids"),
        (b"search=y", "notice"),
        (b"train-ai=N", "unknown"),  # tokens are case-sensitive
        (b"TRAIN-AI=n", "unknown"),  # so are keys; this is no dictionary
        (b"train-ai", "unknown"),
        (b'train-ai="n"', "unknown"),
        (b"train-ai=?0", "unknown"),
        (b"train-ai=(n)", "unknown"),
        (b"train-ai=n,", "unknown"),
        (b"train-ai=n search=y", "unknown"),
        (b"", "unknown"),
        (b"\xff", "unknown"),
        (b"train-ai=n, " + b"a=1, " * 2000, "unknown"),
    ],
)
def test_content_usage(value: bytes, verdict: str) -> None:
    assert usage_verdict(value) == verdict


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        ("search=yes,ai-train=no", "forbids"),
        ("ai-train=no", "forbids"),
        ("AI-Train = No , search = yes", "forbids"),
        ("search=yes, ai-input=yes, ai-train=yes", "allows"),
        ("ai-train=yes, ai-train=no", "forbids"),
        ("search=yes", "notice"),
        ("ai-input=no", "notice"),
        ("search=yes, use=reference", "constrained"),
        ("use=immediate", "constrained"),
        ("use=full", "notice"),
        ("use=full, ai-train=no", "forbids"),
        ("ai-train=maybe", "unknown"),
        ("ai-train", "unknown"),
        ("", "unknown"),
    ],
)
def test_content_signal(value: str, verdict: str) -> None:
    assert content_signal_verdict(value) == verdict


@given(st.binary(max_size=200))
def test_any_value_gets_a_verdict(value: bytes) -> None:
    assert usage_verdict(value) in SignalVerdict
    assert content_signal_verdict(value.decode("latin-1")) in SignalVerdict


@given(st.text(alphabet='trainsech-=,yn;?01 "()*', max_size=40))
def test_values_near_the_grammar_get_a_verdict(value: str) -> None:
    assert usage_verdict(value.encode()) in SignalVerdict
    assert usage_verdict(b"train-ai=n") == "forbids"
