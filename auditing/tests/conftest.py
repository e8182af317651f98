"""A small world that was frozen, verified and signed."""

import pytest

from consent.models import AccountReference
from ledger.checkpoints import signing
from tools import factories


@pytest.fixture
def manifest(officer, second_officer, engineer, product):
    """300 members, one opted out (acc-7), in a manifest that is verified and signed."""
    factories.open_world(officer, second_officer)
    factories.add_members(300)
    factories.decide("acc-7", "deny", actor=product)
    manifest = factories.freeze(engineer)
    signing.sign_now()
    return manifest


@pytest.fixture
def opted_out():
    """The member number of acc-7."""
    return lambda: AccountReference.objects.get(account_ref="acc-7").member_id
