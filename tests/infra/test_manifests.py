"""What the manifests under infra name is there: in the code, in the image, and in each other."""

from __future__ import annotations

import re
import shlex
import tomllib
from functools import cache
from importlib.metadata import requires
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from curation.caption.model.vllm_server import command_of
from curation.core.engines.placement import allot
from curation.core.recipes import document, load
from curation.core.stage import Resources
from curation.products.refine import LAION_REFINED
from flows.refine_laion import MODULE
from flows.request import command_line
from schemas.anchor import BuildAnchor
from schemas.chat import Serve
from schemas.refine import RefineLaion
from tests.support.processes import REPOSITORY
from tests.support.toy import Double

INFRA = REPOSITORY / "infra"
VLLM = INFRA / "vllm"
DOCKERFILE = (VLLM / "Dockerfile").read_text()


@cache
def locked(name: str) -> dict[str, str]:
    """Versions by package of a lock file."""
    lines = (INFRA / "locks" / name).read_text().splitlines()
    pins = [re.fullmatch(r"([a-z0-9-]+)==(\S+)", line) for line in lines if not line.startswith("#")]
    assert pins and all(pins), "a lock file holds exact versions and nothing else, so that any mirror serves it"
    return {found[1]: found[2] for found in pins if found}


@cache
def ray_job() -> dict[str, Any]:
    spec: dict[str, Any] = yaml.safe_load((VLLM / "kuberay.yaml").read_text())["spec"]
    return spec


def nodes() -> list[dict[str, Any]]:
    """The containers of head and workers, one for each replica."""
    cluster = ray_job()["rayClusterSpec"]
    groups = [(1, cluster["headGroupSpec"]), *((g["replicas"], g) for g in cluster["workerGroupSpecs"])]
    return [group["template"]["spec"]["containers"][0] for times, group in groups for _ in range(times)]


def recipe() -> RefineLaion:
    """The recipe that the job's command line asks for."""
    python, dash_m, module, *words = shlex.split(ray_job()["entrypoint"])
    assert (python, dash_m, module) == ("python", "-m", "flows.refine_laion")
    args = command_line(MODULE, LAION_REFINED).parse_args(words)
    assert args.profile == "cluster"
    return load(RefineLaion, None, args.settings)


def test_the_image_installs_what_the_nodes_of_a_cluster_are_asked_with() -> None:
    """KubeRay's probes call wget on the dashboard (8265) and the agent (52365), which come with ray[default]; jobs
    are submitted through the dashboard, too."""
    installed = re.findall(r"apt-get install (?:-\S+ )*([^&]*)&&", DOCKERFILE)
    assert "wget" in " ".join(installed).split()
    assert "infra/setup.sh" in DOCKERFILE
    assert re.search(r"/srv/venv/bin/pip install --no-deps -r infra/locks/cluster\.lock", DOCKERFILE)
    there = locked("requirements.lock") | locked("cluster.lock")
    asked = [Requirement(r) for r in requires("ray") or []]
    default = [r for r in asked if r.marker is None or r.marker.evaluate({"extra": "default"})]
    assert "aiohttp-cors" in {r.name.replace("_", "-") for r in default}
    for requirement in default:
        name = requirement.name.lower().replace("_", "-")
        assert requirement.specifier.contains(there[name]), name


def test_what_a_cluster_wants_besides_leaves_the_environment_as_it_is() -> None:
    assert not locked("requirements.lock").keys() & locked("cluster.lock").keys()


def test_the_jobs_recipe_gives_every_gpu_of_the_cluster_a_worker() -> None:
    caption = recipe().caption
    assert (caption.backend, caption.device) == ("server", "cuda")
    gpus = [float(node["resources"]["limits"].get("nvidia.com/gpu", 0)) for node in nodes()]
    stage = Double(resources=Resources(gpus=float(caption.serve.tensor_parallel), workers=caption.workers))
    assert allot([stage], gpus, cpus=1) == [sum(gpus)] == [2]


def test_every_node_has_the_image_the_data_and_the_place_of_models() -> None:
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    python = recipe().caption.serve.python
    assert f"python -m venv {python.removesuffix('/bin/python')} " in DOCKERFILE
    assert f"-t lapidary:{version} ." in DOCKERFILE
    for node in nodes():
        assert node["image"] == f"lapidary:{version}"
        assert "/data" in {mount["mountPath"] for mount in node["volumeMounts"]}
        assert {"name": "HF_HOME", "value": "/data/huggingface"} in node["env"]
    copied = set(re.findall(r"^COPY (\S+) \S+$", DOCKERFILE, re.MULTILINE))
    assert copied == {"infra", "schemas", "curation", "flows"}


def test_versions_that_are_named_twice_agree() -> None:
    lock = locked("requirements.lock")
    assert ray_job()["rayClusterSpec"]["rayVersion"] == lock["ray"]
    assert yaml.safe_load((INFRA / "prefect.yaml").read_text())["prefect-version"] == lock["prefect"]
    compose = yaml.safe_load((VLLM / "compose.yaml").read_text())
    assert compose["x-vllm"]["image"].endswith(":v" + re.findall(r"ARG VLLM=(\S+)", DOCKERFILE)[0])


def test_the_composed_servers_listen_where_the_recipe_beside_them_looks_and_answer_as_ours_do() -> None:
    text = (VLLM / "compose.yaml").read_text()
    compose = yaml.safe_load(text)
    ports = [port for service in compose["services"].values() for port in service["ports"]]
    endpoints = load(RefineLaion, None, settings_in(text)).caption.endpoints
    assert endpoints == [f"http://{port.rpartition(':')[0]}/v1" for port in ports]
    ours = command_of(Serve(python="python"), "model", "model", "main", 8000)
    found = dict(word.split("=", 1) for word in compose["x-vllm"]["command"] if word.startswith("--"))
    assert found["--structured-outputs-config"] == ours[ours.index("--structured-outputs-config") + 1]


def settings_in(text: str) -> list[str]:
    """What follows each --set, unquoted; shell variables and line ends of a comment are stood in for."""
    plain = text.replace("\\\n#", " ").replace("\\\n", " ").replace("$MODEL", "model")
    found = re.findall(r"--set ('[^']*'|\S+)", plain)
    return [word for setting in found for word in shlex.split(setting)]


@pytest.mark.parametrize("name", ["README.md", "compose.yaml", "kuberay.yaml"])
def test_every_recipe_key_that_is_written_of_exists(name: str) -> None:
    text = (VLLM / name).read_text()
    load(RefineLaion, None, settings_in(text))
    known = document(RefineLaion) + document(BuildAnchor)
    keys = {k for k in re.findall(r"\b(?:caption|llm)(?:\.[a-z_]+)+", text) if not k.endswith((".py", ".md"))}
    assert keys
    for key in keys:
        assert re.search(rf"{re.escape(key)}\b", known), key


def test_every_file_that_is_written_of_exists() -> None:
    written = [f for f in INFRA.rglob("*") if f.suffix in (".md", ".in", ".yaml", ".lock") or f.name == "Dockerfile"]
    found = 0
    for file in written:
        for name in re.findall(r"(?<![\w/.-])[\w./]*\w\.(?:sh|py|in|lock|yaml|toml)\b", file.read_text()):
            found += 1
            assert any((place / name).exists() for place in (file.parent, INFRA, REPOSITORY)), (file.name, name)
    assert found > 10
