"""What staff type is kept until the act is done: words and files, for one person and one page."""

import datetime as dt
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.db.models import signals
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from common import drafts, tasks
from common.models import Draft, DraftFile
from common.staff.site import site
from consent import accounts
from objections import acts
from objections.models import Attachment, Note, Ticket
from tools import factories

pytestmark = [pytest.mark.django_db, pytest.mark.one_engine]

KEY_IN = "/admin/objections/ticket/add/"
SECRET = "Wilhelmina-Unforgettable"


@pytest.fixture
def ticket(officer: User) -> Ticket:
    factories.add_member("acc-0")
    return factories.reviewed(factories.objection("acc-0", purposes=["safety"]), officer)


def page_of(ticket: Ticket, act: str) -> str:
    return reverse(f"admin:objections_ticket_{act}", args=[ticket.pk])


def token_in(client: Client, address: str) -> str:
    form = client.get(address).context["form"]
    return form.draft.token


def text_file(name: str = "letter.txt", words: str = "words") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, words.encode())


def keyed(**more: Any) -> dict[str, Any]:
    return {
        "source_id": "key-1", "channel": "paper", "kind": "objection", "purposes": ["safety"],
        "name": SECRET, "postal_address": "1 Main Street", "country": "IE", **more,
    }  # fmt: skip


def kept_names(answer: Any) -> list[str]:
    return [file.name for file in answer.context["form"].draft.files]


def test_a_file_chosen_before_the_preview_is_taken_in_with_the_objection(
    officer: User, client_of: Any
) -> None:
    client = client_of(officer)

    preview = client.post(KEY_IN, keyed(preview="1", attachments=text_file()))
    shown = client.get(KEY_IN)
    done = client.post(KEY_IN, keyed())

    assert kept_names(preview) == kept_names(shown) == ["letter.txt"]
    assert "letter.txt" in shown.content.decode()
    assert shown.context["form"].initial["name"] == SECRET
    assert shown.context["form"].initial["source_id"] == "key-1"
    assert done.status_code == 302
    assert list(Attachment.objects.values_list("name", "size")) == [("letter.txt", 5)]
    assert not (Draft.objects.exists() or DraftFile.objects.exists())


def test_a_preview_says_at_once_that_a_file_is_not_taken_and_keeps_the_others(
    officer: User, client_of: Any
) -> None:
    client = client_of(officer)
    word = SimpleUploadedFile("letter.docx", b"PK\x03\x04" + b"\0" * 40)

    answer = client.post(KEY_IN, keyed(preview="1", attachments=[text_file(), word]))

    assert "letter.docx" in str(answer.context["form"].errors["attachments"])
    assert kept_names(answer) == ["letter.txt"]


def test_a_kept_file_can_be_left_out_and_the_same_file_chosen_again_is_one(
    officer: User, client_of: Any
) -> None:
    client = client_of(officer)
    client.post(KEY_IN, keyed(preview="1", attachments=[text_file("a.txt"), text_file("b.txt")]))
    first = DraftFile.objects.order_by("pk").first()
    assert first

    again = client.post(KEY_IN, keyed(preview="1", attachments=text_file("b.txt")))
    client.post(KEY_IN, keyed(drop_file=str(first.pk)))

    assert kept_names(again) == ["a.txt", "b.txt"]
    assert list(Attachment.objects.values_list("name", flat=True)) == ["b.txt"]


@pytest.mark.parametrize("csrf", [False, True], ids=["session ended", "signed in elsewhere"])
def test_words_and_files_posted_without_a_session_are_there_after_signing_in(
    csrf: bool, officer: User, client_of: Any
) -> None:
    token = token_in(client_of(officer), KEY_IN)
    stranger = Client(enforce_csrf_checks=csrf)

    answer = stranger.post(KEY_IN, keyed(draft_of=token, attachments=text_file()), follow=True)
    shown = client_of(officer).get(KEY_IN)

    assert answer.status_code == (403 if csrf else 200)
    assert "What you typed is" in answer.content.decode()
    assert SECRET not in answer.content.decode()
    assert not Ticket.objects.exists()
    assert shown.context["form"].initial["name"] == SECRET
    assert kept_names(shown) == ["letter.txt"]
    assert shown.context["form"].draft.is_shown


