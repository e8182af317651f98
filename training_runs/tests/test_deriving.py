"""The second way reads history only, up to the cut, and has no part in the first."""

import ast
import datetime as dt
import inspect
from dataclasses import replace
from hashlib import sha256

import pytest
import time_machine

from tools import factories
from tools.outside import behind_the_back
from training_runs.eligibility import deriving, exclusions
from training_runs.errors import CannotDerive
from training_runs.manifests import archives
from training_runs.runs import freezing, verifying


def test_the_fold_shares_nothing_with_the_rules():
    imported = {
        (node.module, name.name)
        for node in ast.walk(ast.parse(inspect.getsource(deriving)))
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }

    assert not {module for module, _ in imported} & {
        "consent.rulebook.rules", "consent.querysets", "consent.decisions", "training_runs.manifests.packing",
        "training_runs.runs.registering", "training_runs.manifests.country_sets", "training_runs.eligibility.exclusions",
    }  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_current_state_has_no_part_in_it(officer, second_officer, engineer, monkeypatch):
    factories.open_world(officer, second_officer)
    factories.add_members(5)
    manifest = factories.freeze(engineer)

    # With every queryset of the rules broken the second way still arrives.
    monkeypatch.setattr(exclusions, "EXCLUSIONS", [])

    assert sha256(deriving.derive(manifest)).hexdigest() == manifest.digest


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

    assert deriving.derive(manifest) == data


@pytest.mark.django_db(transaction=True)
def test_a_child_is_derived_with_its_parent(officer, second_officer, engineer, product):
    factories.open_world(officer, second_officer)
    factories.add_members(5)
    parent = factories.freeze(engineer)
    factories.add_members(5, prefix="later")

    manifest = factories.freeze(engineer, parent=parent.run)

    assert freezing.load(manifest).included == freezing.load(parent).included
    assert deriving.derive(manifest) == archives.load(manifest.digest)


@pytest.mark.django_db(transaction=True)
def test_an_old_manifest_verifies_after_reasons_were_reworded_and_added(
    officer, second_officer, engineer, monkeypatch
):
    factories.open_world(officer, second_officer)
    factories.add_members(5)
    manifest = factories.freeze(engineer)
    reworded = [
        replace(rule, sentence=f"{rule.sentence}, in other words") for rule in exclusions.EXCLUSIONS
    ]
    monkeypatch.setattr(exclusions, "EXCLUSIONS", [*reworded, replace(reworded[0], code="new")])
    monkeypatch.setattr(exclusions, "BY_CODE", {rule.code: rule for rule in reworded})

    assert verifying.verify(manifest).agreement == "agrees"


@pytest.mark.django_db(transaction=True)
def test_a_reason_no_fold_knows_is_an_error_and_no_verdict(officer, second_officer, engineer):
    factories.open_world(officer, second_officer)
    factories.add_members(5)
    manifest = factories.freeze(engineer)
    manifest.header["parts"].append({"name": "from-the-future"})

    with pytest.raises(CannotDerive, match="from-the-future"):
        deriving.derive(manifest)


@pytest.mark.django_db(transaction=True)
def test_both_ways_find_who_consented_in_time(officer, second_officer, engineer, product):
    """A yes from before consent was asked for is a setting left on; *freeze* verifies by deriving it."""
    factories.open_world(officer, second_officer)
    since = factories.LONG_AGO + dt.timedelta(days=10)
    with time_machine.travel(
        dt.datetime.combine(factories.LONG_AGO, dt.time(), dt.UTC), tick=False
    ):
        factories.publish(officer, second_officer, version="known-then")
        factories.allow(
            officer, second_officer, purposes=["generative-ai"], codes=["KR"], rule="opt-in",
            effective_from=since,
        )  # fmt: skip
    early, late, silent = factories.add_members(3, country="KR")
    for number, days in ((0, -1), (1, 0)):
        at = dt.datetime.combine(since + dt.timedelta(days=days), dt.time(12), dt.UTC)
        factories.decide(
            f"acc-{number}", "allow", actor=product, at=at, notice_version="known-then"
        )
    factories.add_members(1, prefix="american")

    archive = freezing.load(factories.freeze(engineer))

    assert late in archive.included
    assert {early, silent} <= set(archive.excluded["not_opted_in"])


@pytest.mark.django_db(transaction=True)
def test_rows_of_an_entry_that_is_none_are_not_derived_from(officer, second_officer, engineer):
    factories.open_world(officer, second_officer)
    factories.add_members(3)
    manifest = factories.freeze(engineer)
    behind_the_back(
        "consent_historicalmember",
        "INSERT INTO consent_historicalmember (id, country, country_given, adult_on, adult_at, status,"
        " reference_seal, history_date, history_type, entry_id)"
        " SELECT id, country, country_given, adult_on, adult_at, 'closed', reference_seal, history_date,"
        " history_type, 0 FROM consent_historicalmember WHERE id = 1",
    )

    assert verifying.verify(manifest).agreement == "agrees"
