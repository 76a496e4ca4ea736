"""Where a run's workers live."""

from __future__ import annotations

from typing import Literal, get_args

from curation.engines.local import LocalEngine
from curation.errors import UsageError
from curation.pipeline import Engine

Profile = Literal["local", "cluster"]
EngineName = Literal["ray", "local"]
PROFILES = get_args(Profile)
ENGINES = get_args(EngineName)


def build_engine(profile: str, engine: str) -> Engine:
    """``local``: Ray on this machine, all cores; ``cluster``: the Ray cluster that RAY_ADDRESS names.

    The engine ``local`` runs everything in this process. Raises ``UsageError``.
    """
    match profile, engine:
        case (("local" | "cluster"), "local"):
            return LocalEngine()
        case "local", "ray":
            from curation.engines.ray import RayEngine

            return RayEngine()
        case "cluster", "ray":
            from curation.engines.ray import RayEngine

            return RayEngine(address="auto")
    raise UsageError(f"profile {profile!r} with engine {engine!r}; expected one of {PROFILES} and one of {ENGINES}")
