"""Letter templates, the outbox, proposals and incidents in the admin: who reads what, and that nothing typed is lost."""

from html import unescape
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from ledger import entries
from ledger.models import AccessRecord
from objections import acts
from objections.choices import ChangeVerdict, LetterKind, LetterState
from objections.clock.days import today
from objections.errors import NeedsSecondPerson
from objections.letters import composing, texts
from objections.letters.differences import differences
from objections.letters.texts import Text
from objections.models import Letter, LetterTemplate, ProposedChange, Ticket
from objections.reports import digest
from tools import factories

pytestmark = [pytest.mark.django_db, pytest.mark.one_engine]

KIND = LetterKind.ACKNOWLEDGEMENT
BUILT_IN = texts.built_in(KIND)
EDIT = "admin:objections_lettertemplate_edit"
REVIEW = "admin:objections_lettertemplate_review"
SHOW = "admin:objections_lettertemplate_kind"


@pytest.fixture
def client(officer: User, client_of: Any) -> Client:
    return client_of(officer)


def typed(**changes: object) -> dict[str, object]:
    """The form as a browser sends it."""
    body = BUILT_IN.body.replace("\n", "\r\n")
    return {"subject": BUILT_IN.subject, "body": body, "version": 0, "reason": "Plainer."} | changes


@pytest.fixture
def save(officer: User, second_officer: User) -> Any:
    """Puts a text into use, proposed by olga and approved by otto."""

    def put(text: Text, *, version: int, reason: str = "x") -> LetterTemplate:
        return factories.put_into_use(
            KIND, text, officer, second_officer, version=version, reason=reason
        )

    return put


def with_line(line: str) -> Text:
    return Text(BUILT_IN.subject, f"{BUILT_IN.body}\n{line}\n")


# --- Templates: looking -------------------------------------------------------------------------


def test_the_list_shows_every_kind_with_the_version_in_use(client, save):
    save(with_line("One"), version=0, reason="Because of <this>")

    html = client.get(reverse("admin:objections_lettertemplate_changelist")).text

    shown = [kind for kind in LetterKind.values if reverse(SHOW, args=[kind]) in html]
    assert shown == LetterKind.values
    assert html.count("version 0, built in") == len(shown) - 1
    assert "Because of &lt;this&gt;" in html


def test_the_page_of_a_kind_explains_its_placeholders_and_shows_a_sample(client):
    html = unescape(client.get(reverse(SHOW, args=[KIND])).text)

    known = {name for name in texts.PLACEHOLDERS if f"<code>{{{{ {name} }}}}</code></th>" in html}
    assert known == texts.AVAILABLE[KIND]
    assert html.count("must stay") == len(texts.REQUIRED[KIND])
    assert "Hello Sample Person," in html


def test_a_version_says_what_it_changed_and_what_came_after(client, save):
    save(with_line("First of all"), version=0)
    save(with_line("First and last"), version=1)
    page = reverse("admin:objections_lettertemplate_version", args=[KIND, 1])

    html = client.get(page).text

    assert "Changes from version 0" in html
    assert "Changes from this version to version 2" in html
    assert "First <del>of all</del>" in html
    assert "First <ins>and last</ins>" in html


@pytest.mark.parametrize(
    ("name", "args"),
    [
        (SHOW, ["nonsense"]),
        (EDIT, ["nonsense"]),
        ("admin:objections_lettertemplate_version", [KIND, 7]),
    ],
)
def test_there_is_no_page_of_what_is_not_there(client, name, args):
    assert client.get(reverse(name, args=args)).status_code == 404


@pytest.mark.parametrize("number", ["9", "-1", "x", "９", "1" * 9])
def test_a_draft_cannot_start_from_a_missing_version(client, number):
    assert client.get(reverse(EDIT, args=[KIND]), {"from": number}).status_code == 404


# --- Templates: editing -------------------------------------------------------------------------


def review(client: Client, verdict: str = "approved") -> Any:
    """The page of the second person, as they read it, and their word."""
    page = reverse(REVIEW, args=[KIND])
    version = client.get(page).context["form"].initial["version"]
    typed = {"verdict": verdict, "reason": "Read it aloud.", "version": version}
    return client.post(page, typed)


