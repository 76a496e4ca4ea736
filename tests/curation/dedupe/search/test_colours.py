"""Pictures that differ in colour alone are no copies, whatever their hashes say; copies are, and grey copies on demand.

Reports of the kinds: JohannesBuchner/imagehash#109 and #134, sapientpro/image-comparator#6, qarmin/czkawka#1373 and
#2059, idealo/imagededup#85.
"""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from curation.dedupe.search import scan
from curation.dedupe.search.colours import COLOUR_WORDS, LOOK_WORDS, agree, colours_of_view, unpacked
from curation.dedupe.search.distinct import Distinct
from curation.dedupe.search.kernels import Words, near
from curation.dedupe.search.rule import Rule, confirmed, with_looks
from curation.dedupe.search.scan import near_rows
from curation.dedupe.search.symmetry import TURNS, all_turns
from curation.demo.near import TRANSFORMATIONS
from curation.demo.render import render
from curation.demo.world import scene
from curation.images.chroma import block_colours
from curation.images.pixels import prepare
from curation.images.windows import WINDOWS
from schemas.recipe import Dedupe, Download
from tests.support import recoloured
from tests.support.images import natural
from tests.support.recoloured import COLOURS, RECOLOURED, SHADES, jpeg, png

RECIPE = Dedupe()
ASIDE = {"cropped by 15 %", "mirrored", "turned by 90°"}  # what no hash of a whole picture finds


def rule(grey: bool = True, *, symmetries: bool = False) -> Rule:
    made = confirmed(
        RECIPE.distance, RECIPE.confirmed_distance, RECIPE.second_distance, symmetries=symmetries, grey=grey
    )
    return made._replace(colours=COLOUR_WORDS)


def row(data: bytes) -> Words:
    """A file's picture as a search sees it."""
    seen = prepare(data, Download(min_side=1, max_aspect=0))
    words = [np.uint64(seen.phash), *np.frombuffer(seen.phash256, np.uint64)]
    return np.array([*words, *np.frombuffer(seen.colours, np.uint64)], np.uint64)


@cache
def rows_of(kind: str) -> dict[str, Words]:
    palette = {**COLOURS, **SHADES} if kind == "flat" else COLOURS
    return {name: row(png(RECOLOURED[kind](colour))) for name, colour in palette.items()}


def by_hash(a: Words, b: Words) -> bool:
    return bool(near(a[:5], b[:5], rule()._replace(colours=0)))


@pytest.mark.parametrize("kind", RECOLOURED)
def test_pictures_that_differ_in_colour_alone_are_not_near(kind: str) -> None:
    rows = {name: r for name, r in rows_of(kind).items() if not (kind != "flat" and name in ("black", "white"))}
    pairs = list(itertools.combinations(rows, 2))
    alike = [(a, b) for a, b in pairs if by_hash(rows[a], rows[b])]
    assert len(alike) > len(pairs) // 2, "the hashes would have told them apart"
    assert [(a, b) for a, b in alike if near(rows[a], rows[b], rule())] == []


@pytest.mark.parametrize("kind", ["shirt", "mug", "logo"])
def test_a_black_product_is_no_grey_copy_of_a_coloured_one(kind: str) -> None:
    rows = rows_of(kind)
    alike = [n for n in ("red", "green", "orange", "pink", "sky", "teal") if by_hash(rows["black"], rows[n])]
    assert alike and not [name for name in alike if near(rows["black"], rows[name], rule())]


@pytest.mark.parametrize("kind", ["card", "invoice"])
def test_texts_on_a_plain_ground_are_told_apart(kind: str) -> None:
    rows = [row(jpeg(getattr(recoloured, kind)(number))) for number in range(8)]
    pairs = list(itertools.combinations(rows, 2))
    wrong = sum(by_hash(a, b) for a, b in pairs)
    left = sum(near(a, b, rule()) for a, b in pairs)
    assert wrong > 0 and left <= wrong // 10


def test_screenshots_in_two_themes_are_two_pictures() -> None:
    accents = [COLOURS[name] for name in ("red", "blue", "green", "orange")]
    rows = [row(png(recoloured.settings_page(dark, accent))) for dark in (False, True) for accent in accents]
    assert not [1 for a, b in itertools.combinations(rows, 2) if near(a, b, rule())]


