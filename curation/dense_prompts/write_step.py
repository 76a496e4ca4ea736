"""The step that writes prompts, round by round, until every category has as many as its quota says."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from curation.core.job import Outcome, Report
from curation.core.pipeline import Engine, Totals, run_reduce, run_segment
from curation.core.run import Part, Step
from curation.core.stage import Stage, digest
from curation.core.store import Store
from curation.dense_prompts.check_stage import PromptCheckStage
from curation.dense_prompts.choose_reduce import ChooseReduce, category_in
from curation.dense_prompts.overlap_reduce import OverlapReduce
from curation.dense_prompts.plan_stage import PlanStage
from curation.dense_prompts.rounds import lacking_in, next_round, read_rounds
from curation.dense_prompts.seeds import Seeds, apportion
from curation.dense_prompts.write_stage import WriteStage
from schemas.arrays import strings
from schemas.dense_prompts import DensePrompts
from schemas.prompt_records import PromptChoice
from schemas.records import SourceRow

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WritePrompts(Step):
    """Plans, writes and checks as many prompts as lack, chooses, and begins again, ``quotas.rounds`` times at most."""

    name: str = field(init=False, default="write")
    recipe: DensePrompts
    plan: PlanStage
    write: WriteStage
    check: PromptCheckStage
    compare: OverlapReduce
    choose: ChooseReduce

    @classmethod
    def of(cls, recipe: DensePrompts, specs: Sequence[str]) -> WritePrompts:
        """The step before a look at seeds, roots and model; ``ready`` completes it."""
        stop = recipe.run.stop_at_share
        return cls(
            recipe,
            PlanStage.declared(recipe.source, tuple(specs), recipe.quotas.size),
            WriteStage(recipe.write, recipe.llm, recipe.source.seed, stop_at_share=stop),
            PromptCheckStage(recipe.check, stop_at_share=stop),
            OverlapReduce.declared(recipe.decontamination, tuple(specs)),
            ChooseReduce(recipe.check.near, ()),
        )

    @property
    def parts(self) -> Sequence[Part]:
        return (self.plan, self.write, self.check, self.compare, self.choose)

    @property
    def stages(self) -> tuple[Stage, ...]:
        return (self.plan, self.write, self.check)

    def ready(self, store: Store | None) -> Self:
        quotas = self.quotas()
        return replace(
            self,
            plan=self.plan.ready(store),
            write=self.write.ready(store),
            compare=self.compare.ready(store),
            choose=replace(self.choose, quotas=tuple(quotas.items())),
        )

    def quotas(self) -> dict[str, int]:
        """Prompts of each category. Raises ``RecipeError``."""
        weights = Seeds.load(self.recipe.source.seeds).weights(self.recipe.quotas.weights)
        return {name: quota for name, quota in apportion(self.recipe.quotas.size, weights).items() if quota}

    def outlook(self, store: Store) -> list[str]:
        chosen, quotas = chosen_in(store), self.quotas()
        lacking = sum(max(0, quota - chosen[name]) for name, quota in quotas.items())
        return [
            f"prompts     {sum(chosen.values()):>12,} of {self.recipe.quotas.size:,} chosen so far",
            *(f"  category  {quota:>12,} {name}, {chosen[name]:,} chosen" for name, quota in quotas.items()),
            f"to ask      {lacking:>12,} times {self.write.model.name}, and again for what is rejected, in "
            f"{self.recipe.quotas.rounds} rounds at most; a reply has {self.recipe.write.max_tokens:,} tokens at most",
        ]

    def run(self, store: Store, engine: Engine, report: Report) -> Totals:
        totals = Totals()

        def both(outcome: Outcome) -> None:
            totals.add(outcome)
            report(outcome)

        key, quotas = digest(self.plan), self.quotas()
        rounds = read_rounds(store, key)
        fresh = rounds
        while True:
            shards = [shard for r in fresh for shard in r.shards(self.plan.shard_rows)]
            lost = self._round(store, engine, shards, both) if fresh else False
            chosen = chosen_in(store)
            # Where some got no reply, what lacks is not known yet: the next run asks for these first.
            following = None if lost else next_round(rounds, key, quotas, chosen, self.recipe.quotas.rounds)
            if following is None:
                break
            store.write(f"plans/{following.name}.json", following.to_json())
            rounds, fresh = [*rounds, following], [following]
        if lacking := list(lacking_in(quotas, chosen)):
            log.warning(
                "not all quotas are full after %d rounds: %s; raise quotas.rounds, or see why prompts were rejected",
                len(rounds),
                "; ".join(lacking),
            )
        return totals

    def _round(self, store: Store, engine: Engine, shards: list[str], report: Report) -> bool:
        """Writes and judges these shards; whether some of their rows are left without a verdict."""
        found = run_segment(store, engine, self.stages, shards, report)
        run_reduce(store, self.compare, report)
        run_reduce(store, self.choose, report)
        return bool(found.failed)


def chosen_in(store: Store) -> Counter[str]:
    """Chosen prompts of a root by category."""
    found: Counter[str] = Counter()
    for shard in store.shards(PromptChoice.table):
        if store.entry(SourceRow.table, shard) is None:
            continue
        rows = store.read_table(SourceRow, shard, ["sample_id", "source_file"])
        choices = store.read_table(PromptChoice, shard, ["sample_id", "reason"])
        of = dict(zip(strings(rows.column("sample_id")), strings(rows.column("source_file")), strict=True))
        pairs = zip(strings(choices.column("sample_id")), choices.column("reason").to_pylist(), strict=True)
        found.update(category_in(of[sample]) for sample, reason in pairs if reason is None)
    return found
