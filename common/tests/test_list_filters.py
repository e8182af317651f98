"""What a list's filters offer is what they accept, and each keeps what the list is narrowed to already."""

from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from common.staff.list_filters import OptionFilter
from common.staff.list_forms import FormFilter
from consent.models import Member
from objections.models import Ticket
from portal.admin import site
from tools import factories

TICKETS = "/admin/objections/ticket/"
MEMBERS = "/admin/consent/member/"


class Form(HTMLParser):
    """The choice box of a page: what its form would send for each option."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.hidden: list[tuple[str, str]] = []
        self.name = ""
        self.options: list[str] = []
        self._is_open = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._is_open = given.get("class") == "box-filter"
        if not self._is_open:
            return
        if tag == "input" and given["type"] == "hidden":
            self.hidden.append((given["name"], given["value"]))
        if tag == "select":
            self.name = given["name"]
        if tag == "option":
            self.options.append(given["value"])

    def handle_endtag(self, tag: str) -> None:
        self._is_open = self._is_open and tag != "form"


def listed(client: Client, address: str, query: Any = None) -> Any:
    answer = client.get(address, query)
    assert answer.status_code == 200
    return answer


def rows_of(answer: Any) -> set[int]:
    return {row.pk for row in answer.context["cl"].result_list}


@pytest.fixture
def tickets(officer: User) -> list[Ticket]:
    factories.add_members(5)
    given = ["DE", "DE", "FR", "", "SE"]
    rows = [factories.objection(f"acc-{i}", country=code) for i, code in enumerate(given)]
    factories.uphold(rows[1], officer)
    return rows


@pytest.mark.django_db(transaction=True)
def test_each_country_of_the_choice_box_lists_the_tickets_of_that_country_and_keeps_the_tab(
    tickets: list[Ticket], officer: User, client_of: Any
) -> None:
    client = client_of(officer)
    query = {"queue": "unassigned", "regime__exact": "eu", "o": "-2"}
    shown = listed(client, TICKETS, query)
    form = Form(shown.content.decode())

    assert form.name == "country"
    assert sorted(form.hidden) == sorted(query.items())
    assert len(set(form.options)) == len(form.options) > 200
    for code in ["DE", "FR", "SE", "NO"]:
        found = listed(client, TICKETS, [*form.hidden, ("country", code)])
        assert rows_of(found) == {
            row.pk
            for row in Ticket.objects.open().filter(
                country=code, assignee__isnull=True, regime="eu"
            )
        }
        assert f'<option value="{code}" selected>' in found.content.decode()
    assert rows_of(listed(client, TICKETS, [*form.hidden, ("country", "")])) == rows_of(shown)


@pytest.mark.one_engine  # many pages: what a country lists is asked of both engines above
@pytest.mark.django_db(transaction=True)
def test_the_options_of_the_country_box_divide_the_list(
    tickets: list[Ticket], officer: User, second_officer: User, engineer: User, client_of: Any
) -> None:
    factories.open_world(officer, second_officer)
    factories.add_members(3, country="DE", prefix="de")
    factories.add_members(2, country="", prefix="unknown")
    factories.freeze(engineer)
    client = client_of(officer)

    for address, model in ((TICKETS, Ticket.objects.open()), (MEMBERS, Member.objects.all())):
        codes = Form(listed(client, address).content.decode()).options[1:]
        has_rows = {*model.values_list("country", flat=True), "unknown", "test"}
        # The countries that rows have, and some of the others.
        asked = [code for i, code in enumerate(codes) if code in has_rows or i % 25 == 0]
        used = [rows_of(listed(client, address, {"country": code})) for code in asked]
        assert sum(map(len, used)) == model.count() > 0
        assert set().union(*used) == set(model.values_list("pk", flat=True))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("address", "query"),
    [
        (TICKETS, "country=XX"),
        (TICKETS, "country=Germany"),
        (TICKETS, "country=test"),
        (TICKETS, "queue=nowhere"),
        (TICKETS, "queue=open&state=refused"),
        (TICKETS, "purpose=fun"),
        (MEMBERS, "country=0"),
        ("/admin/objections/letter/", "state=lost"),
        ("/admin/objections/proposal/", "standing=odd"),
        ("/admin/training_runs/run/", "owner=you"),
    ],
)
def test_a_value_that_a_filter_does_not_offer_is_refused(
    address: str, query: str, officer: User, client_of: Any
) -> None:
    assert client_of(officer).get(f"{address}?{query}").status_code == 400


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_a_file_of_a_list_refuses_what_the_list_refuses(
    form: str, officer: User, client_of: Any
) -> None:
    client = client_of(officer)

    assert client.get(f"{TICKETS}export/{form}/?country=XX").status_code == 400
    assert client.get(f"{TICKETS}export/{form}/?country=DE").status_code == 200


def test_every_filter_of_our_own_offers_what_it_accepts() -> None:
    own = {
        one
        for admin in site._registry.values()
        for one in admin.list_filter
        if isinstance(one, type) and not issubclass(one, FormFilter)
    }

    assert {one.__name__ for one in own if not issubclass(one, OptionFilter)} == set()
    assert reverse("admin:objections_ticket_changelist") == TICKETS