@pytest.mark.parametrize("kind", RECOLOURED)
def test_copies_of_such_pictures_are_near(kind: str) -> None:
    for name in ("red", "blue", "sky", "purple"):
        picture, own = RECOLOURED[kind](COLOURS[name]), rows_of(kind)[name]
        small = picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.LANCZOS)
        for copy in (jpeg(picture, 90), jpeg(picture, 40), png(small), jpeg(small)):
            assert near(row(copy), own, rule(grey=False)), name


@pytest.mark.parametrize("kind", ["shirt", "mug", "logo", "banner"])
def test_a_grey_copy_is_near_its_original_unless_grey_copies_are_kept(kind: str) -> None:
    for name in ("red", "blue", "orange", "teal"):
        copy = row(jpeg(recoloured.grey(RECOLOURED[kind](COLOURS[name]))))
        own = rows_of(kind)[name]
        assert by_hash(copy, own) and near(copy, own, rule()) and near(own, copy, rule())
        assert not near(copy, own, rule(grey=False))


def test_flat_pictures_are_no_grey_copies() -> None:
    rows = rows_of("flat")
    for name in COLOURS:
        if name not in ("black", "white"):
            assert not near(row(jpeg(recoloured.grey(recoloured.flat(COLOURS[name])))), rows[name], rule())


@pytest.mark.parametrize("number", range(6))
def test_every_copy_that_the_hash_finds_is_found_with_colours(number: int) -> None:
    pixels = render(scene(13, number))
    own = row(jpeg(Image.fromarray(pixels)))
    for name, change in TRANSFORMATIONS.items():
        copy = row(change(pixels))
        if name not in ASIDE:
            assert near(copy, own, rule()) == by_hash(copy, own), name


def turn_of(pixels: np.ndarray, turn: int) -> np.ndarray:
    pixels = pixels.transpose(1, 0, 2) if turn & 4 else pixels
    pixels = pixels[::-1] if turn & 2 else pixels
    return np.ascontiguousarray(pixels[:, ::-1] if turn & 1 else pixels)


@pytest.mark.parametrize("turn", range(TURNS))
def test_the_colours_of_a_turned_picture_follow_from_its_own(turn: int) -> None:
    pixels = natural(320, 256, seed=turn)
    own = np.frombuffer(block_colours(pixels), np.uint64)
    turned = np.frombuffer(block_colours(turn_of(pixels, turn)), np.uint64)
    assert np.array_equal(unpacked(colours_of_view(own, turn, TURNS)), unpacked(turned))


@pytest.mark.parametrize("window", [0, 4, 9, len(WINDOWS) - 1])
def test_the_colours_of_a_part_follow_nearly_from_the_whole(window: int) -> None:
    pixels = natural(640, 480, seed=window)
    share, across, down = WINDOWS[window]
    high, wide = round(480 * (1 - share)), round(640 * (1 - share))
    top, left = round((480 - high) * down), round((640 - wide) * across)
    part = np.ascontiguousarray(pixels[top : top + high, left : left + wide])
    whole = np.frombuffer(block_colours(pixels), np.uint64)
    seen = colours_of_view(whole, window + 1, 1 + len(WINDOWS))
    assert agree(seen, np.frombuffer(block_colours(part), np.uint64), False, False)