def test_a_text_is_put_into_use_by_two_people_each_with_a_reason(client, second_officer, client_of):
    answer = client.post(reverse(EDIT, args=[KIND]), typed(subject="News of {{ reference }}"))
    in_use_meanwhile = composing.template(KIND)
    otto = client_of(second_officer)
    page = unescape(otto.get(reverse(REVIEW, args=[KIND])).text)
    approved = review(otto)

    row = LetterTemplate.objects.select_related("entry").get()
    assert (answer.status_code, approved.status_code) == (302, 302)
    assert in_use_meanwhile == (0, BUILT_IN)
    assert "<ins>News of </ins>" in page
    assert "Plainer." in page
    assert (row.number, row.subject, row.body) == (1, "News of {{ reference }}", BUILT_IN.body)
    assert (row.entry.actor_name, row.entry.reason) == ("otto", "Read it aloud.")
    html = unescape(client.get(reverse(SHOW, args=[KIND])).text)
    assert "proposed by olga (Plainer.), approved by otto: Read it aloud." in html


def test_who_proposed_a_text_cannot_put_it_into_use(client, officer):
    client.post(reverse(EDIT, args=[KIND]), typed(subject="News of {{ reference }}"))

    answer = review(client)
    with pytest.raises(NeedsSecondPerson):
        composing.review_text(
            change=ProposedChange.objects.get(),
            verdict=ChangeVerdict.APPROVED,
            actor=officer,
            reason="x",
        )

    assert "The proposer may not approve it" in unescape(answer.text)
    assert "Read it aloud." in answer.text
    assert composing.template(KIND) == (0, BUILT_IN)


def test_of_a_letter_one_text_waits_at_a_time_and_a_second_one_is_kept_in_its_form(
    client, second_officer, client_of
):
    client.post(reverse(EDIT, args=[KIND]), typed(subject="News of {{ reference }}"))
    otto = client_of(second_officer)

    looked_at = otto.get(reverse(EDIT, args=[KIND])).text
    answer = otto.post(reverse(EDIT, args=[KIND]), typed(subject="Mine: {{ reference }}"))

    assert "Another text is waiting for review" in looked_at
    assert '<form method="post" novalidate' not in looked_at
    assert "waits for a second person already" in answer.text
    assert "Mine: {{ reference }}" in answer.text
    assert ProposedChange.objects.count() == 1


def test_a_text_sent_back_is_its_authors_first_task_with_the_reason_and_the_text(
    client, officer, second_officer, client_of
):
    client.post(reverse(EDIT, args=[KIND]), typed(subject="News of {{ reference }}"))
    review(client_of(second_officer), "returned")

    first = client.get(reverse("admin:index")).context["panels"][0]
    page = client.get(first.lines[0].url)
    initial = page.context["form"].initial

    assert (first.title, first.lines[0].detail) == (
        "Sent back to you",
        "sent back by otto: Read it aloud.",
    )
    assert initial["subject"] == "News of {{ reference }}"
    assert (initial["body"], initial["reason"]) == (BUILT_IN.body, "Plainer.")
    assert "Read it aloud." in page.text
    assert composing.template(KIND) == (0, BUILT_IN)
    assert digest.what_waits(officer, today())[0].title == "sent back to you"
    # Proposed again it is a task no more, and stands before a colleague.
    client.post(reverse(EDIT, args=[KIND]), typed(subject="More news of {{ reference }}"))
    panels = {panel.title: panel for panel in client.get(reverse("admin:index")).context["panels"]}
    of_otto = client_of(second_officer).get(reverse("admin:index")).context["panels"]
    waits = {panel.title: panel for panel in of_otto}["Texts and erasures waiting for your word"]
    assert "Sent back to you" not in panels
    assert [line.url for line in waits.lines] == [reverse(REVIEW, args=[KIND])]
    sections = {one.title: one.count for one in digest.what_waits(second_officer, today())}
    assert sections["texts and erasures waiting for a second person"] == 1


