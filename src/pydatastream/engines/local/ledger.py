"""The ledger counts every row, and proves at the end that none is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from pydatastream.core.errors import Unbalanced


class Ledger:
    """Counts by node: read, sent, in, out, filtered, created, late, dead, released, written."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()

    def add(self, node: str, what: str, rows: int) -> None:
        """Count rows of one node."""
        if rows:
            self.counts[node, what] += rows

    def put(self, node: str, what: str, rows: int) -> None:
        """Say how many there are by now, in place of what was said before."""
        self.counts[node, what] = rows

    def of(self, node: str, what: str) -> int:
        """The count of one node."""
        return self.counts[node, what]

    def total(self, what: str) -> int:
        """The count over all nodes."""
        return sum(rows for (_, kind), rows in list(self.counts.items()) if kind == what)

    def absorb(self, other: Ledger) -> None:
        """Add the counts of another ledger."""
        self.counts.update(other.counts)

    def check_source(self, name: str) -> None:
        """Every row that was read went into the plan, or is a dead letter."""
        self._equal(
            f"source {name}", "rows read", self.of(name, "read"), self._parts(name, "out", "dead")
        )

    def check_output(self, name: str) -> None:
        """Every row that was sent to a sink was taken by it, or is a dead letter."""
        parts = self._parts(name, "written", "dead")
        self._equal(f"output {name}", "rows sent", self.of(name, "sent"), parts)

    def check_step(self, name: str, held_before: int, held_after: int) -> None:
        """Every row that came into a step is accounted for."""
        came = self.of(name, "in") + self.of(name, "created") + held_before
        parts = self._parts(name, "passed", "filtered", "late", "dead", "released")
        self._equal(f"step {name}", "rows in", came, parts | {"held": held_after})

    def _parts(self, name: str, *kinds: str) -> dict[str, int]:
        return {kind: self.of(name, kind) for kind in kinds}

    def _equal(self, where: str, what: str, whole: int, parts: Mapping[str, int]) -> None:
        if whole != sum(parts.values()):
            listed = " + ".join(f"{kind} {rows}" for kind, rows in parts.items() if rows)
            raise Unbalanced(
                f"{what}: {whole}, accounted for: {listed or 0}",
                where=where,
                hint="this is a defect of the program: please report it with the pipeline file",
            )
