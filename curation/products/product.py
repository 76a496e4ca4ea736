"""A product: a recipe, and the ordered list of steps that follows from it. Everything else is made from these two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from curation.core.errors import SourceError
from curation.core.recipes import EXAMPLE
from curation.core.root import check_free_space
from curation.core.run import Barrier, Step, segment
from curation.core.store import Store
from curation.dedupe.across.decontamination_stage import DecontaminationStep
from curation.dedupe.blocklist_stage import BlocklistStep
from curation.dedupe.crops_stage import crop_hashing
from curation.dedupe.reduce import dedupe_reduce
from curation.dedupe.thumbnails_stage import ThumbnailStep
from curation.fetch.download_stage import DownloadStage, OpensLook
from curation.fetch.signals_stage import SignalsStage
from curation.sources.plan_stage import Planning
from curation.sources.repeats_stage import RepeatReduce
from schemas.blocklists import Blocklists
from schemas.part import Part
from schemas.recipe import Decontamination, Dedupe, Download, Run, Source
from schemas.records import SourceRow
from schemas.signals import Signals

R = TypeVar("R", bound=Part)


class FromImages(Protocol):
    """A recipe that starts from images and texts of a source."""

    @property
    def source(self) -> Source: ...

    @property
    def download(self) -> Download: ...

    @property
    def dedupe(self) -> Dedupe: ...

    @property
    def decontamination(self) -> Decontamination: ...

    @property
    def signals(self) -> Signals: ...

    @property
    def blocklists(self) -> Blocklists: ...

    @property
    def run(self) -> Run: ...


def gathering_steps(recipe: FromImages, planning: Planning, look: OpensLook | None = None) -> list[Step]:
    """From the source to images without duplicates: the steps with which every product of images begins.

    ``look`` sees each picture in the pass that fetches it.
    """
    signals = recipe.signals if recipe.signals.enabled else None
    download = DownloadStage(recipe.download, recipe.run.stop_at_share, look, signals)
    blocked = BlocklistStep(recipe.blocklists)
    return [
        planning,
        Barrier(RepeatReduce(recipe.source.max_text_repeats)),
        segment("download", [download, SignalsStage.of_recipe(recipe.download, signals)], over=SourceRow),
        blocked,
        ThumbnailStep(),
        crop_hashing(recipe.dedupe),
        DecontaminationStep(recipe.dedupe, recipe.decontamination),
        Barrier(dedupe_reduce(recipe.dedupe, recipe.decontamination, blocklisted=blocked.on)),
    ]


def _none(store: Store, recipe: Part) -> list[str]:
    return []


@dataclass(frozen=True)
class Product(Generic[R]):
    """A kind of dataset.

    ``name`` is what the key ``product`` of a root's recipe.toml says; ``steps`` makes the steps of a recipe, the
    source's specs given or not, and looks at nothing outside; ``problems`` says what a finished root has that none
    of the product may have. ``example`` is a setting that its recipe has, for the help of --set.
    """

    name: str
    recipe: type[R]
    about: str
    source: str
    steps: Callable[[R, Sequence[str]], list[Step]]
    problems: Callable[[Store, R], list[str]] = _none
    example: str = EXAMPLE

    def ready(self, recipe: R, specs: Sequence[str], store: Store | None = None) -> list[Step]:
        """The steps of a run, after a look at everything that they need. Raises ``UsageError``.

        ``store`` is the root, where logs of what the run starts are kept; None writes nothing.
        """
        if not all(spec.strip() for spec in specs):
            raise SourceError("--source is empty; name a file, a pattern, a folder or an fsspec URL")
        if store is not None:
            check_free_space(store)
        return [step.ready(store) if step.on else step for step in self.steps(recipe, specs)]
