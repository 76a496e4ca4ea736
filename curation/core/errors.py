"""The errors that a user may see. Each message says what was found, what was expected and what to do.

    LapidaryError
    ├── UsageError            ends the run before any work, exit code 2
    │   ├── RecipeError       an unknown key, a wrong type, limits that contradict each other
    │   ├── SourceError       a missing or unreadable source, an unknown dialect, zero rows
    │   │   └── DamagedSource one file of the source is damaged; the others can be read
    │   ├── RootError         a root made by another recipe, or not writable
    │   │   └── RootInUse     another run has locked it
    │   └── ModelError        a model folder that is not one, an unreachable or unfit server
    ├── StoreError            a read or write on the root failed (a full disk, say)
    │   └── MissingFile       a file of the root is not there
    ├── LockLost              another run has taken the root over while this one was stopped
    ├── TooMuchMemory         an exact answer would not fit into memory; says what it would take
    ├── EndpointsGone         every model server is gone; what is finished is kept
    ├── TooManyLost           a stage lost more than run.stop_at_share of its rows to one reason
    └── ShardsFailed          the run went to its end, but without some shards

An expected failure of one sample is none of these: it is a ``Reason`` in the sample's row. Any other
exception inside a worker costs its shard and is recorded there.
"""

from __future__ import annotations


class LapidaryError(Exception):
    """Anything that this project raises for a user to read."""


class UsageError(LapidaryError):
    """Wrong before any work was done."""


class RecipeError(UsageError):
    """The recipe cannot be followed."""


class SourceError(UsageError):
    """The source cannot be read."""


class DamagedSource(SourceError):
    """One file of the source is damaged; the others can still be read."""


class RootError(UsageError):
    """The dataset root cannot be used."""


class RootInUse(RootError):
    """Another run has locked the root. ``held`` says which, without what to do."""

    def __init__(self, message: str, held: str = "") -> None:
        super().__init__(message)
        self.held = held


class ModelError(UsageError):
    """The model cannot be used."""


class StoreError(LapidaryError):
    """The root could not be read or written."""


class MissingFile(StoreError):
    """A file of the root is not there."""


class LockLost(LapidaryError):
    """Another run has locked the root while this one was stopped or could not reach it."""


class TooMuchMemory(LapidaryError):
    """The answer would not fit into the memory allowed."""


class EndpointsGone(LapidaryError):
    """No model server answers any more."""


class TooManyLost(LapidaryError):
    """A stage lost so many rows to one reason that going on would lose the others too."""


class ShardsFailed(LapidaryError):
    """Some shards failed unexpectedly; the others are finished.

    ``failed`` holds their names by table; ``roots`` keep why, where it is not the run's own root that does.
    """

    def __init__(self, failed: dict[str, list[str]], roots: tuple[str, ...] = ()) -> None:
        self.failed = failed
        self.roots = roots
        named = "; ".join(f"{len(s)} of {t}: {', '.join(sorted(s)[:20])}" for t, s in failed.items())
        super().__init__(f"shards failed: {named}")
