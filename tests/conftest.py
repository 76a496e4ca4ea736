"""Puts the repository's root on the path, so that tests share what stands in tests/support."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from curation.caption.model.vllm_server import VllmServer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

# Libraries that would otherwise ask the network for news.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_worker_niceness", "0")  # of the clusters that tests start; see curation.core.engines.ray
# As curation.caption.model has it; here because tests import torch before that.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# How long an example takes says more about the machine's load than about the code.
hypothesis.settings.register_profile("steady", deadline=None)
hypothesis.settings.load_profile("steady")


@pytest.fixture(scope="session")
def vllm_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    """One real vLLM for the whole session; its start takes most of a minute."""
    from tests.support.vllm import PYTHON, real_server

    if not PYTHON.exists():
        pytest.skip("vLLM's environment is not there; make it with: make .venv-vllm/.installed")
    with real_server(tmp_path_factory.mktemp("vllm") / "server.log") as server:
        yield server
