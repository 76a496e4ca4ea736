"""A list is read whatever it looks like, or refused with its line; what it names is found, and nothing else."""

from __future__ import annotations

import gzip
import re
import tracemalloc
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curation.blocklists.entries import _normal, keys_of, url_keys
from curation.blocklists.lists import FOLDER, Lists
from curation.blocklists.reading import read_list
from curation.blocklists.rows import RowLists
from curation.blocklists.words import units
from curation.core.errors import SourceError, StoreError
from curation.core.store import Store
from curation.core.url import BadUrl, parse
from curation.dedupe.blocked import nearest
from schemas.blocklists import KINDS, Blocklists, Kind
from schemas.reasons import Reason
from tests.support.plain_store import PlainStore

SHA = "ab" * 32
URL = "https://a.example/x.jpg"


def written(folder: Path, name: str, text: str | bytes) -> str:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


def lists(folder: Path, **texts: str | bytes) -> RowLists:
    """The lists of rows with one list of each kind."""
    named = {kind: [written(folder, f"{kind}.txt", text)] for kind, text in texts.items()}
    return RowLists.of(Lists.of(Blocklists.model_validate(named)))


def hits(found: RowLists, url: str | None = None, text: str | None = None, sha: str | None = None) -> dict[str, str]:
    """The hits on one row: reason -> what is said of it."""
    return {str(reason): str(one) for reason, (one,) in found.judge([url], [text], [sha]) if one is not None}


@pytest.mark.parametrize(
    ("listed", "url", "line"),
    [
        ("# bad hosts\n\nbad.example\n", "http://bad.example/1.jpg", 3),
        ("bad.example", "https://images.eu.bad.example:8080/1.jpg", 1),
        ("*.bad.example", "http://bad.example", 1),
        (".Bad.Example.  # since May", "http://BAD.EXAMPLE./x", 1),
        ("0.0.0.0 ads.example bad.example\r\n", "http://a.bad.example/x", 1),
        ("bücher.example", "http://xn--bcher-kva.example/x", 1),
        ("xn--bcher-kva.example", "http://www.BÜCHER.example/x", 1),
        ("10.1.2.3", "http://0x0a010203/x", 1),
        ("[2001:db8::1]", "http://[2001:0db8::1]:80/x", 1),
        ("ru", "http://pictures.ru/x", 1),
        ("\ufeffbad.example", "http://user:word@bad.example/x", 1),
        ("good.example\nbad.example\nbad.example", "http://bad.example/x", 2),
    ],
)
def test_a_host_and_all_hosts_below_it_are_found(listed: str, url: str, line: int, tmp_path: Path) -> None:
    found = hits(lists(tmp_path, hosts=listed), url)
    assert list(found) == [Reason.BLOCKED_HOST] and found[Reason.BLOCKED_HOST].startswith(f"hosts.txt, line {line}: ")


@pytest.mark.parametrize(
    "url", ["http://verybad.example/x", "http://example/x", "http://10.1.2.33/", "no url", "", None]
)
def test_other_hosts_are_not_found(url: str | None, tmp_path: Path) -> None:
    assert hits(lists(tmp_path, hosts="bad.example\n10.1.2.3\n# example"), url) == {}


@pytest.mark.parametrize(
    ("listed", "url"),
    [
        ("https://a.example/b/c.jpg", "HTTPS://u:p@A.Example:443/b/./x/../c.jpg#part"),
        ("https://a.example:443/ü.jpg?q=ü # comment", "https://a.example/%C3%BC.jpg?q=%C3%BC"),
        ("http://a.example", "http://a.example/"),
        ("http://a.example/x.jpg#y", "  http://a.example/x.jpg "),
    ],
)
def test_a_url_is_found_however_it_is_spelled(listed: str, url: str, tmp_path: Path) -> None:
    found = lists(tmp_path, urls=f"\n{listed}\n")
    assert list(hits(found, url)) == [Reason.BLOCKED_URL] and "urls.txt, line 2" in hits(found, url)["blocked_url"]
    assert hits(found, url.replace(".jpg", ".png") + "?2") == {}


