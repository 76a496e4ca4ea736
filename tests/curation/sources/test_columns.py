"""What a list's columns leave open is said all at once, the images first."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from curation.core.errors import SourceError
from curation.sources.columns import Column, recognise
from curation.sources.discover import open_source
from curation.sources.options import Options

PROSE = ("a red car in the street", "a blue bird on a roof")
URLS = ("http://example.com/a?id=1", "https://example.com/b", "see http://example.com", "http://example.com/c")


def refused(*columns: Column, options: Options | None = None) -> str:
    with pytest.raises(SourceError) as raised:
        recognise(columns, "list.csv", options or Options())
    return str(raised.value)


def settings(said: str) -> list[str]:
    """The columns that an error asks to be named, in its order."""
    return re.findall(r"--set '?source\.columns\.(\w+=[\w]+)", said)


def test_addresses_that_are_not_recognised_are_asked_for_before_the_texts() -> None:
    foo, bar = Column("foo", "text", URLS), Column("bar", "text", PROSE)
    assert settings(refused(foo, bar)) == ["url=foo", "text=bar"]
    assert settings(refused(bar, foo)) == ["url=foo", "text=bar"]


def test_following_what_an_error_says_ends_in_no_other_error() -> None:
    columns = [Column("foo", "text", URLS), Column("bar", "text", PROSE), Column("baz", "text", PROSE)]
    assert settings(refused(*columns)) == ["url=foo", "text=NAME"]
    named = Options(columns=(("url", ("foo",)), ("alt_text", ("bar",))))
    assert dict(recognise(columns, "list.csv", named).roles) == {"url": "foo", "alt_text": "bar"}


def test_what_is_named_is_not_asked_for_again() -> None:
    foo, bar = Column("foo", "text", URLS), Column("bar", "text", PROSE)
    assert settings(refused(foo, bar, options=Options(columns=(("alt_text", ("bar",)),)))) == ["url=foo"]


def test_urls_and_texts_that_are_both_unclear_are_one_error() -> None:
    columns = [Column(n, "text", URLS) for n in ("image_url", "img_url")] + [
        Column(n, "text", PROSE) for n in ("prompt", "description")
    ]
    assert settings(refused(*columns)) == ["url=image_url", "text=prompt"]


def test_of_the_usual_names_of_texts_text_counts_before_caption() -> None:
    columns = [Column("link", "text", URLS), Column("caption", "text", PROSE), Column("text", "text", PROSE)]
    assert dict(recognise(columns, "list.csv", Options()).roles) == {"url": "link", "alt_text": "text"}


@pytest.mark.parametrize("name", ["list.csv", "list.tsv"])
def test_a_list_of_no_bytes_has_no_rows(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(SourceError, match=r"^the source has no rows: \S+; name one that has$"):
        open_source([str(tmp_path / name)])
