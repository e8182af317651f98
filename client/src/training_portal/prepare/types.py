"""Types of columns that are taken. A type that is not taken is refused, never cast.

A cast finds the wrong member without a word: Spark reads the account `007` as the number 7, pandas makes 7.0 of a 7
beside an empty value. So an account is text, a number is an integer, and the column says which.
"""

import re
from typing import Any, Final, Literal, TypeAlias

import pyarrow as pa

from training_portal.errors import Misuse

MemberType: TypeAlias = Literal["string", "number"]
"""The content of a column of members: accounts as text, or the portal's member numbers."""

MEMBER_NUMBER: Final = "member_number"
"""The column of a data set that says whose row it is; a data set has no accounts."""

CONTENT_DATE: Final = "portal_content_date"
ROW: Final = "portal_row"
"""Columns between an engine and the last checks: the day of the content, and the row's place in its file."""
RESERVED: Final = (MEMBER_NUMBER, CONTENT_DATE, ROW)

_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/=+:-]*")


def is_plain(name: str) -> bool:
    """Whether a name may stand in a receipt: letters, digits and `. _ / = + : -`, so that it names no person."""
    return len(name) <= 200 and _PLAIN.fullmatch(name) is not None


def plain_type(kind: Any) -> str:
    """A type of Arrow as a receipt names it.

    >>> plain_type(pa.timestamp("us", tz="UTC")), plain_type(pa.list_(pa.string()))
    ('timestamp:us:tz=UTC', 'list:l:string')
    """
    text = re.sub(r"[^A-Za-z0-9._/=+-]+", ":", str(kind)).strip(":.")
    return text.replace("list:item:", "list:l:").replace("list:element:", "list:l:")[:100]


def member_type(kind: Any, name: str) -> MemberType:
    """The content of a column of members of that Arrow type. Raises Misuse, which says what to do."""
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    if is_text(plain):
        return "string"
    if pa.types.is_integer(kind):
        return "number"
    why = f"The member column {name} has the type {plain_type(kind)}, and nothing is cast."
    if pa.types.is_floating(plain):
        raise Misuse(
            why,
            "Integers beside empty values become floats in pandas: keep them as Int64, or accounts as text.",
            code="member_type",
        )
    if pa.types.is_null(plain):
        raise Misuse(
            why,
            "Every value is empty: name the column that has the authors, or give it its type.",
            code="member_type",
        )
    raise Misuse(
        why,
        "Accounts are strings or dictionaries of strings; member numbers are integers.",
        code="member_type",
    )


def check_days(kind: Any, name: str, *, is_utc: bool) -> None:
    """Whether a column of that type can say how old content is. Raises Misuse."""
    if pa.types.is_date32(kind) or (pa.types.is_timestamp(kind) and (kind.tz or is_utc)):
        return
    if pa.types.is_timestamp(kind):
        raise Misuse(
            f"The times in {name} have no time zone, so they do not say on which day they are.",
            "Write them with a zone, or say in the columns: content_date_is_utc = true.",
            code="content_date_type",
        )
    raise Misuse(
        f"The content date {name} has the type {plain_type(kind)}, and nothing is cast.",
        "A content date is a date (date32) or a timestamp.",
        code="content_date_type",
    )


def is_text(kind: Any) -> bool:
    """Whether the type is one of Arrow's three types of strings."""
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def is_text_column(kind: Any) -> bool:
    """Whether redaction can work on a column of that type: strings, and dictionaries of strings."""
    return is_text(kind.value_type if pa.types.is_dictionary(kind) else kind)


def may_hold_text(kind: Any) -> bool:
    """Whether text can be anywhere in values of the type: strings, bytes, and what has them inside."""
    if pa.types.is_dictionary(kind):
        return may_hold_text(kind.value_type)
    if pa.types.is_nested(kind):
        return any(may_hold_text(kind.field(at).type) for at in range(kind.num_fields))
    return not (
        pa.types.is_boolean(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_temporal(kind)
        or pa.types.is_null(kind)
    )
