"""Tickets of an officer whose account was closed, or lost its role, are unassigned: everywhere, and at once."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core import mail
from django.utils import timezone

from common.identity import roles
from objections import acts
from objections.clock.days import today
from objections.models import Ticket
from objections.reports import digest
from objections.staff.filters import counts
from objections.ticket.officers import officer_of
from tools import factories

pytestmark = pytest.mark.django_db

QUEUE = "/admin/objections/ticket/"


def close(user: User) -> None:
    user.is_active = False
    user.save()


def take_role(user: User) -> None:
    user.groups.clear()


def swap_role(user: User) -> None:
    user.groups.set([Group.objects.get(name=roles.ML_ENGINEER)])


LEAVES = [close, take_role, swap_role]


@pytest.fixture
def hers(officer: User, second_officer: User) -> Ticket:
    ticket = factories.objection()
    return acts.assign.do(
        ticket=ticket, officer=second_officer, version=ticket.version or 0, actor=officer
    )


@pytest.mark.parametrize("leaves", LEAVES)
def test_a_ticket_of_a_colleague_who_left_is_in_unassigned_wherever_it_is_counted(
    leaves: Callable[[User], None],
    hers: Ticket,
    officer: User,
    second_officer: User,
    client_of: Any,
) -> None:
    client = client_of(officer)
    officer.email = "olga@example.org"
    officer.save()
    before = counts(officer)["unassigned"]

    leaves(second_officer)

    assert (before, counts(officer)["unassigned"]) == (0, 1)
    assert list(Ticket.objects.open().unassigned()) == [hers]
    page = client.get(QUEUE, {"queue": "unassigned"})
    assert [row.pk for row in page.context["cl"].result_list] == [hers.pk]
    text = page.content.decode()
    assert f'aria-label="Take {hers}"' in text
    assert "otto works no tickets any more" in text
    assert "Unassigned: 1" in client.get("/admin/").content.decode()
    file = client.get(f"{QUEUE}export/csv/?queue=unassigned").getvalue().decode().splitlines()
    assert (len(file), file[1].rpartition(",")[2]) == (2, "yes")
    ticket_page = client.get(f"{QUEUE}{hers.pk}/change/").content.decode()
    assert "unassigned: otto works no tickets any more" in ticket_page
    waits = {one.title: one.count for one in digest.what_waits(officer, today())}
    assert waits["unassigned in the team"] == 1
    digest.send_all(today() - dt.timedelta(days=today().weekday()))
    assert "unassigned in the team" in mail.outbox[0].subject


def test_a_ticket_whose_officer_works_is_not_in_unassigned(
    hers: Ticket, officer: User, client_of: Any
) -> None:
    page = client_of(officer).get(QUEUE, {"queue": "unassigned"})

    assert list(page.context["cl"].result_list) == []
    assert client_of(officer).get(QUEUE).context["cl"].result_list[0] == hers


@pytest.mark.parametrize("leaves", LEAVES)
def test_the_review_of_a_ticket_whose_officer_left_gives_it_to_the_person_who_begins_it(
    leaves: Callable[[User], None], hers: Ticket, officer: User, second_officer: User
) -> None:
    leaves(second_officer)

    row = acts.begin_review.do(ticket=hers, version=hers.version or 0, actor=officer)

    assert row.assignee == officer
    assert officer_of(row) == officer


def test_who_comes_back_has_their_tickets_again(
    hers: Ticket, officer: User, second_officer: User
) -> None:
    close(second_officer)
    second_officer.is_active = True
    second_officer.save()

    assert counts(second_officer)["mine"] == 1
    assert counts(officer)["unassigned"] == 0


def test_a_closed_ticket_keeps_the_name_of_its_officer(
    officer: User, second_officer: User, client_of: Any
) -> None:
    ticket = factories.uphold(factories.objection(), second_officer)
    close(second_officer)

    file = client_of(officer).get(f"{QUEUE}export/csv/?queue=closed").getvalue().decode()

    assert file.splitlines()[1].endswith(",otto,no")
    assert ticket.closed_at and ticket.closed_at <= timezone.now()


def test_the_page_of_an_account_says_how_many_tickets_return_before_and_after_it_is_closed(
    hers: Ticket, second_officer: User, administrator: User, client_of: Any
) -> None:
    client = client_of(administrator)
    page = f"/admin/auth/user/{second_officer.pk}/change/"
    groups = list(second_officer.groups.values_list("pk", flat=True))

    before = client.get(page).content.decode()
    client.post(
        page, {"username": "otto", "email": "", "groups": groups, "is_staff": "on"}, follow=False
    )
    after = client.get("/admin/auth/user/").content.decode()

    assert "1 open ticket of otto returns to Unassigned when the account is closed" in before
    assert "1 open ticket of otto is in Unassigned" in after
    second_officer.refresh_from_db()
    assert not second_officer.is_active


def test_asking_for_the_list_costs_no_question_for_each_ticket(
    officer: User, client_of: Any, django_assert_max_num_queries: Any
) -> None:
    client = client_of(officer)
    for _ in range(3):
        one = factories.objection()
        acts.assign.do(ticket=one, officer=officer, version=one.version or 0, actor=officer)
    client.get(QUEUE)

    with django_assert_max_num_queries(20) as asked:
        client.get(QUEUE)
    few = len(asked)
    for _ in range(5):
        one = factories.objection()
        acts.assign.do(ticket=one, officer=officer, version=one.version or 0, actor=officer)

    with django_assert_max_num_queries(few):
        client.get(QUEUE)