def test_signing_in_leads_back_to_the_form(officer: User, client_of: Any, ticket: Ticket) -> None:
    address = page_of(ticket, "note")
    token = token_in(client_of(officer), address)
    browser = Client()

    to_login = browser.post(address, {"text": "She called.", "draft_of": token})
    signed_in = browser.post(
        to_login["Location"], {"username": "olga", "password": "correct horse battery"}
    )

    assert signed_in["Location"] == address
    assert browser.get(address).context["form"].initial["text"] == "She called."


@pytest.mark.parametrize("fault", ["none", "altered", "other page", "old", "left"])
def test_a_draft_is_kept_only_from_the_form_that_was_shown_to_its_officer(
    fault: str, officer: User, client_of: Any, ticket: Ticket
) -> None:
    address = page_of(ticket, "note")
    token = token_in(client_of(officer), address)
    later = dt.timedelta(days=drafts.TOKEN_DAYS + 1 if fault == "old" else 0)
    if fault == "none":
        token = ""
    elif fault == "altered":
        token = f"{token[:-2]}AA"
    elif fault == "other page":
        address = page_of(ticket, "decide")
    elif fault == "left":
        officer.is_active = False
        officer.save()

    with time_machine.travel(timezone.now() + later):
        answer = Client().post(address, {"text": "forged", "draft_of": token}, follow=True)

    assert not Draft.objects.exists()
    assert "What you typed is" not in answer.content.decode()


def test_without_a_session_drafts_are_bounded_in_rate_and_size(
    officer: User, client_of: Any, ticket: Ticket
) -> None:
    address = page_of(ticket, "note")
    client = client_of(officer)
    token = token_in(client, address)
    client.post(address, {"text": "", "draft_of": token})

    for words in ("first", "second"):
        Client().post(address, {"text": words, "draft_of": token})
    large = {"text": "x" * (drafts.MAX_CHARACTERS + 1), "draft_of": token}
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=1)):
        Client().post(address, large)

    assert Draft.objects.get().fields["text"] == ["first"]


def test_a_person_keeps_the_latest_drafts_only(
    officer: User, client_of: Any, monkeypatch: Any, ticket: Ticket
) -> None:
    monkeypatch.setattr(drafts, "MAX_DRAFTS", 2)
    client = client_of(officer)
    for act in ("withdraw", "match", "link"):
        client.post(page_of(ticket, act), {"version": "0", "evidence": "e", "reason": "r"})

    addresses = set(Draft.objects.values_list("address", flat=True))
    assert addresses == {page_of(ticket, "match"), page_of(ticket, "link")}


def test_an_error_a_refusal_and_a_stale_edit_keep_what_was_typed_also_after_leaving(
    officer: User, second_officer: User, client_of: Any, ticket: Ticket
) -> None:
    client = client_of(officer)
    typed = {"version": str(ticket.version), "outcome_safety": "refused", "ground": "Only this."}

    refused = client.post(page_of(ticket, "decide"), typed)
    factories.note(ticket=ticket, text="Meanwhile.", actor=second_officer)
    shown = client.get(page_of(ticket, "decide"))
    form = shown.context["form"]

    assert "Only this." in refused.content.decode()
    assert form.initial["ground"] == "Only this."
    assert form.initial["outcome_safety"] == "refused"
    ticket.refresh_from_db()
    # The page shows the ticket as it is now, and says that it changed.
    assert form.initial["version"] == ticket.version
    assert "The record has changed since" in shown.content.decode()
    lines = {
        panel.title: [(line.text, line.url) for line in panel.lines]
        for panel in client.get(reverse("admin:index")).context["panels"]
    }
    assert lines["Unfinished drafts"] == [(f"{ticket}: decide", page_of(ticket, "decide"))]


def test_the_draft_goes_when_the_act_is_done_or_discarded(
    officer: User, client_of: Any, ticket: Ticket
) -> None:
    client = client_of(officer)
    client.post(page_of(ticket, "note"), {"text": ""})
    client.post(page_of(ticket, "withdraw"), {"version": "1", "evidence": ""})
    assert Draft.objects.count() == 2

    client.post(page_of(ticket, "note"), {"version": ticket.version, "text": "She called."})
    discarded = client.post(
        page_of(ticket, "withdraw"), {"version": "1", "evidence": "Not this", "discard_draft": "1"}
    )

    assert Note.objects.get().text == "She called."
    assert not Draft.objects.exists()
    assert "Not this" not in discarded.content.decode()


