"""The extras of the package: what is missing is named by the extra that brings it."""

from collections.abc import Iterator
from contextlib import contextmanager

from training_portal.errors import Misuse


@contextmanager
def needed(extra: str) -> Iterator[None]:
    """Import what an extra brings in this block. Raises Misuse where it is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise Misuse(
            f"{error.name} is not installed.",
            f"Install the extra: pip install training-portal[{extra}]",
            code="extra",
        ) from None
