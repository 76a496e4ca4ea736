"""The site of the docs, as ``make docs`` builds it: strict, whole, from disk, and of what the code declares."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from docutils.nodes import make_id

from curation.core.recipes import documented
from curation.products import PRODUCTS
from flows.request import described_stages
from tests.support.browser import browsing, opened_browser, serious_violations
from tests.support.processes import REPOSITORY, environment

pytestmark = pytest.mark.slow
_FETCHED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "object": "data"}
_TOLD_ONLY = {"canonical", "index", "search", "next", "prev", "author"}  # rels of links that no browser fetches
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass
class Page(HTMLParser):
    """A page's links, the files that it fetches, its anchors and its words."""

    links: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.anchors.add(found.get("id", ""))
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag in _FETCHED and _FETCHED[tag] in found and found.get("rel") not in _TOLD_ONLY:
            self.fetched.append(found[_FETCHED[tag]])


@cache
def read(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    makefile = (REPOSITORY / "Makefile").read_text()
    (options,) = re.findall(r"\$\(BIN\)/sphinx-build (.*) build/docs$", makefile, re.MULTILINE)
    assert "-W" in options.split(), "a warning is an error"
    words = [sys.executable, "-m", "sphinx", "-d", str(folder / "doctrees"), *options.split(), str(folder / "html")]
    done = subprocess.run(
        words, cwd=REPOSITORY, env=environment(folder), capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "html"


def pages(site: Path) -> list[Path]:
    found = sorted(site.rglob("*.html"))
    assert len(found) > 40
    return found


def test_every_link_of_the_site_leads_to_a_page_and_a_place(site: Path) -> None:
    broken = []
    for path in pages(site):
        for link in (*read(path).links, *read(path).fetched):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                broken.append(f"{path.relative_to(site)}: {link}")
            elif parts.fragment and target.suffix == ".html" and unquote(parts.fragment) not in read(target).anchors:
                broken.append(f"{path.relative_to(site)}: {link} (no such place)")
    assert not broken, "\n".join(broken)


def test_no_page_fetches_anything_from_elsewhere(site: Path) -> None:
    fetched = [link for path in pages(site) for link in read(path).fetched]
    assert fetched and not [link for link in fetched if urlsplit(link).scheme not in ("", "data")]
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert not re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", styles)


@pytest.mark.parametrize("product", PRODUCTS, ids=lambda p: p.name)
def test_every_key_and_every_reason_that_the_code_declares_is_in_the_reference(product: Any, site: Path) -> None:
    path = site / "docs" / "recipe" / f"{product.name}.html"
    text = path.read_text(encoding="utf-8")
    keys = [key for _, _, found in documented(product.recipe) for key in found]
    assert len(keys) > 20
    assert not [key.name for key in keys if make_id(f"{product.name}-{key.name}") not in read(path).anchors]
    stages = described_stages(product.steps(product.recipe(), ()))
    assert not [r for stage in stages for r in stage.reasons if f">{r}<" not in text and f'pre">{r}<' not in text]


def test_every_room_s_readme_is_a_page(site: Path) -> None:
    rooms = [p.relative_to(REPOSITORY) for p in (REPOSITORY / "curation").rglob("README.md")]
    assert len(rooms) > 10
    assert not [room for room in rooms if not (site / room.with_suffix(".html")).is_file()]


def test_every_link_of_the_sources_leads_to_a_file() -> None:
    """As a hosting site shows them, README.md included, which is no page of the site."""
    folders = ("docs", "curation", "flows", "schemas", "infra", "notebooks", "tests")
    sources = [*REPOSITORY.glob("*.md"), *(p for name in folders for p in (REPOSITORY / name).rglob("*.md"))]
    broken = []
    for source in sources:
        if "languages" in source.parts or "prompts" in source.parts:
            continue  # texts for models
        for link in _LINK.findall(re.sub(r"```.*?```", "", source.read_text(encoding="utf-8"), flags=re.DOTALL)):
            parts = urlsplit(link)
            if not parts.scheme and parts.path and not (source.parent / parts.path).exists():
                broken.append(f"{source.relative_to(REPOSITORY)}: {link}")
    assert not broken, "\n".join(broken)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with opened_browser() as browser:
        yield browser


@pytest.mark.parametrize("width", [1200, 400])
def test_from_disk_a_browser_shows_it_without_an_error_and_asks_nobody(chromium: Any, site: Path, width: int) -> None:
    with browsing(chromium, width=width) as (page, seen):
        for name in ("index.html", "docs/quick_start.html", "docs/recipe/refine.html", "docs/measured.html"):
            page.goto((site / name).as_uri())
            page.wait_for_selector("article h1")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        page.goto((site / "search.html").as_uri() + "?q=keeper")
        page.wait_for_selector("#search-results li a")
        assert not seen.errors
        assert seen.requests and all(request.startswith(("file:", "data:")) for request in seen.requests)


def test_people_who_use_a_screen_reader_can_read_it(chromium: Any, site: Path) -> None:
    with browsing(chromium) as (page, _):
        page.goto((site / "docs/quick_start.html").as_uri())
        assert serious_violations(page) == []
