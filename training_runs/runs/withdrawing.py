"""Withdrawing: who of a manifest would be out now."""

from dataclasses import dataclass

from pyroaring import BitMap

from consent.rulebook import days
from ledger import clock, entries
from training_runs.eligibility.exclusions import Eligibility, ask, decide
from training_runs.incidents import finding
from training_runs.models import Manifest
from training_runs.runs.freezing import load


@dataclass(frozen=True)
class Withdrawn(Eligibility):
    """The members of a manifest, split by a freeze that would be made at `cut`. `included` are those still eligible."""

    late: BitMap
    """The members of the run's incidents: they were out at the freeze already."""
    cut: int
    """The ledger size that was read."""

    @property
    def withdrawn(self) -> BitMap:
        """Everybody whom the manifest includes and who would be out."""
        return BitMap.union(self.late, *self.excluded.values())


def withdrawn_since(manifest: Manifest) -> Withdrawn:
    """Those of the included who would be out now, by reason."""
    run = manifest.run
    with entries.snapshot() as head:
        now = decide(ask(run.purpose, days.at(clock.now()), run.data_categories))
        late = finding.out_by_incidents(run.pk, cut=head.size)
    included = load(manifest).included
    return Withdrawn(
        now.question,
        len(included),
        (included & now.included) - late,
        {code: members & included for code, members in now.excluded.items()},
        late & included,
        head.size,
    )