def test_what_was_read_is_what_is_approved(client, officer, second_officer, client_of):
    client.post(reverse(EDIT, args=[KIND]), typed(subject="First: {{ reference }}"))
    first = ProposedChange.objects.get()
    composing.review_text(
        change=first, verdict=ChangeVerdict.RETURNED, actor=officer, reason="Mine again."
    )
    client.post(reverse(EDIT, args=[KIND]), typed(subject="Second: {{ reference }}"))

    said = {"verdict": "approved", "reason": "Read it.", "version": first.pk}
    answer = client_of(second_officer).post(reverse(REVIEW, args=[KIND]), said)

    assert "was decided on in the meantime" in answer.text
    assert composing.template(KIND) == (0, BUILT_IN)


def test_a_preview_shows_the_letter_and_saves_nothing(client):
    form = typed(body=f"{BUILT_IN.body}\nYours, {{{{ name }}}} <b>\n", reason="", preview="Preview")

    html = client.post(reverse(EDIT, args=[KIND]), form).text

    assert "Yours, Sample Person &lt;b&gt;" in html
    assert "Yours, {{ name }} &lt;b&gt;</textarea>" in html.replace("\n</textarea>", "</textarea>")
    assert "errornote" not in html
    assert ProposedChange.objects.count() == 0


@pytest.mark.parametrize("button", [{}, {"preview": "Preview"}], ids=["use", "preview"])
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"body": "Nothing that must stay."}, "This letter must say"),
        ({"subject": "{{ gossip }}"}, "This letter does not know {{ gossip }}"),
        ({"subject": ""}, "This field is required."),
        ({"body": "\u202e" + BUILT_IN.body}, "a character that cannot be seen"),
        ({"body": BUILT_IN.body + "x" * 20_001}, "at most 20,000 are allowed"),
    ],
)
def test_a_text_that_cannot_be_sent_is_refused_and_nothing_typed_is_lost(
    client, change, sentence, button
):
    html = unescape(client.post(reverse(EDIT, args=[KIND]), typed(**change, **button)).text)

    kept = str(change.get("body", BUILT_IN.body)).strip()
    assert sentence in html
    assert kept in html.replace("\r\n", "\n")
    assert ProposedChange.objects.count() == 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"reason": ""}, "This field is required."),
        ({}, "This is the text in use: nothing would change."),
    ],
)
def test_what_is_recorded_needs_a_change_and_a_reason(client, change, sentence):
    html = client.post(reverse(EDIT, args=[KIND]), typed(**change)).text

    assert sentence in html
    assert ProposedChange.objects.count() == 0


def test_a_text_that_a_colleague_changed_meanwhile_is_not_written_over(client, save):
    save(with_line("Theirs"), version=0)
    mine = f"{BUILT_IN.body}\nMine\n"

    first = client.post(reverse(EDIT, args=[KIND]), typed(body=mine)).text

    assert "Version 1 was put into use while you were writing" in first
    assert "<td>added</td><td>Theirs</td>" in first
    assert "\nMine\n" in first.replace("\r\n", "\n")
    assert '<input type="hidden" name="version" value="1"' in first
    assert LetterTemplate.objects.count() == 1

    second = client.post(reverse(EDIT, args=[KIND]), typed(body=mine, version=1))

    assert (second.status_code, LetterTemplate.objects.count()) == (302, 1)
    assert ProposedChange.objects.waiting().get().facts["version"] == 1


def test_going_back_starts_from_the_earlier_text_and_takes_two_people_too(
    client, save, second_officer, client_of
):
    save(with_line("One"), version=0)

    html = client.get(reverse(EDIT, args=[KIND]), {"from": "0"}).text

    form = typed(version=1, reason="It was better.")
    client.post(reverse(EDIT, args=[KIND]) + "?from=0", form)

    assert composing.template(KIND)[0] == 1
    review(client_of(second_officer))
    assert "This starts from the text of version 0; version 1 is in use." in html
    assert composing.template(KIND) == (2, BUILT_IN)


def test_auditors_look_at_templates_and_change_none(auditor, client_of):
    client = client_of(auditor)

    html = client.get(reverse(SHOW, args=[KIND])).text
    refused = client.post(reverse(EDIT, args=[KIND]), typed(subject="x {{ reference }}"))

    assert "Edit the text" not in html
    assert "Start from it" not in html
    assert (refused.status_code, ProposedChange.objects.count()) == (403, 0)
    assert client.get(reverse(REVIEW, args=[KIND])).status_code == 403


