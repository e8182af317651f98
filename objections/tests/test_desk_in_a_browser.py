"""Work that comes back and work that is interrupted, in a real browser."""

from typing import Any

from django.contrib.auth.models import User
from playwright.sync_api import expect

from common.models import Draft
from objections.models import Attachment, Proposal, Ticket
from tools import factories
from tools.browsing import in_a_browser

pytestmark = in_a_browser

GROUND = "A court has ordered that these records are kept as evidence."
BALANCING = "We weighed the order against what the person told us about them."
REASONS = "The order binds us until the proceedings are over."


def test_a_refusal_that_is_sent_back_is_found_mended_and_approved(
    officer: User, second_officer: User, visit: Any
) -> None:
    factories.add_member("acc-0")
    ticket = factories.reviewed(
        factories.objection(
            "acc-0", purposes=["safety"], channel="email", email="p@example.org", country="DE"
        ),
        officer,
    )
    olga, otto = visit(officer), visit(second_officer)

    page = olga.open("admin:objections_ticket_decide", ticket.pk)
    page.get_by_label("Refuse").check()
    page.get_by_label("The compelling ground").fill(GROUND)
    page.get_by_label("Balancing").fill(BALANCING)
    page.get_by_label("The reasons").fill(REASONS)
    page.get_by_role("button", name="Record the decision").click()
    expect(page.get_by_text("Proposed: a colleague reviews")).to_be_visible()

    page = otto.open("admin:objections_ticket_review", ticket.pk)
    page.get_by_label("Send it back").check()
    page.get_by_label("Reason").fill("Name the court.")
    page.get_by_role("button", name="Record your word").click()
    expect(page.get_by_text("is now the first task of olga")).to_be_visible()

    page = olga.open("admin:index")
    first = page.locator("section.panel").first
    expect(first.get_by_role("heading")).to_have_text("Sent back to you")
    expect(first).to_contain_text("Name the court.")
    assert olga.faults_here() == []
    first.get_by_role("link").click()
    expect(page.get_by_label("The compelling ground")).to_have_value(GROUND)
    expect(page.get_by_label("Balancing")).to_have_value(BALANCING)
    expect(page.get_by_label("The reasons")).to_have_value(REASONS)
    assert olga.faults_here() == []
    page.get_by_label("The compelling ground").fill(f"{GROUND} It is the High Court.")
    page.get_by_role("button", name="Record the decision").click()

    page = otto.open("admin:objections_ticket_review", ticket.pk)
    expect(page.get_by_text("What changed since it was sent back")).to_be_visible()
    assert otto.faults_here() == []
    page.get_by_label("Approve it").check()
    page.get_by_label("Reason").fill("The court is named.")
    page.get_by_role("button", name="Record your word").click()
    expect(page.get_by_text("Approved:")).to_be_visible()
    assert Ticket.objects.get().state == "refused"
    assert Proposal.objects.count() == 2
    assert not Draft.objects.exists()


def test_a_file_chosen_for_an_objection_on_paper_outlives_preview_error_and_session(
    officer: User, visit: Any
) -> None:
    olga = visit(officer)
    page = olga.open("admin:objections_ticket_add")
    page.get_by_label("paper").check()
    page.get_by_label("Moderation and safety").check()
    page.get_by_label("Name").fill("Paul Muster")
    page.get_by_label("Files").set_input_files(
        {"name": "letter.txt", "mimeType": "text/plain", "buffer": b"I object."}
    )
    page.get_by_role("button", name="Show what it changes").click()
    expect(page.get_by_text("Nothing is recorded yet: this is a preview.")).to_be_visible()
    expect(page.get_by_text("letter.txt")).to_be_visible()
    assert olga.faults_here() == []
    page.get_by_role("button", name="Take it in").click()
    expect(page.get_by_text("We need an address to answer to.")).to_be_visible()
    expect(page.get_by_text("letter.txt")).to_be_visible()

    page.get_by_label("Postal address").fill("1 Main Street")
    olga.context.clear_cookies(name="sessionid")
    page.get_by_role("button", name="Take it in").click()
    expect(page.get_by_text("What you typed is kept")).to_be_visible()
    assert not Ticket.objects.exists()
    page.get_by_label("Username").fill("olga")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Log in").click()

    expect(page.get_by_text("is filled in")).to_be_visible()
    expect(page.get_by_label("Postal address")).to_have_value("1 Main Street")
    expect(page.get_by_label("Name")).to_have_value("Paul Muster")
    expect(page.get_by_label("paper")).to_be_checked()
    expect(page.get_by_text("letter.txt")).to_be_visible()
    assert olga.faults_here() == []
    # The Enter key does the act; it does not press the button that discards.
    page.get_by_label("Name").press("Enter")
    expect(page.get_by_text("the restriction stands")).to_be_visible()

    assert list(Attachment.objects.values_list("name", flat=True)) == ["letter.txt"]
    assert not Draft.objects.exists()
