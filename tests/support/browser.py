"""A real Chromium for pages: Debian's (``apt-get install chromium``), driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium")
_ARGUMENTS = ("--no-sandbox", "--disable-dev-shm-usage")
_SERIOUS = ("serious", "critical")


@dataclass
class Seen:
    """What a browser said while it showed pages: errors of the console, of scripts, and requests by their address."""

    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)


@contextmanager
def opened_browser() -> Iterator[Any]:
    """A browser; skips the test where there is no Chromium."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium; apt-get install chromium brings it")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def browsing(browser: Any, width: int = 1200, scheme: str = "light") -> Iterator[tuple[Any, Seen]]:
    """A page of this width and with this colour scheme that knows nothing of others, and what is seen of it."""
    seen = Seen()
    with browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    ) as context:
        page = context.new_page()
        page.on("console", lambda m: seen.errors.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: seen.errors.append(str(error)))
        page.on("request", lambda request: seen.requests.append(request.url))
        page.on("dialog", lambda dialog: (seen.dialogs.append(dialog.message), dialog.dismiss()))
        yield page, seen


def show(page: Any, url: str) -> None:
    """Opens a report and waits until it is there."""
    page.goto(url)
    page.wait_for_selector("html[data-ready]")


def until(page: Any, expression: str) -> None:
    """Waits until a JavaScript expression holds; Playwright's own waiting wants eval, which the page forbids."""
    for _ in range(600):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"it never came to hold: {expression}")


def serious_violations(page: Any) -> list[str]:
    """What axe-core holds against the page: the rule and the elements of each violation that is serious or worse.

    Its script comes from a package, since its licence (MPL-2.0) is not this repository's; it runs past the page's
    policy, which stays as it is for the page.
    """
    page.evaluate(resources.files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{v['id']}: {[n['html'][:200] for n in v['nodes'][:3]]}"
        for v in found["violations"]
        if v["impact"] in _SERIOUS
    ]
