"""tdmrep.json: which rule holds for a path, and files that are none."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.signals.tdmrep import parse_tdmrep
from schemas.signals import SignalVerdict


def said(rules: object, path: str = "/img/a.jpg") -> list[str]:
    return [s.verdict.value for s in parse_tdmrep(json.dumps(rules).encode()).signs(path)]


@pytest.mark.parametrize(
    ("rules", "verdicts"),
    [
        ([{"location": "/", "tdm-reservation": 1}], ["forbids"]),
        ([{"location": "/", "tdm-reservation": 1, "tdm-policy": "https://h/p.json"}], ["forbids"]),
        ([{"location": "/", "tdm-reservation": 0}], ["allows"]),
        ([{"location": "/", "tdm-reservation": "1"}], ["forbids"]),
        ([{"location": "/text/", "tdm-reservation": 1}], []),
        ([{"location": "/*.jpg$", "tdm-reservation": 1}], ["forbids"]),
        ([{"location": "/", "tdm-reservation": 1}, {"location": "/img/", "tdm-reservation": 0}], ["allows"]),
        ([{"location": "/img/", "tdm-reservation": 0}, {"location": "/img/", "tdm-reservation": 1}], ["forbids"]),
        ([{"location": "/", "tdm-policy": "https://h/p.json"}], ["licence"]),
        ([{"location": "/", "tdm-reservation": True}], ["unknown"]),
        ([{"location": "/", "tdm-reservation": 2}], ["unknown"]),
        ([{"location": "/"}], ["unknown"]),
        ([{"tdm-reservation": 1}], ["unknown"]),
        (["/"], ["unknown"]),
        ({"location": "/", "tdm-reservation": 1}, ["forbids"]),
        ([], []),
    ],
    ids=str,
)
def test_the_most_specific_rule_holds(rules: object, verdicts: list[str]) -> None:
    assert said(rules) == verdicts


@pytest.mark.parametrize(
    "data",
    [b"<html>soft 404</html>", b"", b"\xff\xfe", b"[" * 100_000, b'[{"location": "/"', b"[1" + b"0" * 5000 + b"]"],
)
def test_what_is_no_json_is_unknown(data: bytes) -> None:
    (sign,) = parse_tdmrep(data).signs("/a.jpg")
    assert sign.verdict is SignalVerdict.UNKNOWN and sign.verbatim.startswith("not JSON")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["location", "tdm-reservation", "tdm-policy", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(_JSON)
def test_any_json_is_read(rules: object) -> None:
    assert set(said(rules)) <= {v.value for v in SignalVerdict}


@given(st.binary(max_size=200))
def test_any_bytes_are_read(data: bytes) -> None:
    assert all(s.verdict in SignalVerdict for s in parse_tdmrep(data).signs("/a"))
