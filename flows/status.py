"""How the run of a root is doing, from another terminal or machine: ``lapidary status ROOT``."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from curation.core.errors import UsageError
from curation.core.invocation import command_of, command_with
from curation.core.printable import printable
from curation.core.root import open_root
from curation.core.run_status import RunStatus, TableProgress, status
from curation.core.store import Store

MODULE = "flows.status"
_MOST_FAILURES = 5
_ABOUT = """
Tells how the last run of a root is doing: its step, shards, rates, the time that is left, and the last failures. It
only reads the root, so that it may be asked on any machine that reaches it, and never disturbs the run. With --metrics
it serves the same as numbers for Prometheus until it is interrupted.
"""
_MEANINGS = {
    "killed": "killed; the same command goes on",
    "silent": "it has said nothing for a while; it may be dead, or its machine may be out of reach",
}


def lines(url: str, found: RunStatus) -> Iterator[str]:
    """What is printed of a status; without characters that would steer a terminal."""
    where = f", {found.owner}" if found.owner is not None and found.state in ("running", "silent") else ""
    yield f"root            {url}"
    yield f"run             {found.run_id}{where}"
    yield f"command         {found.command}"
    yield f"state           {_MEANINGS.get(found.state, found.state)}, {found.seconds:,.0f} s after its start"
    if found.detail:
        yield f"why             {found.detail}"
    for table in found.tables:
        yield f"{table.table:<15} {table.text()}"
    for failure in found.failures[:_MOST_FAILURES]:
        yield f"failed          {failure.table}/{failure.shard}: {' '.join(failure.error.split())[:200]}"
    if len(found.failures) > _MOST_FAILURES:
        more = len(found.failures) - _MOST_FAILURES
        yield f"                and {more:,} more: {command_with('curation.catalog', url, 'from failures')}"


def serve(store: Store, port: int, host: str) -> None:
    """Serves the status as Prometheus reads it, anew for every request, until the process is interrupted."""
    from prometheus_client import start_http_server

    server, thread = start_http_server(port, host, registry=registry(store))
    print(f"http://{host}:{server.server_port}/metrics", flush=True)
    try:
        thread.join()
    except KeyboardInterrupt:
        server.shutdown()


def registry(store: Store) -> Any:
    """A Prometheus registry that looks at the root whenever it is asked."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import GaugeMetricFamily
    from prometheus_client.registry import Collector as ProtoCollector

    per_table: dict[str, tuple[str, Callable[[TableProgress], float | None]]] = {
        "shards": ("shards of a table that the run has dealt with", lambda t: t.shards),
        "shards_expected": ("shards of a table that the run will deal with, where known", lambda t: t.total),
        "shards_skipped": ("shards that were finished before the run", lambda t: t.skipped),
        "shards_failed": ("shards that failed in the run", lambda t: t.failed),
        "rows": ("rows of shards that the run has finished", lambda t: t.rows),
        "rows_per_second": ("rows a second since the table was begun", lambda t: t.rate),
        "seconds_left": ("estimated seconds to the end of the table", lambda t: t.left),
    }

    class Collector(ProtoCollector):
        def collect(self) -> Iterator[GaugeMetricFamily]:
            found = status(store)
            running = GaugeMetricFamily("lapidary_running", "1 while a run works on the root")
            running.add_metric([], float(found.state == "running"))
            yield running
            age = GaugeMetricFamily("lapidary_seconds", "seconds since the run started, or that it took")
            age.add_metric([], found.seconds)
            yield age
            failed = GaugeMetricFamily("lapidary_failed_shards", "failed shards in the root", labels=["table"])
            for table in sorted({f.table for f in found.failures}):
                failed.add_metric([table], float(sum(f.table == table for f in found.failures)))
            yield failed
            for name, (about, value) in per_table.items():
                gauge = GaugeMetricFamily(f"lapidary_{name}", about, labels=["table"])
                for progress in found.tables:
                    number = value(progress)
                    if number is not None:
                        gauge.add_metric([progress.table], float(number))
                yield gauge

    made = CollectorRegistry()
    made.register(Collector())
    return made


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog=command_of(MODULE), description=_ABOUT.strip())
    made.add_argument("root", help="the dataset's root: a folder or any fsspec URL")
    made.add_argument("--json", action="store_true", help="print the status as one JSON object")
    made.add_argument("--every", type=float, metavar="SECONDS", help="print it again and again, until interrupted")
    made.add_argument("--metrics", type=int, metavar="PORT", help="serve it for Prometheus at this port (0: any)")
    made.add_argument(
        "--metrics-host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="the address to serve it at (default %(default)s, this machine alone)",
    )
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """The command line's exit code: 0, or 2 where the root has no runs."""
    args = parser().parse_args(argv)
    try:
        store = open_root(args.root, shared=False)
        found = status(store)
        if args.metrics is not None:
            serve(store, args.metrics, args.metrics_host)
            return 0
        while True:
            _show(args.root, found, as_json=args.json)
            if args.every is None:
                return 0
            time.sleep(args.every)
            found = status(store)
    except KeyboardInterrupt:
        return 0
    except (UsageError, OSError) as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return 2


def _show(url: str, found: RunStatus, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"root": url, **asdict(found)}, sort_keys=True), flush=True)
        return
    print("\n".join(printable(line) for line in lines(url, found)), flush=True)


if __name__ == "__main__":
    sys.exit(main())
