"""Raw files and their columns, from the options of a command."""

import glob
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training_portal.errors import Misuse

if TYPE_CHECKING:
    from training_portal.prepare import Columns


def paths_of(patterns: Sequence[str]) -> list[Path]:
    """The files that the patterns name. Raises Misuse for a pattern that fits none."""
    found: list[Path] = []
    for pattern in patterns:
        here = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207  a pattern may begin with a root
        if not here:
            raise Misuse(f"No file fits --input {pattern}.", "Name Parquet files, or a pattern.")
        found += [Path(one) for one in here]
    return found


def words_of(text: str) -> tuple[str, ...]:
    """The words of a list with commas."""
    return tuple(one.strip() for one in text.split(",") if one.strip())


def columns_of(said: Mapping[str, Any], categories: Sequence[str]) -> "Columns":
    """The columns by --columns, or by --member-column and --text. Raises Misuse."""
    from training_portal.prepare import Columns

    if said["columns_file"] is not None:
        if said["member_column"] or said["text"]:
            raise Misuse(
                "--columns says which columns there are.", "Leave out --member-column and --text."
            )
        return Columns.load(said["columns_file"])
    text = words_of(said["text"])
    if len(categories) != 1 or not said["member_column"] or not text:
        raise Misuse(
            "Which column is whose, and of which category?",
            "Give --member-column and --text with one category, or a file with --columns.",
        )
    return Columns(member_column=said["member_column"], categories={categories[0]: text}, text=text)
