"""The options of a flow, as a command line and as parameters of a Prefect deployment."""

from __future__ import annotations

import argparse
import shlex
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, Self, TypeVar

from curation.catalog import refresh
from curation.core.errors import LapidaryError, ShardsFailed
from curation.core.invocation import command_of
from curation.core.recipes import EXAMPLE, document, set_keys
from curation.core.root import resolve_recipe
from curation.core.run import RunRecord, Step
from curation.core.store import Store
from curation.counts import counts_of
from curation.products.product import Product
from curation.release.views.verdicts import decisions_of
from curation.scores.score_stage import ScoreStage
from curation.scores.scorer import about
from flows.announce import announce, publish_page, publish_table
from flows.json_lines import add_log_option
from flows.profiles import ENGINES, ENGINES_SAID, PROFILES
from flows.summary import funnel
from schemas.part import Part

P = TypeVar("P", bound=Part)
EXIT_CODES = """exit codes:

  0    done
  1    some shards failed, or rows got no verdict because a server did not answer; the same command tries them again
  2    refused before any work, in one line
  3    done, but the release is empty, or more than half of at least 20 rows were lost to one reason; a warning names
       the reason and what to do
  130  interrupted; the same command goes on"""


@dataclass(frozen=True)
class Request:
    """The options of one run; plain data, as a Prefect deployment stores it."""

    module: str
    source: tuple[str, ...]
    root: str
    recipe: str | None = None
    settings: tuple[str, ...] = ()
    limit: int = 0
    profile: str = "local"
    engine: str = "ray"
    wait_for_root: bool = False

    @classmethod
    def of(cls, module: str, args: argparse.Namespace) -> Self:
        """The request that a parsed command line makes."""
        return cls(
            *(module, tuple(args.source), args.root, args.recipe, tuple(args.settings), args.limit),
            *(args.profile, args.engine, args.wait_for_root),
        )

    def parameters(self) -> dict[str, Any]:
        """The flow's parameters."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items() if k != "module"}

    def command(self) -> str:
        """The command line that makes the same request."""
        words = command_of(self.module).split()
        words += ["--source", *self.source] if self.source else []
        words += ["--root", self.root]
        words += ["--limit", str(self.limit)] if self.limit else []
        return shlex.join([*words, *run_option_words(self)])

    def resolve(self, model: type[P], store: Store) -> P:
        """The recipe that is asked for. Raises ``UsageError``."""
        settings = [*self.settings, *([f"source.limit={self.limit}"] if self.limit else [])]
        recipe = resolve_recipe(model, store, self.recipe, settings)
        source = getattr(recipe, "source")  # noqa: B009  # every recipe has one
        asked = self.recipe is not None or {"source", "source.limit"} & set_keys(settings)
        if source.limit and not asked:
            # A limit applies to the run that names it; the root does not keep it for the next run.
            recipe = recipe.model_copy(update={"source": source.model_copy(update={"limit": 0})})
        return recipe


class RunOptions(Protocol):
    """What ``add_run_options`` adds to a command line."""

    @property
    def recipe(self) -> str | None: ...
    @property
    def settings(self) -> tuple[str, ...]: ...
    @property
    def profile(self) -> str: ...
    @property
    def engine(self) -> str: ...
    @property
    def wait_for_root(self) -> bool: ...


def run_option_words(options: RunOptions) -> list[str]:
    """The words of a command line that make these options."""
    words = ["--recipe", options.recipe] if options.recipe else []
    for setting in options.settings:
        words += ["--set", setting]
    words += ["--profile", options.profile, "--engine", options.engine]
    return [*words, "--wait-for-root"] if options.wait_for_root else words


def conclude(store: Store, record: RunRecord) -> dict[str, int]:
    """Renews the catalog and counts the fates: source rows by fate.

    Raises ``LapidaryError`` when they do not add up, and ``ShardsFailed`` when the run lost some.
    """
    found = counts_of(store)
    counts = found.conservation
    refresh(store, found.state)
    if not counts.ok:
        raise LapidaryError(f"the fates do not add up in {store.url}: {counts}; this is a bug, please report it")
    publish_table("funnel", funnel(found), "every source row by stage, fate and reason")
    publish_page(store)
    fates = {"source": counts.source, "kept": counts.kept, "rejected": counts.rejected, "failed": counts.failed}
    announce("run.failed-shards" if record.failed else "run.completed", store, fates)
    if record.failed:
        raise ShardsFailed(record.failed)
    return fates


def command_line(module: str, product: Product[Any], *, required: bool = True) -> argparse.ArgumentParser:
    """The options of every flow. The help documents every recipe key and every stage from their declarations."""
    steps = product.steps(product.recipe(), ())
    parser = argparse.ArgumentParser(
        prog=command_of(module),
        description=product.about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="recipe keys (TOML tables and keys, or --set table.key=value):\n\n"
        + document(product.recipe)
        + _document_scores(steps)
        + "\n\nstages, in their order, and the reasons for which they reject a sample:\n\n"
        + document_stages(steps)
        + "\n\n"
        + EXIT_CODES,
    )
    parser.add_argument("--source", nargs="+", required=required, default=[], metavar="SPEC", help=product.source)
    parser.add_argument("--root", required=required, help="the dataset's root: a folder or any fsspec URL")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="only the first N rows of the source")
    add_run_options(parser, "the root's own recipe", product.example)
    return parser


def add_run_options(parser: argparse.ArgumentParser, recipe: str, example: str = EXAMPLE) -> None:
    """The options that all commands share which run a flow; ``recipe`` says which recipe applies without --recipe.

    ``example`` is a setting that the recipe has.
    """
    parser.add_argument("--recipe", help=f"a TOML file; without it {recipe}, or the defaults")
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help=f"one recipe key, e.g. {example}; may be repeated",
    )
    parser.add_argument(
        "--profile",
        choices=PROFILES,
        default="local",
        help="where workers live: this machine, or the cluster at RAY_ADDRESS",
    )
    parser.add_argument("--engine", choices=ENGINES, default="ray", help=ENGINES_SAID)
    parser.add_argument(
        "--wait-for-root", action="store_true", help="wait while another run holds the root, instead of ending"
    )
    add_log_option(parser)
    parser.add_argument("--dry-run", action="store_true", help="print what would happen, and touch nothing")


@dataclass(frozen=True)
class DescribedStage:
    """A stage as people are told of it; ``reasons`` are those for which it rejects, each with its meaning."""

    label: str
    about: str
    reasons: dict[str, str]


def described_stages(steps: Sequence[Step]) -> list[DescribedStage]:
    """All stages that decide, in their order; parts whose decisions have the same label are one stage."""
    about: dict[str, list[str]] = {}
    reasons: dict[str, dict[str, str]] = {}
    for decision in decisions_of([part for step in steps for part in step.parts]):
        about.setdefault(decision.label, []).append(_first_paragraph(decision.part))
        meanings = {str(reason): decision.verdict.meaning(reason) for reason in decision.verdict.reasons}
        reasons.setdefault(decision.label, {}).update(meanings)
    return [DescribedStage(label, " ".join(said), reasons[label]) for label, said in about.items()]


def document_stages(steps: Sequence[Step]) -> str:
    """What each stage does and why it may reject a sample, as ``--help`` prints it; one line a reason."""
    lines: list[str] = []
    for stage in described_stages(steps):
        lines += textwrap.wrap(f"{stage.label}: {stage.about}", 110, initial_indent="  ", subsequent_indent="    ")
        lines += [f"      {reason:<25}  {meaning}".rstrip() for reason, meaning in stage.reasons.items()]
    return "\n".join(lines)


def _document_scores(steps: Sequence[Step]) -> str:
    """Every scorer with its scores, one line each; empty for a product without scorers."""
    scorers = [part.scorer for step in steps for part in step.parts if isinstance(part, ScoreStage)]
    lines: list[str] = []
    for scorer in scorers:
        said = f"{scorer.name}: {about(scorer)} Costs {scorer.cost}."
        lines += textwrap.wrap(said, 110, initial_indent="  ", subsequent_indent="    ")
        lines += [f"      {column.name:<20}  {column.described}" for column in scorer.columns]
    title = "\n\nscorers, for scores.compute, and their scores, NAME in scores.NAME.min:\n\n"
    return title + "\n".join(lines) if lines else ""


def _first_paragraph(part: object) -> str:
    return " ".join((type(part).__doc__ or "").strip().partition("\n\n")[0].split())
