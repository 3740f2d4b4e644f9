"""A model's ancestry as a tree to be drawn: each ancestor in full once, then by name alone."""

from dataclasses import dataclass, field
from typing import Any

from training.choices import CheckpointKind


@dataclass
class Branch:
    """`role` is its part in making the one it hangs on; `is_again`: it stands in full above."""

    entry: dict[str, Any]
    role: str
    is_again: bool = False
    branches: list["Branch"] = field(default_factory=list)

    @property
    def kind_title(self) -> str:
        return CheckpointKind(self.entry["kind"]).label

    @property
    def num_withdrawn(self) -> int:
        return sum(labeler["excluded"] for labeler in self.entry["labelers"])


def descent(ancestry: list[dict[str, Any]]) -> Branch | None:
    """The tree of `checkpoint_ancestry`, rooted in its first entry."""
    if not ancestry:
        return None
    entries = {entry["checkpoint_id"]: entry for entry in ancestry}
    root = Branch(ancestry[0], "")
    told: set[int] = set()
    waiting = [root]
    while waiting:
        branch = waiting.pop()
        checkpoint_id = branch.entry["checkpoint_id"]
        branch.is_again = checkpoint_id in told
        if branch.is_again:
            continue
        told.add(checkpoint_id)
        branch.branches = [
            Branch(entries[parent["checkpoint_id"]], parent["role"])
            for parent in branch.entry["parents"]
        ]
        # Depth first, in reading order, so that "above" is true.
        waiting.extend(reversed(branch.branches))
    return root
