"""The download stage: every row that the plan let through becomes an image in the shard's tar, or a reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol, Self

import pyarrow as pa

from curation.core.losses import Losses
from curation.core.memory import keep_freed_memory
from curation.core.stage import Resources, Shard, Work, digest, setting
from curation.core.store import Store
from curation.core.under_way import Progress, followed
from curation.core.verdict import Verdict, ViewColumn
from curation.sources.tombstones import Tombstones
from schemas.arrow import Record, columns, rows_of, table_of
from schemas.reasons import Reason
from schemas.recipe import Download
from schemas.records import ImageRow, Repeat, SourceRow
from schemas.signals import Signals

if TYPE_CHECKING:
    from curation.fetch.http import Fetcher
    from curation.fetch.limiter import DecodeLimiter
    from curation.fetch.seams import GuardedOpener
    from curation.fetch.shard_rows import ShardRows
    from curation.fetch.spool import Spool
    from curation.images.picture import Look

# Images exported at 512 px and quality 95 weigh about this much each; the source does not say.
_BYTES_AN_IMAGE = {"jpeg": 90_000, "webp": 70_000, "png": 420_000}
_REASONS: dict[str, str] = {
    Reason.BAD_URL: "a URL or redirect that cannot be requested",
    Reason.FORBIDDEN_ADDRESS: "the host resolves to a private or reserved address",
    Reason.NAME_NOT_RESOLVED: "the host name does not resolve",
    Reason.CONNECTION_FAILED: "no connection, or it broke off before the reply",
    Reason.TLS_FAILED: "the TLS handshake or the certificate failed",
    Reason.TIMEOUT: "no complete reply within download.timeout",
    Reason.TOO_MANY_REDIRECTS: "more redirects than are followed",
    Reason.HTTP_400: "HTTP status 400, bad request",
    Reason.HTTP_401: "HTTP status 401, login required",
    Reason.HTTP_403: "HTTP status 403, forbidden",
    Reason.HTTP_404: "HTTP status 404, not found",
    Reason.HTTP_410: "HTTP status 410, gone",
    Reason.HTTP_429: "HTTP status 429, too many requests, also after retries",
    Reason.HTTP_451: "HTTP status 451, unavailable for legal reasons",
    Reason.HTTP_4XX: "another HTTP status from 400 to 499",
    Reason.HTTP_5XX: "an HTTP status from 500 to 599, also after retries",
    Reason.HTTP_UNEXPECTED: "any other HTTP status, or a reply that is not HTTP",
    Reason.TRUNCATED: "fewer bytes than the reply announced, or an image cut off",
    Reason.TOO_MANY_BYTES: "larger than download.max_bytes",
    Reason.OPTED_OUT: "host, response or file forbids use for training (signals.forbidden)",
    Reason.ROBOTS_TXT: "robots.txt excludes us, or a robot of signals.agents",
    Reason.USE_RESTRICTED: "conditions or a licence that the recipe honours (signals.constrained)",
    Reason.HASH_MISMATCH: "the bytes do not have the source's hash (download.hash_policy)",
    Reason.FILE_MISSING: "a local file or tar member that cannot be read",
    Reason.EMPTY_BODY: "a reply or file without bytes",
    Reason.NOT_AN_IMAGE: "bytes of something else, such as a web page",
    Reason.UNSUPPORTED_FORMAT: "an image format that is not supported",
    Reason.TOO_MANY_PIXELS: "more pixels than download.max_pixels",
    Reason.UNDECODABLE: "a damaged image that cannot be decoded",
    Reason.ANIMATED: "an image with several frames",
    Reason.TOO_SMALL: "shorter side below download.min_side",
    Reason.ASPECT: "ratio of sides above download.max_aspect",
    Reason.TAKEN_DOWN: "the bytes are those of a picture that was taken down",
}
_DOCS = {c.name: c.doc for c in columns(ImageRow)}
_COLUMNS = (
    *(ViewColumn(c, f"v.{c}", _DOCS[c], in_samples=True) for c in ("width", "height", "sha256", "phash")),
    *(ViewColumn(c, f'v."{c}"', "as in images") for c in ("offset", "size")),
)


class OpensLook(Protocol):
    """What looks at each picture while its pixels are at hand; plain data, opened in the worker."""

    def open(self) -> AbstractContextManager[Look]: ...


@dataclass(frozen=True)
class DownloadStage:
    """Fetches each image, checks it, prepares its pixels and hashes them.

    The extension is ``.webp`` or ``.png`` where the recipe asks for that format. A shard without images has an empty
    tar, so that readers of images need no special case.
    """

    name: ClassVar[str] = "download"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (SourceRow, Repeat)
    writes: ClassVar[type[Record]] = ImageRow
    builds_on_earlier: ClassVar[bool] = True

    recipe: Download
    stop_at_share: float = setting(1.0, digest=False)  # run.stop_at_share; ``curation.fetch.faults`` says what counts
    # Not in the digest: what it finds is kept beside the images, and can be had from them later.
    look: OpensLook | None = setting(None, digest=False)
    # Given only where the recipe enables them: roots that were made before signals keep their downloads.
    signals: Signals | None = setting(None, digest=True, later=True)

    @property
    def resources(self) -> Resources:
        return Resources(cpus=1.0, workers=self.recipe.workers)

    @property
    def verdict(self) -> Verdict:
        return Verdict.each(ImageRow, _REASONS, _COLUMNS)

    def ready(self, store: Store | None) -> Self:
        """Raises ``RecipeError`` for settings that no request can be made with."""
        from curation.fetch.http import Fetcher

        Fetcher(self.recipe, signals=self.signals).close()
        return self

    def estimate(self, samples: int) -> list[tuple[str, str]]:
        stored = samples * _BYTES_AN_IMAGE[self.recipe.format] / 1e9
        return [
            ("to fetch", f"{samples:>12,} {'image' if samples == 1 else 'images'}, before repeats are taken out"),
            ("to store", f"{stored:>12,.2f} GB of images twice (prepared, released), at most"),
        ]

    def warm(self) -> None:
        import curation.fetch.shard  # noqa: F401  # brings img2dataset and OpenCV
        from curation.images.pixels import warm_up

        warm_up()
        if self.look is not None:
            with self.look.open():
                pass  # which compiles what it looks with

    @contextmanager
    def open(self) -> Iterator[Work]:
        """Raises ``RecipeError`` for settings that no request can be made with."""
        from curation.fetch.http import Fetcher
        from curation.fetch.limiter import DecodeLimiter
        from curation.fetch.seams import installed
        from curation.images.pixels import warm_up
        from curation.images.quiet import quiet_decoders, single_threaded_opencv

        looking = self.look.open() if self.look is not None else nullcontext()
        with (
            Fetcher(self.recipe, signals=self.signals) as fetcher,
            installed() as opener,
            single_threaded_opencv(),
            quiet_decoders(),
            looking as look,
        ):
            warm_up()
            keep_freed_memory()
            limiter, losses = DecodeLimiter(), Losses(self.name, self.stop_at_share, "rows")
            yield lambda shard: self._download(shard, fetcher, opener, limiter, losses, look)

    def sweep(self, store: Store) -> None:
        """As ``Sweeps``: what workers on this machine shared, and spools of shards that are finished."""
        from curation.fetch.shared_answers import remove
        from curation.fetch.spool import folder_of, remove_finished

        remove_finished(store, digest(self))
        remove(folder_of(store))

    def _download(
        self,
        shard: Shard,
        fetcher: Fetcher,
        opener: GuardedOpener,
        limiter: DecodeLimiter,
        losses: Losses,
        look: Look | None,
    ) -> pa.Table:
        from curation.fetch.earlier import Earlier
        from curation.fetch.output import statistics
        from curation.fetch.process_row import keep_beside, publish_looks
        from curation.fetch.retrieved import keep_times
        from curation.fetch.shard import download, patience
        from curation.fetch.spool import folder_of, spool_of
        from curation.fetch.stored_rows import take_over

        fetcher.share_host_files(folder_of(shard.store))
        planned = shard.read(SourceRow)
        rows = _wanted(shard, planned)
        stones = Tombstones.of_root(shard.store)
        buried = stones.by_bytes.keys()
        take_over(shard, digest(self))
        earlier = Earlier.of(shard, digest(self)).judged(planned, stones, fetcher.policy)
        known, fresh = earlier.split(rows, self.recipe.max_bytes)
        name = Store.images_file(shard.name)
        tar, spill, counts = shard.scratch(name), shard.scratch(name), shard.scratch(name)
        spool: Spool | None = None
        there = 0

        def follow(under_way: ShardRows) -> AbstractContextManager[None]:
            return followed(
                lambda: Progress(ImageRow.table, shard.name, there + under_way.done, len(rows), fetcher.waiting_for())
            )

        try:
            if fresh or earlier.anew or not earlier.rows:
                at, copied = earlier.begin(tar, fresh, self.recipe.extension)
                known |= copied
                missing = [row for row in fresh if row.sample_id not in copied]
                there = len(rows) - len(missing)
                spool = spool_of(shard, missing)
                with spool or nullcontext():
                    fetched = download(
                        missing,
                        tar,
                        spill,
                        settings=self.recipe,
                        fetcher=fetcher,
                        opener=opener,
                        limiter=limiter,
                        stuck_after=patience(self.recipe, fetcher.policy),
                        ended=lambda: fetcher.ended,
                        at=at,
                        spool=spool,
                        losses=losses,
                        look=look,
                        buried=buried,
                        policy=fetcher.policy,
                        follow=follow,
                    )
                known |= {row.sample_id: row for row in fetched}
                earlier.forget_others()
                shard.publish(name, tar)
            else:
                shard.vouch(name)
            images = [known[row.sample_id] for row in rows]
            counts.write_bytes(statistics(images))
            shard.publish(name.removesuffix(".tar") + "_stats.json", counts)
            publish_looks(shard, images)
            keep_beside(shard, images, digest(self))
            earlier.publish(images)  # behind what stands beside them, which would else be lost where this is killed
            if fetcher.policy.keeps:
                keep_times(shard.store, shard.name, images)
            table = table_of(ImageRow, images)
        finally:
            for left in (tar, counts):
                left.unlink(missing_ok=True)
        if spool is not None:
            shard.on_commit.append(spool.remove)
        return table


def _wanted(shard: Shard, table: pa.Table) -> list[SourceRow]:
    """The rows that no filter rejected and that repeat no other, in the source's order."""
    shard.rows_in = table.num_rows
    repeats = {(r.source_file, r.source_row) for r in rows_of(Repeat, shard.read(Repeat))}
    return [r for r in rows_of(SourceRow, table) if r.reason is None and (r.source_file, r.source_row) not in repeats]
