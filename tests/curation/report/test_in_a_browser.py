"""The page in a real Chromium: what it shows, and what hostile texts cannot do."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from curation.core.store import Store
from curation.report.serving import serve
from curation.report.write import write_report
from tests.support.browser import browsing, opened_browser, serious_violations, show, until
from tests.support.hostile_texts import HOSTILE
from tests.support.report_roots import CAPTION, say, statements
from tests.support.roots import Row, World, every_ending, make_world, recipe, release

pytestmark = pytest.mark.slow  # each starts a browser

# As dom.js has it: what shows nothing and steers is shown by its number.
_UNSEEN = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
_FOREIGN = (
    "iframe,object,embed,base,video,math,input[autofocus],form:not(.filters),link:not([rel=icon]),a:not([href^='#'])"
)

_HANDLERS = """
[...document.querySelectorAll('*')].filter((e) => [...e.attributes].some((a) => /^on/.test(a.name))).length
"""


def as_shown(text: str) -> str:
    return _UNSEEN.sub(lambda found: f"U+{ord(found.group()):04X}", text)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with opened_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A root whose texts are all hostile: alt texts, captions, and the names of hosts and files."""
    rows = [Row(alt_text=text, states={"url": f"http://h{n}.example/{text}"}) for n, text in enumerate(HOSTILE)]
    found = recipe(scores=False)
    world = make_world(str(tmp_path_factory.mktemp("hostile") / "<img src=x onerror=window.stolen=1>"), found, [rows])
    (shard,) = world.store.shards("rows")
    say(world, shard, {world.ids["part-0.parquet", n]: text for n, text in enumerate(HOSTILE)})
    release(world)
    write_report(world.store)
    return world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A root with every fate, and captions of which something is false."""
    made = make_world(str(tmp_path_factory.mktemp("world") / "root"), recipe(scores=False), [every_ending()] * 2)
    shards = made.store.shards("rows")
    kept = [made.ids["part-0.parquet", n] for n in range(3)]
    say(made, shards[0], dict.fromkeys(kept, CAPTION))
    statements(made, shards[0], kept)
    release(made)
    write_report(made.store)
    return made


def address(world: World) -> str:
    return (Path(world.store.path("report")) / "index.html").as_uri()


@contextmanager
def plain_web(folder: str) -> Iterator[str]:
    """Any web server over a folder; here that of the standard library."""
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/index.html"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(params=["from disk", "from a web server", "served"])
def place(request: pytest.FixtureRequest, hostile: World) -> Iterator[str]:
    match request.param:
        case "from disk":
            yield address(hostile)
        case "from a web server":
            with plain_web(hostile.store.path("report")) as url:
                yield url
        case _:
            with serve(hostile.store.url) as served:
                yield served.url


def all_rows(page: Any) -> None:
    page.wait_for_selector("#list li")
    while page.locator("#more").is_visible():
        shown = page.locator("#list li").count()
        page.click("#more")
        until(page, f"document.getElementById('list').children.length > {shown}")


def test_hostile_texts_are_texts_and_nothing_else(chromium: Any, place: str) -> None:
    folder = place.rpartition("/")[0] + "/"
    with browsing(chromium) as (page, seen):
        show(page, place)
        all_rows(page)
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
        while page.locator("#texts button:visible", has_text="Show more").count():
            page.locator("#texts button:visible", has_text="Show more").click()
        for n in range(0, len(HOSTILE), 7):
            page.locator("#list .open").nth(n).click()
            page.locator("#detail .close").click()
        page.wait_for_timeout(300)
        texts = set(page.evaluate("[...document.querySelectorAll('#texts bdi, #list bdi')].map(e => e.textContent)"))
        assert {as_shown(text) for text in HOSTILE} <= texts
        assert page.evaluate("window.stolen") is None
        assert page.evaluate(f"document.querySelectorAll({_FOREIGN!r}).length") == 0
        assert page.evaluate("document.scripts.length") == 2
        assert page.evaluate("document.querySelectorAll('style').length") == 1
        assert page.evaluate(_HANDLERS) == 0
        assert page.title().startswith("<img src=x onerror=window.stolen=1>")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert seen.errors == [] and seen.dialogs == []
    assert all(request.startswith(folder) for request in seen.requests), seen.requests


def test_the_policy_forbids_scripts_styles_and_addresses_of_others(chromium: Any, place: str) -> None:
    with browsing(chromium) as (page, _):
        show(page, place)
        tried = """async () => {
            const done = [];
            const attempt = async (f) => { try { done.push(String(await f())); } catch (e) { done.push(e.name); } };
            await attempt(() => { document.body.innerHTML = "<b>x</b>"; return "html"; });
            await attempt(() => { const s = document.createElement("script"); s.append("window.stolen = 1");
                document.body.append(s); return window.stolen; });
            await attempt(() => new Promise((good) => { setTimeout(() => good(window.stolen), 50);
                setTimeout("window.stolen = 1"); }));
            await attempt(() => new Promise((good) => { const i = new Image(); i.onload = () => good("loaded");
                i.onerror = () => good("refused"); i.src = "http://127.0.0.1:9/x.png"; document.body.append(i); }));
            await attempt(() => fetch("http://127.0.0.1:9/").then(() => "fetched"));
            return done;
        }"""
        # Playwright's own evaluation is no script of the page; what it does to the page is.
        found = page.evaluate(tried)
        assert found[0] == "TypeError" and found[1] == "undefined" and found[2] in ("undefined", "TypeError")
        assert found[3] == "refused" and found[4] == "TypeError"
        assert page.evaluate("window.stolen") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1200])
def test_the_page_is_accessible_and_fits(chromium: Any, world: World, width: int, scheme: str) -> None:
    with browsing(chromium, width, scheme) as (page, seen):
        show(page, address(world))
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
        page.wait_for_selector("#list li")
        page.wait_for_timeout(100)
        assert serious_violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.locator("#rejected .open", has=page.locator(".pair")).first.click()
        assert page.locator("#detail img").count() == 2
        assert serious_violations(page) == []
    assert seen.errors == []


def test_each_line_of_the_funnel_leads_to_its_rows(chromium: Any, world: World) -> None:
    with browsing(chromium) as (page, seen):
        show(page, address(world))
        links = page.locator("#funnel .reasons a")
        assert links.count() >= 9
        for n in range(links.count()):
            rows = int(links.nth(n).locator(".count").inner_text())
            links.nth(n).click()
            until(page, f"document.getElementById('found').textContent.startsWith('{rows} row')")
            assert page.locator("#list li").count() == min(24, rows)
    assert seen.errors == []


def test_the_keyboard_alone_leads_from_the_funnel_to_a_row_and_back(chromium: Any, world: World) -> None:
    with browsing(chromium) as (page, _):
        show(page, address(world))
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "To the content"
        page.locator("#funnel .reasons a").first.focus()
        page.keyboard.press("Enter")
        until(page, "document.activeElement.id === 'rows-title'")
        page.locator("#list .open").first.focus()
        page.keyboard.press("Enter")
        assert page.locator("#detail").evaluate("e => e.open && e.contains(document.activeElement)")
        page.keyboard.press("Escape")
        assert not page.locator("#detail").evaluate("e => e.open")
        assert page.evaluate("document.activeElement.className") == "open"


def test_false_statements_are_struck_out_before_others(chromium: Any, world: World) -> None:
    with browsing(chromium) as (page, _):
        show(page, address(world))
        first = page.locator("#texts .before-after").first
        assert first.locator("del.false").all_inner_texts() == ["It is made of glass", "A blue ball floats above it."]
        assert first.locator(".mark.true").inner_text() == "A red cube lies on a table"


QUESTIONS = [
    {},
    {"fate": "kept"},
    {"stage": "dedupe", "reason": "near_duplicate"},
    {"q": "ALT TEXT 3 of"},
    {"q": "part-1.parquet", "fate": "rejected"},
    {"q": "' or 1=1 --"},
    {"q": "%"},
]


@pytest.mark.parametrize("asked", QUESTIONS, ids=str)
def test_search_finds_the_same_with_and_without_a_server(chromium: Any, world: World, asked: dict[str, str]) -> None:
    query = "&".join(f"{k}={v}" for k, v in asked.items())
    found = []
    with serve(world.store.url) as served:
        for url in (address(world), served.url):
            with browsing(chromium) as (page, seen):
                show(page, f"{url}#rows?{query}")
                until(page, "document.getElementById('found').textContent !== ''")
                page.wait_for_timeout(100)
                if page.locator("#list li").count():
                    all_rows(page)
                cards = page.locator("#list li").evaluate_all("all => all.map(e => e.textContent)")
                found.append((page.locator("#found").inner_text().split(" of ")[0], sorted(cards)))
                assert seen.errors == []
    assert found[0] == found[1]


def test_a_sample_says_that_it_is_one(chromium: Any, tmp_path: Path) -> None:
    made = make_world(str(tmp_path / "root"), shards=[[Row()] * 1])
    release(made)
    write_report(Store(made.store.url))
    with browsing(chromium) as (page, _):
        show(page, address(made))
        assert "A sample of 1 of 1 row" in page.locator("#rows .about").inner_text()
