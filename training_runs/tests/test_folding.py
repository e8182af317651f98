"""The second way reads history only, up to the cut, and has no part in the first."""

import ast
import inspect
from hashlib import sha256

import pytest

from tools import factories
from training_runs import archives, eligibility, folding, services

SHARED = {"BY_CODE"}
"""What the fold may take from the rules it checks: the words."""


def test_the_fold_shares_nothing_with_the_rules_but_their_words():
    imported = {
        (node.module, name.name)
        for node in ast.walk(ast.parse(inspect.getsource(folding)))
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }

    assert {name for module, name in imported if module == "training_runs.eligibility"} == SHARED
    assert not {module for module, _ in imported} & {
        "consent.rules", "consent.querysets", "consent.services", "training_runs.packing",
        "training_runs.services", "training_runs.country_sets",
    }  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_current_state_has_no_part_in_it(officer, second_officer, engineer, monkeypatch):
    factories.open_world(officer, second_officer)
    factories.add_members(5)
    manifest = factories.freeze(engineer)

    # With every queryset of the rules broken the fold still arrives.
    monkeypatch.setattr(eligibility, "EXCLUSIONS", [])

    assert sha256(folding.derive(manifest)).hexdigest() == manifest.digest


@pytest.mark.django_db(transaction=True)
def test_what_comes_after_the_cut_has_no_part_in_it(officer, second_officer, engineer, product):
    factories.open_world(officer, second_officer)
    factories.add_members(5)
    manifest = factories.freeze(engineer)
    data = archives.load(manifest.digest)

    factories.decide("acc-0", "deny", actor=product)
    factories.add_members(5, prefix="later")
    factories.allow(officer, second_officer, codes=["US"], rule="excluded")
    factories.publish(officer, second_officer, codes=["CA"])

    assert folding.derive(manifest) == data


@pytest.mark.django_db(transaction=True)
def test_a_child_is_derived_with_its_parent(officer, second_officer, engineer, product):
    factories.open_world(officer, second_officer)
    factories.add_members(5)
    parent = factories.freeze(engineer)
    factories.add_members(5, prefix="later")

    manifest = factories.freeze(engineer, parent=parent.run)

    assert services.load(manifest).included == services.load(parent).included
    assert folding.derive(manifest) == archives.load(manifest.digest)
