"""A proposal that comes back is its author's first task, with the reason and with every word of it."""

import datetime as dt
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from consent import accounts
from objections import acts
from objections.choices import ChangeVerdict, Outcome
from objections.clock.days import today
from objections.models import Proposal, Ticket
from objections.reports import digest
from tools import factories

pytestmark = [pytest.mark.django_db, pytest.mark.one_engine]

QUEUE = "/admin/objections/ticket/"
GROUND = "A court has ordered that these records are kept as evidence."
BALANCING = "We weighed the order against what the person told us about them."
REASONS = "The order binds us until the proceedings are over."
WHY = "The balancing does not mention the child in the picture."


def reviewed(account: str, officer: User, **more: Any) -> Ticket:
    factories.add_member(account)
    return in_review(account, officer, **more)


def in_review(account: str, officer: User, **more: Any) -> Ticket:
    facts = {"purposes": ["safety"], "channel": "paper", "postal_address": "1 Main Street", **more}
    ticket = factories.objection(account, **facts)
    return factories.reviewed(ticket, officer)


def refusal(ticket: Ticket, officer: User, **more: Any) -> Proposal:
    ticket.refresh_from_db()
    proposal = acts.decide.do(
        ticket=ticket,
        outcomes={one.purpose: Outcome.REFUSED for one in ticket.objections.all()},
        version=ticket.version or 0,
        actor=officer,
        **{"ground": GROUND, "balancing": BALANCING, "reasons": REASONS, **more},
    )
    assert isinstance(proposal, Proposal)
    return proposal


def send_back(proposal: Proposal, by: User, reason: str = WHY) -> None:
    version = Ticket.objects.get(pk=proposal.ticket_id).version or 0
    acts.review.do(
        ticket=proposal.ticket,
        verdict=ChangeVerdict.RETURNED,
        version=version,
        actor=by,
        reason=reason,
    )


@pytest.fixture
def returned(officer: User, second_officer: User) -> Ticket:
    """Olga's refusal of two purposes, sent back by otto."""
    ticket = reviewed("acc-0", officer, purposes=["personalisation", "safety"])
    send_back(refusal(ticket, officer), second_officer)
    ticket.refresh_from_db()
    return ticket


def panels(client: Client) -> list[tuple[str, list[tuple[str, str, str]]]]:
    return [
        (panel.title, [(line.text, line.url, line.detail) for line in panel.lines])
        for panel in client.get(reverse("admin:index")).context["panels"]
    ]


def page(client: Client, ticket: Ticket, name: str) -> Any:
    return client.get(reverse(f"admin:objections_ticket_{name}", args=[ticket.pk]))


def test_a_proposal_that_came_back_is_first_on_its_authors_start_page(
    returned: Ticket, officer: User, second_officer: User, client_of: Any
) -> None:
    first, *_ = panels(client_of(officer))
    of_otto = dict(panels(client_of(second_officer)))

    address = reverse("admin:objections_ticket_decide", args=[returned.pk])
    assert first == (
        "Sent back to you",
        [(f"{returned}: refused", address, f"sent back by otto: {WHY}")],
    )
    assert "Sent back to you" not in of_otto


def test_its_ticket_is_first_among_mine_and_marked_in_the_queue_also_where_another_has_it(
    returned: Ticket, officer: User, second_officer: User, client_of: Any
) -> None:
    earlier = reviewed("acc-1", officer, received_at=timezone.now() - dt.timedelta(days=9))
    acts.assign.do(
        ticket=returned, officer=second_officer, version=returned.version or 0, actor=officer
    )

    answer = client_of(officer).get(QUEUE, {"queue": "mine"})
    rows = list(answer.context["cl"].result_list)

    assert rows[0] == returned
    assert earlier in rows[1:]
    assert [row.is_sent_back for row in rows] == [True, False]
    assert answer.content.decode().count("outcome was sent back") == 1


def test_the_digest_names_it_first(returned: Ticket, officer: User, second_officer: User) -> None:
    first, *_ = digest.what_waits(officer, today())

    assert (first.title, first.count) == ("sent back to you", 1)
    assert first.rows[0].text == f"{returned}: refused"
    assert first.rows[0].url.endswith(f"/{returned.pk}/decide/")
    titles = [section.title for section in digest.what_waits(second_officer, today())]
    assert "sent back to you" not in titles


def test_the_form_of_its_act_has_every_word_and_the_reason(
    returned: Ticket, officer: User, client_of: Any
) -> None:
    answer = page(client_of(officer), returned, "decide")
    form = answer.context["form"]

    kept = {name: form.initial[name] for name in ("ground", "balancing", "reasons")}
    assert kept == {"ground": GROUND, "balancing": BALANCING, "reasons": REASONS}
    assert form.initial["outcome_safety"] == form.initial["outcome_personalisation"] == "refused"
    for word in (GROUND, BALANCING, REASONS, WHY):
        assert word in answer.content.decode()
    assert form.initial["version"] == returned.version