@pytest.mark.parametrize("reader", ["second_officer", "auditor", "administrator", "engineer"])
def test_no_other_person_ever_sees_a_draft(
    reader: str, officer: User, client_of: Any, ticket: Ticket, request: Any
) -> None:
    client_of(officer).post(
        page_of(ticket, "decide"),
        {"version": "0", "outcome_safety": "refused", "ground": SECRET},
    )
    client_of(officer).post(KEY_IN, keyed(preview="1", attachments=text_file(f"{SECRET}.txt")))
    client = client_of(request.getfixturevalue(reader))

    pages = [
        reverse("admin:index"), page_of(ticket, "decide"), page_of(ticket, "change"),
        page_of(ticket, "history"), KEY_IN, "/admin/objections/ticket/",
        "/admin/objections/ticket/export/csv/", "/admin/ledger/entry/",
    ]  # fmt: skip
    seen = [client.get(page) for page in pages]

    assert [page for page, answer in zip(pages, seen, strict=True) if SECRET in str(
        b"".join(answer.streaming_content) if answer.streaming else answer.content
    )] == []  # fmt: skip
    assert not site.is_registered(Draft)
    assert not site.is_registered(DraftFile)


def test_no_ledger_history_or_record_of_reads_has_a_word_of_a_draft(
    officer: User, client_of: Any, ticket: Ticket
) -> None:
    client_of(officer).post(
        page_of(ticket, "decide"),
        {"version": "0", "outcome_safety": "refused", "ground": SECRET},
    )

    with connection.cursor() as cursor:
        found = []
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            if SECRET in str(cursor.fetchall()):
                found.append(table)
    assert found == ["common_draft"]


def test_drafts_go_with_the_tickets_words_and_with_the_members_erasure(
    officer: User, second_officer: User, client_of: Any, ticket: Ticket
) -> None:
    client = client_of(officer)
    stays = factories.objection()
    client.post(page_of(stays, "note"), {"text": ""})
    acts.uphold.do(ticket=ticket, version=ticket.version or 0, actor=officer)
    factories.send_letters(ticket)
    client.post(page_of(ticket, "note"), {"version": "0", "text": SECRET})
    client.post(KEY_IN, keyed(preview="1", account_ref="acc-0"))
    client.post(reverse("admin:consent_member_deny", args=[ticket.member_id]), {"reason": SECRET})
    token = token_in(client, page_of(ticket, "note"))
    assert Draft.objects.count() == 4

    accounts.erase_member(account_ref="acc-0", actor=officer, reason="asked for")
    # Nor does a page that is still open bring anything back.
    client.post(page_of(ticket, "note"), {"version": "0", "text": SECRET})
    Client().post(page_of(ticket, "note"), {"text": SECRET, "draft_of": token})

    assert [draft.subject for draft in Draft.objects.all()] == [stays.reference]


@pytest.mark.parametrize(
    "reference", ["acc-1", "Zoë \U0001f600", "50%_off", 'a"b\\c', "O'Hara", "a/b\x7f"]
)
def test_an_erasure_finds_the_drafts_that_name_the_account_and_reads_no_other(
    officer: User, reference: str
) -> None:
    def draft(number: int, words: str, file: str = "") -> Draft:
        row: Draft = Draft.objects.create(
            officer=officer,
            address=f"/{number}/",
            fields={"account_ref": [words]},
            saved_at=timezone.now(),
        )
        if file:
            DraftFile.objects.create(draft=row, field="attachments", name=file, data=b"x")
        return row

    for number in range(4):
        draft(number, "another", "another.txt")
    draft(10, f"about {reference}.")
    draft(11, "nothing", f"{reference}.txt")
    # SQLite compares letters of ASCII without their case.
    draft(12, reference.swapcase())
    read: list[str] = []

    def note(sender: Any, instance: Draft, **_: Any) -> None:
        read.append(instance.address)

    signals.post_init.connect(note, sender=Draft)
    try:
        drafts.forget_account(reference)
    finally:
        signals.post_init.disconnect(note, sender=Draft)

    assert "/10/" in read
    assert not {f"/{number}/" for number in range(4)} & set(read)
    assert set(Draft.objects.values_list("address", flat=True)) == {
        "/0/", "/1/", "/2/", "/3/", "/12/",
    }  # fmt: skip


