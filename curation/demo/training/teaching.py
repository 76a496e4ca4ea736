"""A lesson, from first step to last: learning rate, optimisers, log, and a state that survives kill -9.

A lesson's state is one file, replaced as a whole every few minutes. It holds everything that the next step
depends on, so a training that was killed goes on from its last saved state as if nothing had happened.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from curation.core.checkpoints import computes_bfloat16

log = logging.getLogger(__name__)


class Lesson(Protocol):
    """A loss for every step, the modules that it trains, and their evaluation."""

    @property
    def name(self) -> str: ...

    def modules(self) -> dict[str, nn.Module]:
        """Everything that learns and is saved."""
        ...

    def loss(self, step: int, progress: float) -> torch.Tensor:
        """The loss of a step's own batch: the same for the same step, progress and weights."""
        ...

    def evaluate(self) -> dict[str, float]: ...


@dataclass(frozen=True)
class Pace:
    """The length of a lesson: ``steps``, or less if ``seconds`` of computing run out first."""

    steps: int
    seconds: float | None = None
    rate: float = 2e-3
    warmup: int = 100
    save_every: float = 120.0
    evaluate_every: int = 200

    def progress(self, step: int, spent: float) -> float:
        """How much of the lesson is over, 0 to 1."""
        by_time = spent / self.seconds if self.seconds else 0.0
        return min(1.0, max(step / max(1, self.steps), by_time))

    def rate_at(self, step: int, progress: float) -> float:
        """Rises over ``warmup`` steps, stays, falls in a line from half of the lesson to its end."""
        return self.rate * min(1.0, (step + 1) / self.warmup) * min(1.0, max(0.02, 2 * (1 - progress)))


@dataclass
class State:
    """The progress of a lesson: steps, seconds of computing, and its lines of the training log."""

    step: int = 0
    spent: float = 0.0
    records: list[dict[str, Any]] = field(default_factory=list)


def teach(lesson: Lesson, pace: Pace, work: Path, device: torch.device) -> State:
    """Runs the lesson to its end, from its saved state if there is one in ``work``.

    A lesson that has ended goes on when it is given more steps or seconds than it has spent.
    """
    work.mkdir(parents=True, exist_ok=True)
    file = work / f"{lesson.name}.pt"
    modules = lesson.modules()
    optimisers = _optimisers(modules, pace.rate)
    state = _resume(file, modules, optimisers, device)
    saved = time.monotonic()
    for now in _steps(state, pace):
        progress = pace.progress(state.step, state.spent)
        for group in (g for o in optimisers for g in o.param_groups):
            group["lr"] = pace.rate_at(state.step, progress)
        loss = _step(lesson, modules, optimisers, state.step, progress, device)
        state.step += 1
        state.spent += time.monotonic() - now
        finished = pace.progress(state.step, state.spent) >= 1
        if finished or state.step % pace.evaluate_every == 0:
            _note(lesson, modules, state, loss, device)
        if finished or time.monotonic() - saved > pace.save_every:
            _save(file, state, modules, optimisers)
            saved = time.monotonic()
    return state


def _steps(state: State, pace: Pace) -> Iterator[float]:
    while pace.progress(state.step, state.spent) < 1:
        yield time.monotonic()


def low_precision(device: torch.device) -> AbstractContextManager[Any]:
    """bfloat16 where it is fast; training keeps its weights in float32."""
    fast = device.type in ("cpu", "cuda") and computes_bfloat16(device)
    return torch.autocast(device.type, torch.bfloat16) if fast else nullcontext()


def _step(
    lesson: Lesson,
    modules: dict[str, nn.Module],
    optimisers: list[torch.optim.Optimizer],
    step: int,
    progress: float,
    device: torch.device,
) -> float:
    for optimiser in optimisers:
        optimiser.zero_grad()
    with low_precision(device):
        loss = lesson.loss(step, progress)
    loss.backward()  # type: ignore[no-untyped-call]  # torch has no types here
    nn.utils.clip_grad_norm_([p for m in modules.values() for p in m.parameters() if p.grad is not None], 1.0)
    for optimiser in optimisers:
        optimiser.step()
    return float(loss.detach())


def _optimisers(modules: dict[str, nn.Module], rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for the rest: half the steps of AdamW alone."""
    named = {id(p): (n, p) for m in modules.values() for n, p in m.named_parameters() if p.requires_grad}
    matrices = [p for n, p in named.values() if p.ndim == 2 and "layers." in n]
    rest = [p for n, p in named.values() if not (p.ndim == 2 and "layers." in n)]
    adam = torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.98), weight_decay=0.02)
    if not matrices:
        return [adam]
    return [torch.optim.Muon(matrices, lr=rate, weight_decay=0.02, adjust_lr_fn="match_rms_adamw"), adam]


def _note(lesson: Lesson, modules: dict[str, nn.Module], state: State, loss: float, device: torch.device) -> None:
    for module in modules.values():
        module.eval()
    with low_precision(device), torch.no_grad():
        measured = {k: round(v, 4) for k, v in lesson.evaluate().items()}
    for module in modules.values():
        module.train()
    record = {"lesson": lesson.name, "step": state.step, "seconds": round(state.spent), "loss": round(loss, 4)}
    state.records.append({**record, **measured})
    log.info("%s", json.dumps(state.records[-1]))


def _save(file: Path, state: State, modules: dict[str, nn.Module], optimisers: list[torch.optim.Optimizer]) -> None:
    content = {
        "state": {"step": state.step, "spent": state.spent, "records": state.records},
        "modules": {name: module.state_dict() for name, module in modules.items()},
        "optimisers": [o.state_dict() for o in optimisers],
    }
    temporary = file.with_suffix(".tmp")
    torch.save(content, temporary)
    temporary.replace(file)


def _resume(
    file: Path, modules: dict[str, nn.Module], optimisers: list[torch.optim.Optimizer], device: torch.device
) -> State:
    if not file.is_file():
        return State()
    content = torch.load(file, map_location=device, weights_only=True)
    for name, module in modules.items():
        module.load_state_dict(content["modules"][name])
    for optimiser, saved in zip(optimisers, content["optimisers"] if optimisers else [], strict=True):
        optimiser.load_state_dict(saved)
    return State(**content["state"])


def recall(lesson: Lesson, work: Path, device: torch.device) -> State:
    """Loads the lesson's saved state into its modules; changes nothing if it never ran."""
    return _resume(work / f"{lesson.name}.pt", lesson.modules(), [], device)