_PART = st.text("aZ09._~%!$&'()*+,;=:@/?#-xn\\ü ", max_size=12)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["http", "https"]), st.text("abz09-_.x", min_size=1, max_size=12), _PART, _PART)
@example("http", "a.b", "x/..", "y")
@example("https", "xn--a.b", "", "")
def test_the_short_way_to_a_plain_url_writes_it_as_the_standard_does(scheme: str, host: str, a: str, b: str) -> None:
    url = f"{scheme}://{host}/{a}/{b}"
    try:
        target = parse(url)
    except BadUrl:
        assert url_keys(url) == ([], [])
        return
    assert _normal(url) == (target.host, target.url) and url_keys(url)[1] == [target.url]


@pytest.mark.parametrize(
    ("listed", "text"),
    [
        ("gore", "Some GORE, seen"),
        ("Straße", "a STRASSE in town"),
        ("gore video", "a gore-Video of"),
        ("gore video", "gore gore\tvideo"),
        ("café", "the CAFE\u0301!"),
        ("ﬁne art", "Fine art"),
        ("gore", "ｇｏｒｅ"),
        ("gore", "go\u00adre and g\u200bore"),
        ("色情", "这是色情图片"),
        ("アダルト", "新しいアダルトビデオ"),
        ("โป๊", "ภาพโป๊ใหม่"),
        ("हिंसा", "यह हिंसा है"),
        ("насилие", "НАСИЛИЕ в кадре"),
        ("عنف", "مشهد عنف هنا"),
        ("βία", "ΒΊΑ"),
        ("c#", "a C major"),
        ("# of", "of"),
    ],
)
def test_words_are_found_in_any_script(listed: str, text: str, tmp_path: Path) -> None:
    expected = {} if listed.startswith("#") else {"blocked_words": f"words.txt, line 2: {' '.join(units(listed))}"}
    assert hits(lists(tmp_path, words=f"somebody else\n{listed}"), text=text) == expected


@pytest.mark.parametrize(
    ("listed", "text"),
    [
        ("gore", "a gorey gorestained foregore picture"),
        ("art", "a party of cartoonists"),
        ("gore video", "a video of gore"),
        ("gore video", "gore"),
        ("हिंस", "यह हिंसा है"),  # a vowel sign belongs to its word
        ("色情", "色的情"),
        ("ร", "ร้อน"),  # and a tone mark to its letter
        ("gore", ""),
        ("gore", None),
    ],
)
def test_parts_of_words_are_not_found(listed: str, text: str | None, tmp_path: Path) -> None:
    assert hits(lists(tmp_path, words=listed), text=text) == {}


_WORDS = st.lists(st.text("abé", min_size=1, max_size=2), min_size=1, max_size=3).map(" ".join)


@settings(max_examples=40, deadline=None)
@given(st.lists(_WORDS, min_size=1, max_size=8), st.text("abÉé -", max_size=24))
def test_phrases_are_found_as_a_search_with_boundaries_finds_them(
    tmp_path_factory: pytest.TempPathFactory, listed: list[str], text: str
) -> None:
    folded = re.sub("[ -]+", " ", unicodedata.normalize("NFC", text.casefold())).strip()
    lines = [n for n, phrase in enumerate(listed, 1) if f" {phrase} " in f" {folded} "]
    found = hits(lists(tmp_path_factory.getbasetemp(), words="\n".join(listed)), text=text)
    expected = [f"words.txt, line {lines[0]}: {listed[lines[0] - 1]}"] if lines else []
    assert list(found.values()) == expected