def test_linked_tickets_stay_chosen_also_when_they_changed(
    officer: User, second_officer: User, client_of: Any
) -> None:
    ticket = reviewed("acc-0", officer)
    other = in_review("acc-0", officer)
    proposal = refusal(ticket, officer, also={other.reference: other.version or 0})
    send_back(proposal, second_officer)
    factories.note(ticket=other, text="A caller rang.", actor=second_officer)
    other.refresh_from_db()

    form = page(client_of(officer), ticket, "decide").context["form"]

    assert form.initial["also"] == [f"{other.reference}:{other.version}"]


@pytest.mark.parametrize("name", ["withdraw", "close_unidentified", "close_abuse"])
def test_every_kind_of_closing_finds_its_evidence(
    name: str, officer: User, second_officer: User, client_of: Any
) -> None:
    evidence = "A letter of the 3rd with a signature, kept in the file."
    if name == "close_abuse":
        ticket = factories.objection(looks_automatic=True)
        propose = acts.close_abuse.do
    elif name == "withdraw":
        ticket = reviewed("acc-0", officer)
        propose = acts.withdraw.do
    else:
        ticket = factories.objection(channel="email")
        ticket = acts.ask_identity.do(
            ticket=ticket, **factories.IDENTITY, version=ticket.version or 0, actor=officer
        )
        factories.send_letters(ticket)
        ticket.refresh_from_db()
        propose = acts.close_unidentified.do
    more = {"is_answered": True} if name == "close_unidentified" else {}
    proposal = propose(
        ticket=ticket, evidence=evidence, version=ticket.version or 0, actor=officer, **more
    )
    send_back(proposal, second_officer)

    client = client_of(officer)
    form = page(client, ticket, name).context["form"]

    assert form.initial["evidence"] == evidence
    assert form.initial.get("is_answered", False) == bool(more)
    assert panels(client)[0][1][0][1] == reverse(
        f"admin:objections_ticket_{name}", args=[ticket.pk]
    )
    # The form of another act has nothing of it.
    if name == "withdraw":
        assert "evidence" not in page(client, ticket, "decide").context["form"].initial


def test_it_is_no_task_any_more_once_it_is_proposed_again_and_the_second_review_shows_what_changed(
    returned: Ticket, officer: User, second_officer: User, client_of: Any
) -> None:
    refusal(returned, officer, balancing=f"{BALANCING} The child is not shown.")

    answer = page(client_of(second_officer), returned, "review")
    text = answer.content.decode()

    assert panels(client_of(officer))[0][0] != "Sent back to you"
    assert not Proposal.objects.returned().exists()
    assert "What changed since it was sent back" in text
    assert WHY in text
    added = [line for line in answer.context["taken_up"][1] if line.mark == "added"]
    assert ["".join(part.text for part in line.parts) for line in added] == [
        f"Balancing: {BALANCING} The child is not shown."
    ]


def test_who_takes_back_a_proposal_of_their_own_finds_the_words_and_no_task(
    officer: User, client_of: Any
) -> None:
    ticket = reviewed("acc-0", officer)
    send_back(refusal(ticket, officer), officer, "I forgot the order's date.")

    client = client_of(officer)

    assert page(client, ticket, "decide").context["form"].initial["ground"] == GROUND
    assert panels(client)[0][0] != "Sent back to you"


def test_what_comes_back_to_an_author_who_left_is_every_officers(
    returned: Ticket, officer: User, second_officer: User, client_of: Any
) -> None:
    officer.is_active = False
    officer.save()

    assert panels(client_of(second_officer))[0][0] == "Sent back to you"


def test_the_tickets_page_says_that_it_came_back_and_leads_to_the_form(
    returned: Ticket, second_officer: User, auditor: User, client_of: Any
) -> None:
    address = reverse("admin:objections_ticket_decide", args=[returned.pk])
    own = client_of(second_officer).get(f"{QUEUE}{returned.pk}/change/").content.decode()
    of_auditor = client_of(auditor).get(f"{QUEUE}{returned.pk}/change/").content.decode()

    assert own.count(WHY) >= 2  # the box, and the timeline
    assert f'href="{address}"' in own
    assert GROUND not in of_auditor
    assert f'href="{address}"' not in of_auditor


def test_an_erased_ticket_gives_no_words_back(
    returned: Ticket, officer: User, client_of: Any
) -> None:
    accounts.erase_member(account_ref="acc-0", actor=officer, reason="asked for")

    form = page(client_of(officer), returned, "decide").context["form"]
    assert "ground" not in form.initial
