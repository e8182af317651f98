"""Small TOML files of people: columns and redaction profiles."""

import tomllib
from collections.abc import Callable
from typing import Any, Final

from training_portal.errors import Misuse

MAX_BYTES: Final = 65_536


def read(data: bytes, fault: Callable[[str, str], Misuse]) -> dict[str, Any]:
    """The fields in the bytes of a file. Raises `fault(problem, remedy)`."""
    if len(data) > MAX_BYTES:
        raise fault(f"the file has {len(data):,} bytes", f"At most {MAX_BYTES:,} bytes.")
    try:
        return tomllib.loads(data.decode())
    except UnicodeDecodeError:
        raise fault("the file is not UTF-8", "Save it as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise fault(f"the file is no TOML ({error})", "See https://toml.io.") from None
