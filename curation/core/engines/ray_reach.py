"""What of a Ray cluster this process reaches: its own raylet, the head, and the nodes that are there."""

from __future__ import annotations

from dataclasses import dataclass

import ray

from curation.core.engines.address import host_and_port, refuses
from curation.core.engines.placement import Node
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
        own = node_here()
        return cls(own.raylet if own else None, host_and_port(ray.get_runtime_context().gcs_address))

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


def nodes_there() -> list[Node]:
    """The nodes that Ray takes for alive; it notices after some ten seconds that one is gone."""
    found = []
    for node in ray.nodes():
        if node["Alive"]:
            has, raylet = node["Resources"], (str(node["NodeManagerAddress"]), int(node["NodeManagerPort"]))
            found.append(Node(str(node["NodeID"]), has.get("CPU", 0.0), has.get("GPU", 0.0), raylet))
    return sorted(found, key=lambda node: node.id)


def node_here() -> Node | None:
    """The one that this process is on. (Ray's own word for its address may be that of another on this machine.)"""
    own = ray.get_runtime_context().get_node_id()
    return next((node for node in nodes_there() if node.id == own), None)