def test_a_row_of_the_ledger_leads_to_its_version(client, save):
    row = save(with_line("One"), version=0)

    html = client.get(reverse("admin:objections_lettertemplate_change", args=[row.pk])).text

    assert "Acknowledgement, version 1" in html


# --- Differences --------------------------------------------------------------------------------


def shown(old: str, new: str) -> list[str]:
    signs = {"": " ", "added": "+", "removed": "-"}
    return [
        f"... {line.hidden}" if line.hidden
        else signs[line.mark]
        + "".join(f"[{part.text}]" if part.is_changed else part.text for part in line.parts)
        for line in differences(old, new)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("a\n", "a\n", []),
        ("a\nb\n", "a\nb\nc\n", [" a", " b", "+c"]),
        ("a b c\n", "a x c\n", ["-a [b ]c", "+a [x ]c"]),
        ("1\n2\n3\n4\n5\n6\n", "1\n2\n3\n4\n5\n7\n", ["... 3", " 4", " 5", "-[6]", "+[7]"]),
        ("a\nb\n", "", ["-a", "-b"]),
    ],
)
def test_differences_name_lines_and_words(old, new, expected):
    assert shown(old, new) == expected


@pytest.mark.parametrize("word", ["a ", "a\n", "ab"])
def test_a_long_text_is_compared_in_a_moment(word):
    old, new = word * 10_000, word * 9_999 + "x"

    lines = differences(old, new)

    assert "".join(part.text for part in lines[-1].parts).endswith("x")


# --- The outbox ---------------------------------------------------------------------------------

SECRET = ["Petra Muster", "petra@example.net"]


@pytest.fixture
def ticket() -> Ticket:
    return factories.objection(name=SECRET[0], email=SECRET[1], channel="email")


def fail(letter: Letter) -> Letter:
    with entries.entry("test.failed", actor="test"):
        letter.state = LetterState.FAILED
        letter.save()
    letter.text.last_error = "SMTPRecipientsRefused"
    letter.text.save()
    return letter


OUTBOX = "admin:objections_letter_changelist"


def references(html: str) -> list[str]:
    """The tickets of the rows, in their order."""
    return [
        ticket.reference
        for ticket in sorted(
            Ticket.objects.all(), key=lambda one: html.find(f">{one.reference}</a></td>")
        )
        if f">{ticket.reference}</a></td>" in html
    ]


def test_what_failed_comes_first_and_what_is_out_is_left_out(client):
    failed, sent, waiting = (factories.objection(channel="email") for _ in range(3))
    factories.send_letters(sent)
    fail(failed.letters.get())

    html = client.get(reverse(OUTBOX)).text

    assert references(html) == [failed.reference, waiting.reference]
    assert "the mail server refused the address" in html


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"state": "all"}, [2, 1, 0]),
        ({"state": "sent"}, [1]),
        ({"state": "failed"}, [2]),
        ({"delivery__exact": "post"}, []),
        ({"state": "all", "kind__exact": "acknowledgement"}, [2, 1, 0]),
    ],
)
def test_letters_are_filtered(client, query, expected):
    tickets = [factories.objection(channel="email") for _ in range(3)]
    factories.send_letters(tickets[1])
    fail(tickets[2].letters.get())

    html = client.get(reverse(OUTBOX), query).text

    assert references(html) == [tickets[i].reference for i in expected]


def test_a_search_finds_letters_that_are_out(client, ticket):
    factories.send_letters(ticket)
    factories.objection()

    html = client.get(reverse(OUTBOX), {"q": ticket.reference.lower()}).text

    assert references(html) == [ticket.reference]


@pytest.mark.parametrize("reader", ["officer", "auditor"])
def test_no_page_of_a_letter_names_the_person(reader, ticket, request, client_of):
    client = client_of(request.getfixturevalue(reader))
    letter = ticket.letters.get()

    pages = [
        client.get(reverse(OUTBOX)).text,
        client.get(reverse("admin:objections_letter_change", args=[letter.pk])).text,
        client.get(reverse("admin:objections_letter_history", args=[letter.pk])).text,
        client.get(reverse("admin:index")).text,
    ]

    assert [word for word in SECRET if word in "".join(pages)] == []
    assert ticket.reference in pages[0]


