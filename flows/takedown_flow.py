"""A takedown as a Prefect flow, for a deployment: its parameters are those of ``flows.takedown.take_down``."""

from __future__ import annotations

from prefect import flow

from flows.takedown import take_down

takedown = flow(name="takedown", description="Takes samples out of a root for good.", persist_result=False)(take_down)