def test_a_sha256_that_the_source_names_is_found(tmp_path: Path) -> None:
    found = lists(tmp_path, sha256=f"{'0' * 64}\n{SHA.upper()}\t# x")
    assert hits(found, sha=f" {SHA.upper()} ") == {"blocked_sha256": f"sha256.txt, line 2: {SHA}"}
    assert hits(found, sha="ab" * 31) == {}


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        ("hosts", "a.example\nhttps://a.example/x", r"hosts.*line 2: 'https://a.example/x' .*blocklists.urls"),
        ("hosts", "a b", "line 1: 'a b' is not .* a host such as"),
        ("urls", "a.example", "line 1: 'a.example' is not .* url"),
        ("urls", "ftp://a.example/x", "an http or https url"),
        ("sha256", f"# x\n\n{SHA}\n{SHA[1:]}", "line 4: .* 64 hex digits, and found 63 characters"),
        ("sha256", "g" * 64, "64 hex digits"),
        ("phash", SHA, "16 hex digits, and found 64"),
        ("words", "fine\n--!--", "line 2: '--!--' .* letters or digits"),
        ("words", "a " * 40, "32 words at most"),
        ("words", b"\x89PNG\r\n\x1a\n\x00\x01", "line 1 is no UTF-8"),
        ("hosts", b"a.example\n\x00\x00", "line 2 holds a zero byte"),
        ("words", "x" * 9000, "line 1 has more than 8192 bytes"),
        ("urls", gzip.compress(b"x" * 900_000)[:400], "damaged gzip"),
    ],
)
def test_what_is_no_list_is_refused_with_its_line(kind: Kind, text: str | bytes, told: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=f"blocklists.{kind}: .*{told}"):
        lists(tmp_path, **{kind: text})


def test_a_missing_list_is_refused_and_an_empty_one_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SourceError, match=r"blocklists\.words: .*nowhere\.txt does not exist"):
        read_list("words", str(tmp_path / "nowhere.txt"))
    with pytest.raises(SourceError, match=r"blocklists\.words: .* cannot be read"):
        read_list("words", str(tmp_path))
    assert read_list("words", written(tmp_path, "empty.txt", "# nothing\n\n")).num_rows == 0
    assert "empty.txt has no entries" in caplog.text


def test_a_packed_list_of_several_members_is_read(tmp_path: Path) -> None:
    packed = gzip.compress(b"a.example\n") + gzip.compress(b"b.example")
    assert read_list("hosts", written(tmp_path, "hosts", packed)).num_rows == 2


def test_a_long_list_takes_little_memory(tmp_path: Path) -> None:
    place = written(tmp_path, "hosts.txt", "\n".join(f"h{n}.example" for n in range(50_000)))
    tracemalloc.start()
    try:
        entries = read_list("hosts", place)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert entries.num_rows == 50_000 and most < 50_000 * 200
    found = RowLists.of(Lists.of(Blocklists(hosts=[place])))
    assert hits(found, "http://x.h49999.example/")["blocked_host"].startswith("hosts.txt, line 50000:")


