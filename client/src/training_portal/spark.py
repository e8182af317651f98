"""The rows of a Spark DataFrame that may be used: an inner join with the verified members, made on the driver.

Spark casts where types differ (an account `007` becomes the number 7) and compares text as a column's collation says; so
the types are looked at first, and what is not plain is refused.
"""

from typing import Any, Final

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F  # noqa: N812  as its documentation writes it
from pyspark.sql import types as T  # noqa: N812  likewise

from training_portal.errors import Misuse
from training_portal.frames import accounts_of, only
from training_portal.permission import Permission
from training_portal.prepare import quality
from training_portal.prepare.members import NO_DAY, Members
from training_portal.prepare.types import MemberType

_ACCOUNT: Final = "portal_account"
_NUMBER: Final = "portal_member"
_DAY: Final = "portal_first_day"
_HELPERS: Final = (_ACCOUNT, _NUMBER, _DAY)
_MICROSECONDS_OF_DAY: Final = 86_400_000_000
_BROADCAST_ROWS: Final = 5_000_000
"""A longer list is not sent to every executor."""


def keep_in_spark(
    frame: Any,
    *,
    permission: Permission,
    member_column: str,
    content_date: str | None,
    accept_unknown: str,
) -> Any:
    """See `training_portal.frames.keep`. Two Spark jobs look at the distinct authors first. Raises Misuse, NotVerified."""
    kind = _member_type(frame, member_column)
    day = None if content_date is None else _day_of(frame, content_date)
    if taken := sorted({*frame.columns} & {*_HELPERS}):
        raise Misuse(f"{', '.join(taken)} is a name that is needed here.", "Rename the column.")
    if not accept_unknown:
        found = quality_of(frame, member_column, kind, permission)
        quality.check(found, permission, accept_unknown)
    members = _frame_of(frame.sparkSession, _members(permission, kind))
    key = _ACCOUNT if kind == "string" else _NUMBER
    kept = frame.join(members, F.col(f"`{member_column}`") == F.col(key), "inner")
    if day is None:
        # Content of unknown age: nothing of a member who has a first day.
        kept = kept.where(F.col(_DAY).isNull())
    else:
        kept = kept.where(F.col(_DAY).isNull() | (day >= F.col(_DAY)))
    return kept.select(*(F.col(f"`{one}`") for one in frame.columns))


def quality_of(
    frame: Any, member_column: str, kind: MemberType, permission: Permission
) -> quality.Quality:
    """The distinct authors of a frame, and how many of them may be used. Two jobs. Raises Misuse, NotVerified."""
    _member_type(frame, member_column)
    named = frame.select(F.col(f"`{member_column}`").alias("author")).where(
        (F.col("author") != F.lit("")) if kind == "string" else F.col("author").isNotNull()
    )
    distinct = named.distinct()
    members = _frame_of(frame.sparkSession, _members(permission, kind))
    key = _ACCOUNT if kind == "string" else _NUMBER
    known = distinct.join(members, F.col("author") == F.col(key), "inner").count()
    return quality.Quality(distinct.count(), known)


def numbered(frame: Any, member_column: str, permission: Permission, name: str) -> Any:
    """The frame with the member number of each account, null where no list has it. Raises Misuse, NotVerified."""
    accounts, numbers = accounts_of(permission)
    listed = pa.table({_ACCOUNT: accounts.cast(pa.string()), name: numbers.astype(np.int64)})
    members = _frame_of(frame.sparkSession, listed)
    author = F.col(f"`{member_column}`")
    return frame.join(members, author == F.col(_ACCOUNT), "left").drop(_ACCOUNT)


def _frame_of(session: Any, members: Any) -> Any:
    """A short list is sent to every executor whole; for a longer one Spark sorts both sides."""
    frame = session.createDataFrame(members)
    return F.broadcast(frame) if len(members) <= _BROADCAST_ROWS else frame


def _member_type(frame: Any, name: str) -> MemberType:
    kind = frame.schema[only(name, frame.columns)].dataType
    if isinstance(kind, T.IntegralType):
        return "number"
    # A collation such as UTF8_LCASE would find `ACC-1` for `acc-1`; a CHAR is padded with blanks.
    if type(kind) is T.StringType and kind == T.StringType():
        return "string"
    raise Misuse(
        f"The member column {name} has the type {kind.simpleString()}, and nothing is cast.",
        "Accounts are strings without a collation of their own; member numbers are integers.",
        code="member_type",
    )


def _day_of(frame: Any, name: str) -> Any:
    """Days since 1970-01-01 in UTC, whatever the zone of the session."""
    kind = frame.schema[only(name, frame.columns)].dataType
    column = F.col(f"`{name}`")
    if isinstance(kind, T.DateType):
        return F.unix_date(column)
    if isinstance(kind, T.TimestampType):
        # In integers: Spark's `/` would round the last moment of a far day up to the next.
        return F.expr(
            f"({_micros(name)} - pmod({_micros(name)}, {_MICROSECONDS_OF_DAY}L)) div {_MICROSECONDS_OF_DAY}L"
        )
    raise Misuse(
        f"The content date {name} has the type {kind.simpleString()}, and nothing is cast.",
        "A content date is a date, or a timestamp with a zone.",
        code="content_date_type",
    )


def _micros(name: str) -> str:
    return f"unix_micros(`{name}`)"


def _members(permission: Permission, kind: str) -> Any:
    """The members who may be used, by account or by number, with the first day of those who have one."""
    if kind == "string":
        accounts, numbers = accounts_of(permission)
    else:
        accounts, numbers = None, np.asarray(permission.members.to_array(), np.uint32)
    members = Members(permission)
    kept, days = members.has(numbers), members.first_days(numbers)
    columns = {
        _NUMBER: pa.array(numbers[kept].astype(np.int64)),
        _DAY: pa.array(days[kept], pa.int64(), mask=days[kept] == NO_DAY),
    }
    if accounts is not None:
        columns[_ACCOUNT] = accounts.filter(pa.array(kept)).cast(pa.string())
    return pa.table(columns)
