"""The page of a root of 100,000 rows: seconds to write it, its size, and seconds until a browser shows it."""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from PIL import ImageOps

from curation.core.store import Store
from curation.report.serving import serve
from curation.report.write import write_report
from tests.support.browser import browsing, opened_browser, show, until
from tests.support.photographs import in_wheel
from tests.support.report_roots import large_root
from tests.support.roots import recipe, release

MOST_SECONDS, MOST_MEGABYTES = 2.0, 60.0
ROUNDS = 5


def photographs_of(side: int) -> list[bytes]:
    """The photographs of scikit-image, four parts of each, as JPEGs with this shorter side."""
    made = []
    for photograph in in_wheel():
        image = photograph.image()
        image.thumbnail((3 * side, 3 * side))
        for n in range(4):
            width, height = image.width * 3 // 4, image.height * 3 // 4
            left, top = (image.width - width) * (n % 2), (image.height - height) * (n // 2)
            part = ImageOps.fit(image.crop((left, top, left + width, top + height)), (side * 4 // 3, side))
            sink = io.BytesIO()
            part.save(sink, "JPEG", quality=95)
            made.append(sink.getvalue())
    return made


def opening(url: str) -> float:
    """Seconds until the page at ``url`` has put itself together, and the pictures that are in sight are there."""
    seconds = []
    for _ in range(ROUNDS):
        with opened_browser() as chromium, browsing(chromium) as (page, seen):
            started = time.perf_counter()
            show(page, url)
            page.evaluate("Promise.all([...document.images].filter(i => i.complete === false && i.loading !== 'lazy')"
                          ".map(i => i.decode()))")  # fmt: skip
            seconds.append(time.perf_counter() - started)
            assert not seen.errors, seen.errors
    return median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        pictures = photographs_of(512)
        world = large_root(f"{folder}/root", rows // 10_000, 10_000, pictures, recipe(images=False, shard_size=10_000))
        release(world)
        started = time.perf_counter()
        written = write_report(Store(world.store.url))
        first = time.perf_counter() - started
        started = time.perf_counter()
        write_report(Store(world.store.url))
        again = time.perf_counter() - started
        started = time.perf_counter()
        write_report(Store(world.store.url), always=False)
        unchanged = time.perf_counter() - started
        report = Path(folder, "root", "report")
        size = sum(p.stat().st_size for p in report.rglob("*") if p.is_file()) / 1e6
        page = (report / "index.html").stat().st_size / 1e6
        opened = opening((report / "index.html").as_uri())
        print(f"report_write_{rows} first={first:.2f}s again={again:.2f}s unchanged={unchanged:.2f}s")
        print(f"report_size_{rows} folder={size:.1f}MB page={page:.1f}MB pictures={written.thumbnails} "
              f"goal<{MOST_MEGABYTES:.0f}MB")  # fmt: skip
        print(f"report_open_{rows} seconds={opened:.2f}s goal<{MOST_SECONDS:.0f}s")
        started = time.perf_counter()
        with serve(world.store.url) as served:
            start = time.perf_counter() - started
            with opened_browser() as chromium, browsing(chromium) as (browser, _):
                show(browser, served.url)
                browser.wait_for_selector("#list li")
                started = time.perf_counter()
                browser.fill("#filter-q", "alt text 77 of large-3")
                until(browser, "document.getElementById('found').textContent.startsWith('11')")
                found = time.perf_counter() - started
        print(f"report_serve_{rows} start={start:.2f}s search={found:.2f}s")
        if opened > MOST_SECONDS or size > MOST_MEGABYTES:
            raise SystemExit("the page is too slow or too large")


if __name__ == "__main__":
    main()