def test_the_text_is_read_on_record_and_by_no_auditor(ticket, officer, auditor, client_of):
    letter = ticket.letters.get()
    row = reverse("admin:objections_letter_change", args=[letter.pk])
    text = reverse("admin:objections_ticket_letter", args=[letter.pk])

    offered = [text in client_of(person).get(row).text for person in (officer, auditor)]
    answers = [client_of(person).get(text) for person in (officer, auditor)]

    assert offered == [True, False]
    assert [answer.status_code for answer in answers] == [200, 403]
    assert SECRET[1] in answers[0].text
    reads = AccessRecord.objects.filter(kind="letter.read", purpose=ticket.reference)
    assert list(reads.values_list("actor_name", flat=True)) == ["olga"]


@pytest.mark.parametrize("model", ["letter", "proposal"])
def test_looking_at_what_is_a_tickets_is_on_record(model, client, ticket, officer):
    acts.withdraw.do(
        ticket=ticket, evidence=factories.EVIDENCE, version=ticket.version, actor=officer
    )
    row = apps.get_model("objections", model).objects.get()

    client.get(reverse(f"admin:objections_{model}_changelist"))
    client.get(reverse(f"admin:objections_{model}_change", args=[row.pk]))

    assert set(AccessRecord.objects.values_list("kind", "subject")) == {
        (f"{model}.listed", "list"),
        (f"{model}.read", ticket.reference),
    }


def test_a_letter_whose_words_are_erased_still_has_its_row(client, ticket):
    letter = fail(ticket.letters.get())
    letter.text.delete()

    row = client.get(reverse("admin:objections_letter_change", args=[letter.pk])).text

    assert "its words are erased" in row
    assert references(client.get(reverse(OUTBOX)).text) == [ticket.reference]


def test_the_outbox_asks_as_much_about_many_letters_as_about_one(client, ticket):
    client.get(reverse(OUTBOX))
    with CaptureQueriesContext(connection) as few:
        client.get(reverse(OUTBOX))
    for _ in range(3):
        fail(factories.objection(channel="email").letters.get())
    with CaptureQueriesContext(connection) as many:
        client.get(reverse(OUTBOX))

    assert len(many) == len(few)


def test_the_start_page_counts_what_keeps_letters_from_people(client):
    fail(factories.objection(channel="email").letters.get())
    for _ in range(5):
        factories.objection(email="", postal_address="1 Main Street", channel="paper")

    html = client.get(reverse("admin:index")).text

    assert "Could not be sent: 1" in html
    assert "To be posted: 5" in html
    assert "and 1 more" in html
    assert "Main Street" not in html


# --- Second opinions and incidents --------------------------------------------------------------


@pytest.mark.parametrize(
    ("reader", "is_offered"), [("officer", False), ("second_officer", True), ("auditor", False)]
)
def test_only_a_second_person_is_offered_the_review(
    reader, is_offered, ticket, officer, request, client_of
):
    proposal = acts.withdraw.do(
        ticket=ticket, evidence=factories.EVIDENCE, version=ticket.version, actor=officer
    )
    client = client_of(request.getfixturevalue(reader))

    page = client.get(reverse("admin:objections_proposal_change", args=[proposal.pk])).text
    listed = client.get(reverse("admin:objections_proposal_changelist")).text

    assert (reverse("admin:objections_ticket_review", args=[ticket.pk]) in page) is is_offered
    assert "waits for a second person" in page
    assert "Generative AI: withdrawn" in listed
    assert SECRET[0] not in page + listed


@pytest.mark.parametrize(("standing", "count"), [("waiting", 1), ("approved", 1), ("returned", 0)])
def test_proposals_are_filtered_by_their_standing(standing, count, client, officer, second_officer):
    for _ in range(2):
        one = factories.objection(channel="email")
        proposal = acts.withdraw.do(
            ticket=one, evidence=factories.EVIDENCE, version=one.version, actor=officer
        )
    factories.approve(proposal, second_officer)

    html = client.get(reverse("admin:objections_proposal_changelist"), {"standing": standing}).text

    assert len(references(html)) == count
    assert ("approved by otto" in html) is (standing == "approved")
