"""The one reader of JSON (RFC 8259) that others wrote: each text has one meaning, or it is refused.

Python's own reader takes the last of two equal names, NaN, halves of surrogate pairs, and numbers that
become infinite. Two programs would then read one text in two ways, and a closed account could be open.
"""

import json
import math
from typing import Any

MAX_DEPTH = 64
"""Levels of lists and objects. No format of the portal has more than ten."""
MAX_DIGITS = 1_000
"""Digits of a whole number. Fields have narrower bounds; reading millions of digits would take long."""

_BOM = b"\xef\xbb\xbf"


class NotJson(ValueError):
    """The text is not JSON, or has no single meaning. The message is a sentence for the sender.

    It never repeats what was sent: that may be personal. `code` is `not_utf8` or `bad_request`; `line` and
    `byte` count from 1 and are 0 where the place is not known.
    """

    def __init__(
        self, message: str, *, code: str = "bad_request", line: int = 0, byte: int = 0
    ) -> None:
        super().__init__(message)
        self.code = code
        self.line = line
        self.byte = byte

    @property
    def place(self) -> str:
        """Empty where it is not known; a text of one line has no need of its number."""
        if self.line > 1:
            return f"line {self.line}, byte {self.byte}"
        return f"byte {self.byte}" if self.line else ""


class _Ambiguous(ValueError):
    """JSON by its grammar, with more than one meaning."""


def read(data: bytes | str) -> Any:
    """The value of a JSON text. Raises NotJson for anything else.

    Bytes are UTF-8; one byte order mark at the beginning is looked past (RFC 8259, section 8.1). Refused are a
    name that comes twice in an object, NaN and Infinity, numbers too large for what reads them, a half of a
    surrogate pair (no database takes it), and more than MAX_DEPTH levels.
    """
    text = _text(data)
    try:
        value = _decode(text)
        if "\\ud" in text or "\\uD" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise _too_deep() from None
    except json.JSONDecodeError as error:
        before = text[: error.pos]
        byte = len(before[before.rfind("\n") + 1 :].encode("utf-8", "surrogatepass")) + 1
        raise NotJson(
            f"{error.msg.partition(':')[0].removesuffix(' at')}.", line=error.lineno, byte=byte
        ) from None
    except UnicodeEncodeError:
        raise NotJson("A text has half of a surrogate pair, which is no character.") from None
    except _Ambiguous as error:
        raise NotJson(str(error)) from None
    # Counting signs is quick, also those inside of texts; only a text with many is walked through.
    if text.count("[") + text.count("{") > MAX_DEPTH and _is_deep(value):
        raise _too_deep()
    return value


def _text(data: bytes | str) -> str:
    if isinstance(data, str):
        return data
    try:
        return data.removeprefix(_BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        before = data.removeprefix(_BOM)[: error.start]
        raise NotJson(
            "This is not UTF-8.",
            code="not_utf8",
            line=before.count(b"\n") + 1,
            byte=error.start - before.rfind(b"\n"),
        ) from None


def _too_deep() -> NotJson:
    return NotJson(f"Lists and objects are nested more than {MAX_DEPTH} levels deep.")


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for one in level
            for item in (one.values() if isinstance(one, dict) else one)
            if isinstance(item, dict | list)
        ]
        if not level:
            return False
    return True


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Ambiguous("An object contains a name twice. Use each name once.")
    return found


def _whole(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise _Ambiguous(f"A number has more than {MAX_DIGITS:,} digits.")
    return int(text)


def _fraction(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _Ambiguous("A number is too large.")
    return number


def _constant(name: str) -> None:
    raise _Ambiguous(f"{name} is not JSON.")


_decode = json.JSONDecoder(  # noqa: TID251  this is the one place
    object_pairs_hook=_object,
    parse_int=_whole,
    parse_float=_fraction,
    parse_constant=_constant,
).decode
