"""One batch of joined rows through the last checks: members, days, redaction, and the columns of a data set.

Every engine ends here, so that a row comes out under the same conditions whatever joined it.
"""

from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from training_portal.permission import Permission
from training_portal.prepare.columns import Columns
from training_portal.prepare.members import NO_DAY, Bits, Members, Numbers, days_of
from training_portal.prepare.tally import Tally
from training_portal.prepare.types import MEMBER_NUMBER, is_text

if TYPE_CHECKING:
    # Redaction is an extra of its own.
    from training_portal.redaction import Redactor


class Batches:
    """The last part of a preparation, for one process. `columns` are only those that the run may use."""

    def __init__(
        self, permission: Permission, columns: Columns, redactor: "Redactor | None"
    ) -> None:
        self._members = Members(permission)
        self._columns = columns
        self._redactor = redactor
        self.seen = Bits(permission.population)
        """The members of whom a row was kept."""

    def take(self, batch: Any, numbers: Numbers, dates: Any, tally: Tally) -> Any:
        """The rows of the batch that may be used: a batch of `MEMBER_NUMBER` and the mapped columns.

        :param batch: the mapped columns.
        :param numbers: the member number of each row, 0 where the row has no member.
        :param dates: the column of content dates, None where there is none.
        Rows that are dropped are counted in the tally by their reason.
        """
        days = None if dates is None else days_of(dates)
        verdict = self._members.judge(numbers, days)
        tally.dropped += Counter(
            unknown_member=verdict.unknown_member,
            excluded=verdict.excluded,
            before_use_from=verdict.before_use_from,
        )
        if not verdict.kept.all():
            batch = batch.filter(pa.array(verdict.kept))
            numbers = numbers[verdict.kept]
            days = None if days is None else days[verdict.kept]
        self.seen.add(numbers)
        if days is not None and len(known := days[days != NO_DAY]):
            tally.saw(int(known.min()), int(known.max()))
        return pa.RecordBatch.from_arrays(
            [pa.array(numbers, pa.uint32()), *batch.columns],
            schema=pa.schema([number_field(), *batch.schema]).remove_metadata(),
        )

    def redact(self, batch: Any, tally: Tally) -> Any:
        """The batch with its text reduced, and what was found in the tally."""
        for name in self._columns.text if self._redactor is not None else ():
            assert self._redactor is not None
            at = batch.schema.get_field_index(name)
            column, hits = self._redactor.redact(batch.column(at))
            batch = batch.set_column(at, batch.schema.field(at).with_type(column.type), column)
            tally.by_kind += Counter(hits.by_kind)
            tally.by_entry += Counter(hits.by_entry)
        for column in batch.columns:
            if is_text(column.type):
                tally.text_bytes += pc.sum(pc.binary_length(column)).as_py() or 0
        return batch


def number_field() -> Any:
    """The first column of a data set."""
    return pa.field(MEMBER_NUMBER, pa.uint32(), nullable=False)
