"""Profiles: the machines on which a run's workers run."""

from __future__ import annotations

import os
from typing import Literal, get_args

from curation.core.engines.address import host_and_port
from curation.core.engines.local import LocalEngine
from curation.core.errors import UsageError
from curation.core.pipeline import Engine

Profile = Literal["local", "cluster"]
EngineName = Literal["ray", "local"]
PROFILES = get_args(Profile)
ENGINES = get_args(EngineName)
ENGINES_SAID = "ray: actors on all cores; local: everything in this process"


def build_engine(profile: str, engine: str) -> Engine:
    """``local``: Ray on this machine, all cores; ``cluster``: the Ray cluster that RAY_ADDRESS names.

    The engine ``local`` runs everything in this process. Raises ``UsageError``.
    """
    match profile, engine:
        case (("local" | "cluster"), "local"):
            return LocalEngine()
        case "local", "ray":
            from curation.core.engines.ray import RayEngine

            return RayEngine()
        case "cluster", "ray":
            from curation.core.engines.ray import RayEngine

            _must_name_a_cluster(os.environ.get("RAY_ADDRESS", ""))
            return RayEngine(address="auto")
    raise UsageError(f"profile {profile!r} with engine {engine!r}; expected one of {PROFILES} and one of {ENGINES}")


def _must_name_a_cluster(address: str) -> None:
    """Left to itself, Ray joins whatever runs on this machine. Raises ``UsageError`` for all but host:port."""
    place = host_and_port(address)
    if place is None or not place[0]:
        raise UsageError(
            f"--profile cluster needs the host:port of a Ray cluster and RAY_ADDRESS is {address!r}; "
            "set it, e.g. RAY_ADDRESS=head-node:6379, or leave --profile cluster out"
        )
