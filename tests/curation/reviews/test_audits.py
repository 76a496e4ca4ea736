"""An audit's error rate, its interval, and the agreement of two people, against figures worked out elsewhere."""

from __future__ import annotations

import math

import pytest

from curation.reviews.audit import Rate, kappa, made_of


@pytest.mark.parametrize(
    ("errors", "samples", "low", "high"),
    [
        # Worked examples of Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilsons_interval_is_that_of_the_literature(errors: int, samples: int, low: float, high: float) -> None:
    rate = Rate(errors, samples)
    assert rate.interval == pytest.approx((low, high), abs=5e-5)
    mirrored = Rate(samples - errors, samples).interval
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx(rate.interval)


def test_no_samples_have_no_rate() -> None:
    assert math.isnan(Rate(0, 0).share) and all(map(math.isnan, Rate(0, 0).interval))


def test_kappa_of_a_known_table() -> None:
    # 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: agreed 0.7, by chance 0.5.
    pairs = [(True, True)] * 20 + [(True, False)] * 5 + [(False, True)] * 10 + [(False, False)] * 15
    assert kappa(pairs) == pytest.approx(0.4)
    assert kappa([(True, True), (False, False)]) == 1
    assert kappa([(True, False), (False, True)]) == -1
    assert kappa([(False, False)] * 9) is None and kappa([]) is None


def test_a_sample_counts_once_and_a_tie_as_an_error() -> None:
    answers = [
        ("s1", "ann", (True, False)),
        ("s1", "ben", (False, False)),
        ("s2", "ann", (False, False)),
        ("s2", "ben", (False, False)),
        ("s2", "cid", (True, True)),
        ("s3", "ann", (False, True)),
    ]
    found = made_of(answers)
    assert found is not None and (found.samples, found.people) == (3, 3)
    assert {name: rate.errors for name, rate in found.rates.items()} == {"anything_false": 1, "subject_missing": 1}
    assert found.either.errors == 2
    assert [(a.people, a.samples) for a in found.agreements] == [
        (("ann", "ben"), 2),
        (("ann", "cid"), 1),
        (("ben", "cid"), 1),
    ]
    assert made_of([]) is None