@st.composite
def coloured(draw: st.DrawFn) -> Words:
    """Rows around a few hashes with colours around a few, some of them unknown, grey or plain."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(0, 60))
    hashes = random.integers(0, 2**64, (3, 5), dtype=np.uint64)[random.integers(0, 3, n)]
    hashes[:, 0] ^= np.uint64(1) << random.integers(0, 64, n, dtype=np.uint64)
    blocks = random.integers(100, 156, (3, 104)).astype(np.uint8)[random.integers(0, 3, n)]
    blocks[:, :96] += random.integers(0, 12, (n, 96)).astype(np.uint8)
    blocks[:, 96] = random.choice([0, 90, 240], n)
    blocks[:, 97] = random.choice([0, 50], n)
    blocks[blocks[:, 97] == 0, 64:96] = 128
    blocks[blocks[:, 96] == 0] = 0
    blocks[:, 98:] = 0
    return np.concatenate([hashes, blocks.view(np.uint64).reshape(n, COLOUR_WORDS)], axis=1)


@settings(deadline=None, max_examples=40)
@given(coloured(), st.booleans())
def test_colours_agree_with_themselves_and_both_ways_and_unknown_ones_with_all(rows: Words, grey: bool) -> None:
    looks = rows[:, 5:]
    unknown = np.zeros(COLOUR_WORDS, np.uint64)
    for a in looks[:20]:
        assert agree(a, a, grey, False) and agree(a, unknown, grey, False) and agree(unknown, a, grey, False)
        for b in looks[:20]:
            assert agree(a, b, grey, False) == agree(b, a, grey, False)
            assert agree(a, b, True, False) or not agree(a, b, False, False)


@settings(deadline=None, max_examples=30)
@given(coloured(), coloured(), st.booleans())
def test_a_search_with_colours_finds_what_brute_force_finds(a: Words, b: Words, grey: bool) -> None:
    asked = rule(grey)
    one, two = Distinct.of(a).rows, Distinct.of(b).rows
    for left, right in ((one, None), (one, two)):
        found = {(int(k >> np.uint64(32)), int(k & np.uint64(2**32 - 1))) for k in joined(left, right, asked)}
        found = {(min(p), max(p)) for p in found} if right is None else found
        ends = itertools.combinations(range(len(one)), 2)
        every = ends if right is None else itertools.product(range(len(one)), range(len(two)))
        other = one if right is None else two
        assert found == {(i, j) for i, j in every if near(one[i], other[j], asked)}


@settings(deadline=None, max_examples=20)
@given(coloured())
def test_turned_pictures_are_near_where_their_colours_are_turned_too(rows: Words) -> None:
    asked = rule(symmetries=True)
    turned = np.concatenate([all_turns(np.ascontiguousarray(rows[:, :5])), rows[:, 5:]], axis=1)
    turned = Distinct.of(turned).rows
    found = {(int(k >> np.uint64(32)), int(k & np.uint64(2**32 - 1))) for k in joined(turned, None, asked)}
    pairs = itertools.product(range(len(turned)), repeat=2)
    expected = {(min(p), max(p)) for p in pairs if near(turned[p[0]], turned[p[1]], asked)}
    own = {(i, i) for i in range(len(turned))}
    assert {(min(p), max(p)) for p in found} | own == expected | own


def joined(a: Words, b: Words | None, asked: Rule) -> list[np.uint64]:
    return [key for keys in near_rows(a, b, asked) for key in keys]


def test_linked_crowds_stay_within_their_colours() -> None:
    """Thousands of near hashes in two colours: a walk through the crowd links each colour and never both."""
    random = np.random.default_rng(3)
    rows = np.zeros((2000, 5 + COLOUR_WORDS), np.uint64)
    rows[:, 0] = np.uint64(1) << random.integers(0, 64, 2000, dtype=np.uint64)
    rows[:, 1] = np.arange(2000, dtype=np.uint64)
    red, blue = (
        np.frombuffer(block_colours(np.asarray(recoloured.shirt(COLOURS[c]))), np.uint64) for c in ("red", "blue")
    )
    rows[:, 5:] = np.where((np.arange(2000) % 2 == 0)[:, None], red, blue)
    asked = confirmed(2, 14, 256)._replace(colours=COLOUR_WORDS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan, "_DENSE_BUCKET", 5)
        patch.setattr(scan, "_SKEW", 0)
        keys = np.concatenate([*near_rows(rows, None, asked, spanning=True)])
    a, b = keys >> np.uint64(32), keys & np.uint64(2**32 - 1)
    assert len(keys) < 60 * len(rows) and ((a ^ b) % np.uint64(2) == 0).all()
    linked = {0, 1}
    grown = True
    while grown:
        more = {int(x) for x, y in zip(a, b, strict=True) if int(y) in linked}
        more |= {int(y) for x, y in zip(a, b, strict=True) if int(x) in linked}
        grown = not more <= linked
        linked |= more
    assert len(linked) == len(rows)


def test_without_any_colours_rows_are_hashes_alone() -> None:
    plain = confirmed(0, 14, 54)
    assert with_looks(plain, 0) == plain and with_looks(plain, COLOUR_WORDS, 0) == plain
    assert with_looks(plain, COLOUR_WORDS, LOOK_WORDS).colours == COLOUR_WORDS
