"""Canonical JSON (RFC 8785) within the ledger's bounds: no floats, numbers below 2^53, each value written in one way."""

import json
from typing import Any, NoReturn

_LIMIT = 2**53
_DIGITS = len(str(_LIMIT)) + 1
_encoder = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
)


def canonical(data: bytes) -> Any:
    """The value that the bytes are the canonical form of. Raises ValueError for all other bytes.

    The value is written again and must give the same bytes: a name that occurs twice, a space or another way to write
    a character does not pass.
    """
    try:
        value = _decoder.decode(data.decode("utf-8"))
        again = _encoder.encode(value).encode("utf-8")
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if again != data:
        raise ValueError("it is not in canonical form")
    return value


def encoded(value: Any) -> bytes:
    """The canonical bytes of a value that has no float."""
    return _encoder.encode(value).encode("utf-8")


def _number(text: str) -> int:
    # The length first: a number of a million digits takes long to read.
    if len(text) > _DIGITS or not -_LIMIT < int(text) < _LIMIT:
        raise ValueError("it has a number of 2^53 or more")
    return int(text)


def _no_number(text: str) -> NoReturn:
    raise ValueError("it has a number that is not whole")


_decoder = json.JSONDecoder(parse_int=_number, parse_float=_no_number, parse_constant=_no_number)
