"""Whether the processes of Ray by which this one reaches its workers are still there."""

from __future__ import annotations

from dataclasses import dataclass

import ray

from curation.core.engines.address import host_and_port, refuses
from curation.core.errors import LapidaryError


@dataclass(frozen=True)
class Reach:
    """Where the processes listen by which this one reaches all workers, as (host, port): its node's raylet and the
    cluster's head. They are asked for while both are there: without a head, questions to Ray end this process.
    """

    raylet: tuple[str, int] | None = None
    head: tuple[str, int] | None = None

    @classmethod
    def of_this_process(cls) -> Reach:
        context = ray.get_runtime_context()
        own = [node for node in ray.nodes() if node["NodeID"] == context.get_node_id()]
        raylet = (str(own[0]["NodeManagerAddress"]), int(own[0]["NodeManagerPort"])) if own else None
        return cls(raylet, host_and_port(context.gcs_address))

    def without_head(self) -> bool:
        """Whether the head is gone."""
        return self.head is not None and refuses(*self.head)

    def ended(self) -> str:
        """Which of them is gone, in words; nothing where both are there."""
        if self.raylet is not None and refuses(*self.raylet):
            return "Ray's process on this machine (raylet) ended"
        return (
            f"Ray's head (the GCS at {self.head[0]}:{self.head[1]}) ended" if self.head and self.without_head() else ""
        )

    def must_be_there(self) -> None:
        """Raises ``LapidaryError`` where one is gone.

        Ray takes half a minute to notice, and then says so of an actor, in pages, or ends this process.
        """
        if ended := self.ended():
            raise LapidaryError(
                f"{ended} while the run was under way; look whether the machine ran "
                "out of memory, and on a cluster start Ray again there (ray start)"
            )
