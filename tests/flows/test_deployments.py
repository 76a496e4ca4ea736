"""Every flow has a deployment in ``infra/prefect.yaml``, with parameters that the flow takes."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path
from typing import Any

import pytest
from prefect import Flow
from prefect.cli.deploy._config import _load_deploy_configs_and_actions
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.templating import apply_values
from rich.console import Console

import flows
from curation.core.errors import UsageError
from tests.support.processes import REPOSITORY

SAID = ("SOURCE", "ROOT", "RECIPE", "ANCHOR_SOURCE", "ANCHOR_ROOT", "EXPAND_SOURCE", "EXPAND_ROOT", "PROMPTS_ROOT")


def deployments() -> list[dict[str, Any]]:
    """As Prefect's own command reads them."""
    found, _ = _load_deploy_configs_and_actions(REPOSITORY / "infra/prefect.yaml", console=Console())
    return found


def all_flows() -> dict[str, Flow[..., Any]]:
    modules = (importlib.import_module(f"flows.{found.name}") for found in pkgutil.iter_modules(flows.__path__))
    return {value.name: value for module in modules for value in vars(module).values() if isinstance(value, Flow)}


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The variables of a user; recipes of all but one flow are left out."""
    for name in (*SAID, "DEDUPE_OUT"):
        monkeypatch.setenv(f"LAPIDARY_{name}", f"{tmp_path}/{name.lower()}")
    monkeypatch.chdir(REPOSITORY)
    return tmp_path


@pytest.mark.usefixtures("said")
def test_every_flow_has_a_deployment_whose_parameters_it_takes() -> None:
    loaded = []
    for deployment in deployments():
        flow = load_flow_from_entrypoint(deployment["entrypoint"])
        given = apply_values(deployment["parameters"], {})
        required = {
            name for name, p in inspect.signature(flow.fn).parameters.items() if p.default is inspect.Parameter.empty
        }
        assert required <= set(given) <= set(flow.parameters.properties), deployment["name"]
        assert flow.validate_parameters(given)["wait_for_root"] is True
        loaded.append(flow.name)
    assert sorted(loaded) == sorted(all_flows())
    names = [(flow, deployment["name"]) for flow, deployment in zip(loaded, deployments(), strict=True)]
    assert len(set(names)) == len(names)


@pytest.mark.usefixtures("said")
def test_failed_runs_are_retried_by_prefect_but_a_takedown() -> None:
    retried = {
        deployment["entrypoint"].partition(":")[2]: deployment["work_pool"]
        .get("job_variables", {})
        .get("env", {})
        .get("PREFECT_FLOWS_DEFAULT_RETRIES")
        for deployment in deployments()
    }
    assert retried.pop("takedown") is None
    assert set(retried.values()) == {"2"}
    assert not any("concurrency_limit" in deployment for deployment in deployments())  # the root's lock sees to it


@pytest.mark.parametrize("name", ["refine-laion", "build-anchor", "expand"])
def test_a_variable_that_was_forgotten_is_refused_in_one_line(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    flow = all_flows()[name]
    (entry,) = (d for d in deployments() if d["entrypoint"].endswith(f":{name.replace('-', '_')}"))
    for variable in SAID:
        monkeypatch.delenv(f"LAPIDARY_{variable}", raising=False)
    given = apply_values(entry["parameters"], {})
    with pytest.raises(UsageError, match="--root is empty"):
        flow.fn(**given, engine="local")
    with pytest.raises(UsageError, match=r"^[^\n]*--source[^\n]*$"):
        flow.fn(**(given | {"root": str(tmp_path / "root")}), engine="local", settings=["caption.model=demo"])