def test_drafts_go_after_thirty_days(officer: User, client_of: Any, settings: Any) -> None:
    client = client_of(officer)
    client.post(KEY_IN, keyed(preview="1", attachments=text_file()))

    with time_machine.travel(timezone.now() + dt.timedelta(days=settings.DRAFT_DAYS - 1)):
        tasks.remove_old_drafts()
    kept = Draft.objects.count()
    with time_machine.travel(timezone.now() + dt.timedelta(days=settings.DRAFT_DAYS + 1)):
        tasks.remove_old_drafts()

    assert (settings.DRAFT_DAYS, kept) == (30, 1)
    assert not (Draft.objects.exists() or DraftFile.objects.exists())
    beat = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert "common.tasks.remove_old_drafts" in beat


def test_what_confirms_an_act_is_typed_anew(
    officer: User, client_of: Any, ticket: Ticket, settings: Any
) -> None:
    client = client_of(officer)
    client.post(page_of(ticket, "erase"), {"typed": ticket.reference, "reason": "Kept."})
    Draft.objects.get()

    ticket = Ticket.objects.get(pk=ticket.pk)
    factories.send_letters(upheld(ticket, officer))
    form = client.get(page_of(ticket, "erase")).context["form"]

    assert form is None or "typed" not in form.initial


def upheld(ticket: Ticket, officer: User) -> Ticket:
    acts.decide.do(
        ticket=ticket, outcomes={"safety": "upheld"}, version=ticket.version or 0, actor=officer
    )
    ticket.refresh_from_db()
    return ticket


def test_an_ended_session_brings_an_act_for_many_back_with_the_tickets_and_the_words(
    officer: User, client_of: Any
) -> None:
    tickets = [factories.objection(looks_automatic=True) for _ in range(2)]
    client = client_of(officer)
    address = reverse("admin:objections_ticket_bulk", args=["close-abuse"])
    asked = client.post(
        "/admin/objections/ticket/",
        {"action": "close_abuse", "_selected_action": [one.pk for one in tickets]},
    )
    form = asked.context["form"]
    typed = {"tickets": form.initial["tickets"], "evidence": SECRET}

    to_login = Client().post(address, {**typed, "draft_of": form.draft.token})
    shown = client.get(to_login["Location"].partition("next=")[2])
    nothing = client_of(officer).get(reverse("admin:objections_ticket_bulk", args=["take"]))

    assert [row["ticket"] for row in shown.context["rows"]] == tickets
    assert shown.context["form"].initial["evidence"] == SECRET
    assert shown.context["form"].initial["tickets"] == typed["tickets"]
    assert nothing["Location"] == "/admin/objections/ticket/"


FORMS = [
    ("consent_regionrule_add", {"source": SECRET}),
    ("consent_notice_add", {"source": SECRET}),
    ("objections_ticket_add", {"name": SECRET}),
]


@pytest.mark.parametrize(("name", "typed"), FORMS, ids=[name for name, _ in FORMS])
def test_every_form_that_proposes_or_takes_in_keeps_its_words(
    name: str, typed: dict[str, str], officer: User, client_of: Any
) -> None:
    client = client_of(officer)
    address = reverse(f"admin:{name}")
    (field,) = typed

    refused = client.post(address, typed)

    assert refused.status_code == 200
    assert client.get(address).context["form"].initial[field] == SECRET


def test_a_short_reference_is_named_as_a_word_only(officer: User) -> None:
    for number, words in enumerate(["7", "account 7.", "due on 27 March 2027", "A-77"]):
        Draft.objects.create(
            officer=officer,
            address=f"/{number}/",
            fields={"text": [words]},
            saved_at=timezone.now(),
        )

    drafts.forget_account("7")

    assert set(Draft.objects.values_list("address", flat=True)) == {"/2/", "/3/"}