def test_the_first_list_that_has_an_entry_is_named(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    same = [written(tmp_path, "a.txt", "a.example"), written(tmp_path / "x", "a.txt", "b.example\na.example")]
    other = [*same, written(tmp_path, "c.txt", "c.example")]
    found = RowLists.of(Lists.of(Blocklists(hosts=other)))
    assert hits(found, "http://a.example")["blocked_host"] == f"{same[0]}, line 1: a.example"
    assert hits(found, "http://b.example")["blocked_host"] == f"{same[1]}, line 1: b.example"
    assert hits(found, "http://c.example")["blocked_host"] == "c.txt, line 1: c.example"
    turned = RowLists.of(Lists.of(Blocklists(hosts=other[::-1])))
    assert hits(turned, "http://a.example")["blocked_host"] == f"{same[1]}, line 2: a.example"


def test_the_copies_in_a_root_say_the_same_and_spell_nothing_out(tmp_path: Path) -> None:
    recipe = Blocklists(
        hosts=[written(tmp_path, "hosts", "secret.example")],
        urls=[written(tmp_path, "urls", URL)],
        words=[written(tmp_path, "words", "secret phrase")],
        sha256=[written(tmp_path, "sha", SHA)],
        phash=[written(tmp_path, "phash", "0123456789abcdef")],
    )
    store = Store(str(tmp_path / "root"))
    read = Lists.of(recipe)
    read.keep(store)
    kept = Lists.of_root(store)
    assert kept.digest() == read.digest() and kept.counts() == dict.fromkeys(KINDS, (1, 1))
    bytes_of = b"".join(store.read(f"{FOLDER}/{name}") for name in store.names(FOLDER))
    assert b"secret" not in bytes_of and b"a.example" not in bytes_of and str(tmp_path).encode() not in bytes_of
    row = {"url": URL, "text": "the Secret: phrase", "sha": SHA}
    assert hits(RowLists.of(kept), **row) == hits(RowLists.of(read), **row) != {}
    Lists().keep(store)
    assert not Lists.of_root(store) and store.names(FOLDER) == []


def test_comments_and_order_of_lines_behind_change_no_digest_but_a_line_does(tmp_path: Path) -> None:
    digests = [Lists.of(Blocklists(hosts=[written(tmp_path, "h", text)])).digest() for text in
               ("a.example\n", "a.example # why\n\n# end", "\na.example", "b.example")]  # fmt: skip
    assert digests[0] == digests[1] and len(set(digests)) == 3


def test_a_damaged_copy_is_named(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "root"))
    Lists.of(Blocklists(hosts=[written(tmp_path, "h", "a.example")])).keep(store)
    (name,) = store.names(FOLDER, ".parquet")
    other = Store(str(tmp_path / "other"))
    Lists.of(Blocklists(hosts=[written(tmp_path, "h", "b.example")])).keep(other)
    (others,) = other.names(FOLDER, ".parquet")
    store.write(f"{FOLDER}/{name}", other.read(f"{FOLDER}/{others}"))
    with pytest.raises(StoreError, match=r"lists\.json .* damaged .* delete the folder"):
        Lists.of_root(store)


def test_lists_of_the_network_are_read_anew_save_by_a_run_that_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    recipe = Blocklists(hosts=["plain://b/hosts"])
    PlainStore.files["b/hosts"] = b"a.example"
    first = Lists.of(recipe)
    PlainStore.files["b/hosts"] = b"b.example"
    assert Lists.of(recipe, first, resumed=True).digest() == first.digest() != Lists.of(recipe, first).digest()
    PlainStore.files.clear()
    assert Lists.of(recipe, first).digest() == first.digest()
    assert "The copy of the last run is used" in caplog.text
    with pytest.raises(SourceError, match="cannot be read"):
        Lists.of(recipe)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), max_size=20), st.lists(st.integers(0, 2**64 - 1), max_size=8), st.data())
def test_the_nearest_listed_hash_is_found(own: list[int], listed: list[int], data: st.DataObject) -> None:
    near = [h ^ (1 << data.draw(st.integers(0, 63))) for h in listed]
    hashes, known = np.array(own + near, np.uint64), np.array(sorted({*listed}), np.uint64)
    distance = data.draw(st.integers(0, 6))
    places, bits = nearest(hashes, known, distance)
    for value, place, apart in zip(own + near, places.tolist(), bits.tolist(), strict=True):
        every = [(value ^ int(k)).bit_count() for k in known]
        best = min(every, default=99)
        assert (place, apart) == ((every.index(best), best) if best <= distance else (-1, 0))


def test_every_line_of_a_kind_is_a_key_of_its_own() -> None:
    assert keys_of("hosts", "127.0.0.1 localhost a.example") == ["localhost", "a.example"]
    assert keys_of("words", "C++ and C") == ["c and c"]
