"""Progress messages for the person who waits; by default none."""

from typing import Protocol


class Progress(Protocol):
    """Steps in words, and files in bytes."""

    def step(self, sentence: str) -> None:
        """Something begins or is waited for, such as "The manifest is being frozen"."""

    def file(self, name: str, done: int, size: int) -> None:
        """So many bytes of a file are here."""

    def warn(self, sentence: str) -> None:
        """Something that people should know and that stops nothing."""


class Silent:
    def step(self, sentence: str) -> None: ...

    def file(self, name: str, done: int, size: int) -> None: ...

    def warn(self, sentence: str) -> None: ...
