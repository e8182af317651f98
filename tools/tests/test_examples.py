"""The examples in docstrings are run: they show what the code answers today."""

import doctest
from types import ModuleType

import pytest

from ledger import entries
from ledger.merkle import tree
from objections.clock import deadlines


@pytest.mark.parametrize("module", [deadlines, tree])
def test_the_examples_of_pure_modules_hold(module: ModuleType) -> None:
    result = doctest.testmod(module)

    assert result.attempted
    assert not result.failed


# A snapshot is a transaction of its own.
@pytest.mark.django_db(transaction=True)
def test_the_example_of_a_snapshot_holds() -> None:
    result = doctest.testmod(entries)

    assert result.attempted
    assert not result.failed
