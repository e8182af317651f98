"""docs/reference/names.md is what the code says, and a name that is not on it is found."""

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission

from ledger import registry
from ledger.registry import EntryKind
from tools import names


def test_page_and_code_have_the_same_names():
    """`make names` writes the page."""
    assert list(names.problems()) == []
    assert len(names.kinds_written()) > 60


def test_a_kind_that_no_app_declares_is_found(monkeypatch):
    monkeypatch.delitem(registry.read_kinds, "ticket.read")

    found = list(names.problems())

    assert found == [
        "The code writes the kind ticket.read, which no app declares in its brings.py.",
        "docs/reference/names.md is not what the code says: run make names.",
    ]


def test_a_kind_that_the_code_does_not_write_is_found(monkeypatch):
    monkeypatch.setitem(registry.entry_kinds, "user.shouted", EntryKind("user.shouted", "Shouted"))

    found = list(names.problems())

    assert found[0] == "The kind user.shouted is declared, and the code does not write it."


@pytest.mark.django_db
def test_permissions_on_the_page_are_there():
    given = {name for one in settings.BROUGHT for some in one.permissions.values() for name in some}
    known = Permission.objects.values_list("content_type__app_label", "codename")

    assert given <= {f"{app}.{codename}" for app, codename in known}
