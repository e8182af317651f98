"""The hosted objection form: what it takes, what it says, and what it never gives away."""

import datetime as dt
import re
import threading
import uuid
from html.parser import HTMLParser

import pytest
import time_machine
from django.core import mail, signing
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import DatabaseError, connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation

from consent import countries
from consent.choices import Purpose
from consent.models import Member
from consent.public import member_links
from ledger.models import Entry
from objections.choices import Channel, Kind, LetterKind
from objections.letters import texts
from objections.models import Attachment, Letter, Objection, Requester, Ticket
from objections.public import forms, pages
from objections.public.forms import ObjectionForm
from tools import factories

pytestmark = [pytest.mark.django_db, pytest.mark.one_engine]

FORM = "/objection/"
FILED = "/objection/filed/"
PNG = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\x06\0\0\0\x1f\x15\xc4\x89"
    b"\0\0\0\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\0\x05\0\x01\xff\x89\x99=\x1d\0\0\0\0IEND\xaeB`\x82"
)


@pytest.fixture(autouse=True)
def _own_attachments(tmp_path, settings):
    settings.ATTACHMENT_DIR = tmp_path / "attachments"


@pytest.fixture
def member() -> Member:
    return Member.objects.get(pk=factories.add_member("customer-1"))


def browser_of(member) -> Client:
    """A browser that came in by the product's link."""
    client = Client()
    client.get(member_links.link_for(member).url.removeprefix("http://127.0.0.1:8000"))
    return client


def stamp(member=None, *, seconds: float = 10) -> str:
    """What a page wrote into its form so long ago."""
    with time_machine.travel(timezone.now() - dt.timedelta(seconds=seconds), tick=False):
        return forms.new_stamp(member)


def typed(**changes) -> dict[str, object]:
    """A form as a person without an account fills it in."""
    return {
        "stamp": stamp(),
        "kind": "objection",
        "purposes": ["generative-ai", "safety"],
        "email": "nora@example.org",
        "name": "",
        "account_ref": "",
        "country": "DE",
        "statement": "",
        "topic": "",
        **changes,
    }


def file(client, **changes):
    return client.post(FORM, typed(**changes))


def words(answer) -> str:
    """What the page says, without tags, one space between words."""
    text = re.sub(r"<[^>]+>", " ", answer.text.partition("<main")[2])
    return re.sub(r"\s+", " ", text)


def attributes_of(answer) -> set[str]:
    """The names of all attributes in the page, as a browser reads it."""
    found = set()

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.update(name for name, _ in attrs)

    Reader().feed(answer.text)
    return found


def receipt_in(answer) -> dict[str, object]:
    """What the answer hands over to the page after the form."""
    return signing.loads(answer.cookies["objection_receipt"].value, salt=pages.RECEIPT_SALT)


def link_in(message) -> str:
    return re.search(r"http://127.0.0.1:8000(/objection/confirm/\S+)", message.body)[1]


# --- Filing -------------------------------------------------------------------------------------


def test_a_form_of_a_person_without_an_account_becomes_a_ticket_that_restricts(client):
    answer = file(client, name="Nora", statement="A stranger posted my address.")

    ticket = Ticket.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, FILED)
    assert (ticket.channel, ticket.kind, ticket.country) == ("form", "objection", "DE")
    assert (ticket.member, ticket.is_authenticated, ticket.is_set_aside) == (None, False, False)
    assert {one.purpose: one.effect for one in Objection.objects.all()} == {
        "generative-ai": "restricting",
        "safety": "restricting",
    }
    assert ticket.requester.email == "nora@example.org"
    assert ticket.requester.statement == "A stranger posted my address."
    assert Entry.objects.get(kind="objection.received").actor_name == "system:form"


def test_the_page_afterwards_says_reference_purposes_and_by_when(client):
    with time_machine.travel("2026-03-05T12:00:00Z", tick=False):
        answer = client.post(FORM, typed(), follow=True)

    said = words(answer)
    assert f"Your reference: {Ticket.objects.get().reference}" in said
    assert (
        "The accounts that we can tie to what you told us are on no list of accounts whose data new training may use for: Generative AI Moderation and safety You asked"
        in said
    )
    assert (
        "Unless we write to you about another day, you will have our answer by Tuesday 7 April 2026"
        in said
    )
    assert "As a rule you get an e-mail with a link within the hour." in said
    assert "the e-mail comes later" in said
    assert "nora@example.org" not in answer.text


def test_the_link_in_the_mail_confirms_by_its_button_and_brings_the_acknowledgement(client):
    file(client)
    ticket = Ticket.objects.get()
    factories.send_letters(ticket)
    link = link_in(mail.outbox[0])

    asked = client.get(link)
    was_confirmed_by_looking = Ticket.objects.get().confirmed_at is not None
    pressed = client.post(link)
    shown = client.get(link)

    factories.send_letters(ticket)
    assert not was_confirmed_by_looking
    assert "Yes, this is my address" in words(asked)
    assert ticket.reference in words(asked)
    assert (pressed.status_code, pressed["Location"]) == (302, link)
    assert "Your address is confirmed." in words(shown)
    assert "Yes, this is my address" not in words(shown)
    assert Ticket.objects.get().confirmed_at is not None
    assert [message.to for message in mail.outbox] == [["nora@example.org"]] * 2
    assert [letter.kind for letter in ticket.letters.order_by("pk")] == [
        LetterKind.CONFIRMATION,
        LetterKind.ACKNOWLEDGEMENT,
    ]


def test_confirming_twice_changes_nothing(client):
    file(client)
    factories.send_letters(Ticket.objects.get())
    link = link_in(mail.outbox[0])
    client.post(link)
    first = Ticket.objects.get().confirmed_at

    again = client.post(link)

    assert again.status_code == 302
    assert Ticket.objects.get().confirmed_at == first
    assert Letter.objects.filter(kind=LetterKind.ACKNOWLEDGEMENT).count() == 1


def test_an_old_link_says_what_to_do_and_loses_nothing(client, settings):
    file(client)
    factories.send_letters(Ticket.objects.get())
    link = link_in(mail.outbox[0])

    with time_machine.travel(timezone.now() + dt.timedelta(days=settings.CONFIRMATION_DAYS + 1)):
        answers = [client.get(link), client.post(link)]

    assert [answer.status_code for answer in answers] == [410, 410]
    assert "Your objection is not lost" in words(answers[0])
    assert Ticket.objects.get().confirmed_at is None
    assert list(Objection.objects.values_list("effect", flat=True)) == ["restricting"] * 2


@pytest.mark.parametrize(
    "token", ["x", "a:b:c", "::", "ü", "%F0%9F%98%80", "x" * 5000, "..%2F..", "%22%3E%3Cscript%3E"]
)
def test_a_forged_link_is_as_an_old_one(client, token):
    for method in (client.get, client.post):
        assert method(f"/objection/confirm/{token}/").status_code in (404, 410)


def test_a_link_opened_while_its_address_is_erased_is_one_that_expired(client):
    file(client, purposes=["generative-ai"])
    factories.send_letters(Ticket.objects.get())
    link = link_in(mail.outbox[0])
    Requester.objects.all().delete()

    answers = [client.get(link), client.post(link)]

    assert [answer.status_code for answer in answers] == [410, 410]


def test_the_link_of_a_closed_ticket_confirms_nothing(client, officer):
    file(client, purposes=["generative-ai"])
    ticket = Ticket.objects.get()
    factories.send_letters(ticket)
    factories.uphold(ticket, officer)
    link = link_in(mail.outbox[0])

    answers = [client.get(link), client.post(link, follow=True)]

    assert "Nothing is left to confirm" in words(answers[0])
    assert "Nothing is left to confirm" in words(answers[1])
    assert Ticket.objects.get().confirmed_at is None


@pytest.mark.parametrize(
    ("chosen", "country", "regime"),
    [("", "", "eu"), ("GB", "GB", "uk"), ("US", "US", "eu"), ("US-CA", "US", "us-ca"),
     ("CH", "CH", "ch"), ("XK", "XK", "eu")],
)  # fmt: skip
def test_the_country_says_whose_clock_it_is(client, chosen, country, regime):
    file(client, country=chosen)

    ticket = Ticket.objects.get()
    assert (ticket.country, ticket.regime) == (country, regime)


def test_every_country_can_be_chosen_and_every_purpose_and_kind_is_explained():
    choices = forms.country_choices()

    assert choices[0][0] == ""
    assert {value for value, _ in choices} == {"", "US-CA", *countries.NAMES}
    assert list(forms.PURPOSE_OPTIONS) == list(Purpose)
    assert list(forms.KIND_OPTIONS) == list(Kind)


def test_the_form_says_what_is_done_with_what_is_entered(client, settings):
    settings.OBJECTION_RETENTION_DAYS = 400
    settings.CONTROLLER_CONTACT = "privacy@example.org"

    said = words(client.get(FORM))

    assert [
        sentence
        for sentence in (
            "the accounts that we can tie to what you tell us are on no list of accounts",
            "We erase it 400 days after your request is closed and answered.",
            "not the address: our legitimate interest",
            "have it corrected or erased, and object to its use: write to privacy@example.org",
            "complain to a data protection authority",
        )
        if sentence not in said
    ] == []


def test_the_other_right_can_be_used_too(client):
    answer = client.post(FORM, typed(kind="restriction"), follow=True)

    assert Ticket.objects.get().kind == "restriction"
    assert "Keep my data, but do not use it for now" in words(answer)


def test_files_are_kept_with_the_ticket(client):
    files = [
        SimpleUploadedFile("proof.png", PNG, "image/png"),
        SimpleUploadedFile("what I said.txt", b"Please stop.", "text/html"),
    ]

    file(client, attachments=files)

    kept = Attachment.objects.order_by("pk").values_list("name", "media_type", "size")
    assert list(kept) == [
        ("proof.png", "image/png", len(PNG)),
        ("what I said.txt", "text/plain", 12),
    ]


def test_tickets_of_one_address_are_linked(client):
    file(client)

    file(client, email="Nora@Example.org ", statement="And another thing.")

    first, second = Ticket.objects.order_by("pk")
    assert (first.linked_to, second.linked_to) == (None, first)


# --- Members ------------------------------------------------------------------------------------


def test_a_member_from_the_product_files_without_naming_an_account(member):
    browser = browser_of(member)
    page = browser.get(FORM)

    answer = browser.post(FORM, typed(stamp=stamp(member), account_ref="customer-2"), follow=True)

    ticket = Ticket.objects.get()
    assert "You are filing as the member who came here" in words(page)
    assert 'name="account_ref"' not in page.text
    assert (ticket.member, ticket.is_authenticated) == (member, True)
    assert ticket.requester.account_named == ""
    assert [letter.kind for letter in ticket.letters.all()] == [LetterKind.ACKNOWLEDGEMENT]
    assert (
        "As a rule you get an e-mail within the hour that says what we received. You need not do anything with it."
        in words(answer)
    )
    assert "Your account is on no list of accounts whose data new training may use for:" in words(
        answer
    )


def test_an_account_that_a_visitor_names_is_out_but_not_vouched_for(client, member):
    file(client, account_ref="customer-1")

    ticket = Ticket.objects.get()
    assert (ticket.member, ticket.is_authenticated) == (member, False)
    assert ticket.requester.account_named == "customer-1"


@pytest.mark.parametrize("forged", ["", "x", "anonymous"])
def test_another_site_cannot_file_in_a_members_name(member, forged):
    """It can make the member's browser send a form, but not read the stamp the member's page has."""
    browser = browser_of(member)

    file(browser, stamp=stamp() if forged == "anonymous" else forged)

    assert Ticket.objects.get().is_authenticated is False
    assert Ticket.objects.get().member is None


@pytest.mark.parametrize("who", ["a visitor", "another member"])
def test_when_the_members_visit_has_ended_nothing_typed_is_lost(member, who):
    other = Member.objects.get(pk=factories.add_member("customer-2"))
    browser = browser_of(other) if who == "another member" else Client()

    answer = file(browser, stamp=stamp(member), statement="Forty minutes of work.")

    assert answer.status_code == 422
    assert "Your visit from the product has ended" in words(answer)
    assert "Forty minutes of work." in answer.text
    assert ('name="account_ref"' in answer.text) is (who == "a visitor")
    assert not Ticket.objects.exists()


def test_after_the_visit_has_ended_the_form_can_be_sent_again(member, client):
    shown = file(client, stamp=stamp(member))
    renewed = re.search(r'name="stamp" value="([^"]+)"', shown.text)[1]

    file(client, stamp=renewed, account_ref="customer-1")

    assert (Ticket.objects.get().member, Ticket.objects.get().is_authenticated) == (member, False)


# --- Who sends too much, or too fast ------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"topic": "https://spam.example"},
        {"stamp": ""},
        {"stamp": "x:y:z"},
        {"stamp": "fresh"},
        {"stamp": "\0\u202e"},
    ],
)
def test_what_looks_automatic_is_taken_and_set_aside(client, changes):
    if changes.get("stamp") == "fresh":
        changes = {"stamp": stamp(seconds=1)}

    answer = client.post(FORM, typed(**changes), follow=True)

    ticket = Ticket.objects.get()
    assert f"Your reference: {ticket.reference}" in words(answer)
    assert ticket.is_set_aside is True
    assert list(Objection.objects.values_list("effect", flat=True)) == ["restricting"] * 2
    assert not Letter.objects.exists()


@pytest.mark.parametrize("seconds", [4, 60 * 60 * 24 * 30])
def test_a_page_may_lie_open_as_long_as_it_likes(client, seconds):
    file(client, stamp=stamp(seconds=seconds))

    assert Ticket.objects.get().is_set_aside is False


def test_the_sixth_of_one_address_in_an_hour_is_kept_but_not_written_to(client):
    for number in range(6):
        file(client, statement=f"no. {number}")

    tickets = Ticket.objects.order_by("pk")
    assert [ticket.is_set_aside for ticket in tickets] == [False] * 5 + [True]
    assert tickets[5].letters.count() == 0
    assert tickets[5].requester.statement == "no. 5"
    assert list(tickets[5].objections.values_list("effect", flat=True)) == ["restricting"] * 2


def test_a_form_sent_twice_is_one_ticket_and_with_other_words_a_new_page(client):
    sent = typed()

    answers = [client.post(FORM, sent, follow=True) for _ in range(2)]
    asked = client.post(FORM, {**sent, "statement": "I forgot something."})

    first = Ticket.objects.get()
    assert words(answers[0]) == words(answers[1])
    assert first.reference in words(answers[0])
    assert asked.status_code == 422
    assert "This page has been sent before" in words(asked)
    assert "I forgot something." in asked.text

    # Once more, and at once: a person need not read again what they wrote themselves.
    again = re.search(r'name="stamp" value="([^"]+)"', asked.text)[1]
    client.post(FORM, {**sent, "stamp": again, "statement": "I forgot something."})

    second = Ticket.objects.exclude(pk=first.pk).get()
    assert second.linked_to == first
    assert not second.is_set_aside


def test_a_page_kept_open_and_sent_again_after_the_answer_asks_for_a_new_one(
    client, officer, second_officer
):
    sent = typed()
    client.post(FORM, sent)
    ticket = Ticket.objects.get()
    factories.send_letters(factories.withdraw(ticket, officer, second_officer))

    asked = client.post(FORM, sent)

    assert asked.status_code == 422
    assert Ticket.objects.count() == 1


def test_a_correction_after_an_error_is_not_too_fast(client):
    shown = file(client, email="")
    kept = re.search(r'name="stamp" value="([^"]+)"', shown.text)[1]

    file(client, stamp=kept)

    assert Ticket.objects.get().is_set_aside is False


def test_behind_a_unix_socket_one_visitor_is_not_taken_for_all(client):
    for number in range(7):
        client.post(FORM, typed(email=f"person-{number}@example.org"), REMOTE_ADDR="")

    assert not Ticket.objects.filter(is_set_aside=True).exists()


@pytest.mark.parametrize(
    ("offered", "asked", "page", "letters"),
    [
        (["de"], "de-AT, en;q=0.5", "de", "en"),
        (["de"], "fr", "en-gb", "en"),
        ([], "de", "en-gb", "en"),
    ],
)
def test_the_form_is_in_the_language_asked_for_and_letters_in_one_they_have(
    offered, asked, page, letters, client, settings
):
    settings.LANGUAGES = [*settings.LANGUAGES, *((code, code) for code in offered)]

    shown = client.get(FORM, headers={"Accept-Language": asked})
    client.post(FORM, typed(), headers={"Accept-Language": asked})

    assert f'<html lang="{page}">' in shown.text
    assert Requester.objects.get().language == letters
    assert Letter.objects.get().language == letters


def test_letters_are_in_the_language_of_the_form_once_they_have_it(client, settings, monkeypatch):
    settings.LANGUAGES = [*settings.LANGUAGES, ("de", "de")]
    monkeypatch.setattr(texts, "LANGUAGES", ("en", "de"))
    said = ObjectionForm({**typed(), "purposes": ["safety"]})

    with translation.override("de"):
        assert said.is_valid()
        filing = said.filing(form_id="", sender="", looks_automatic=False)

    assert filing.language == "de"


def test_the_admin_stays_english_whatever_a_browser_asks_for(officer, client_of, settings):
    settings.LANGUAGES = [*settings.LANGUAGES, ("de", "de")]
    client = client_of(officer)

    client.get(FORM, headers={"Accept-Language": "de"})
    page = client.get(reverse("admin:index"), headers={"Accept-Language": "de"})

    assert '<html lang="en-gb"' in page.text


@pytest.mark.both_engines
def test_a_burst_is_taken_without_loss(client):
    found = set()
    for number in range(150):
        answer = client.post(
            FORM,
            typed(email=f"person-{number}@example.org"),
            REMOTE_ADDR=f"10.0.{number // 250}.{number % 250}",
        )
        found.add(receipt_in(answer)["reference"])

    assert len(found) == 150
    assert found == set(Ticket.objects.values_list("reference", flat=True))
    assert not Ticket.objects.filter(is_set_aside=True).exists()
    assert Letter.objects.filter(kind=LetterKind.CONFIRMATION).count() == 150


@pytest.mark.both_engines
@pytest.mark.django_db(transaction=True)
def test_many_at_once_are_taken_without_loss():
    answers = []

    def person(number: int) -> None:
        try:
            for turn in range(5):
                sent = typed(email=f"person-{number}-{turn}@example.org")
                answers.append(Client().post(FORM, sent, REMOTE_ADDR=""))
        finally:
            connection.close()

    threads = [threading.Thread(target=person, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    shown = {receipt_in(answer)["reference"] for answer in answers}
    assert len(shown) == 40
    assert shown == set(Ticket.objects.values_list("reference", flat=True))


@pytest.mark.both_engines
@pytest.mark.django_db(transaction=True)
def test_one_form_sent_many_times_at_once_is_one_ticket():
    sent = typed()
    threads = [
        threading.Thread(target=lambda: (Client().post(FORM, sent), connection.close()))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert Ticket.objects.count() == 1


# --- Nothing is given away ----------------------------------------------------------------------


@pytest.mark.parametrize("country", ["", "DE"])
def test_the_answer_is_the_same_whether_the_account_exists_or_not(country):
    factories.add_member("customer-1", country="CH")
    shown = []
    # On this day a month and the thirty days of Switzerland end apart.
    with time_machine.travel("2026-03-05T12:00:00Z", tick=False):
        for number, account in enumerate(["customer-1", "customer-9", ""]):
            sent = typed(account_ref=account, country=country, email=f"p{number}@example.org")
            answer = Client().post(FORM, sent, follow=True)
            shown.append(re.sub(r"OBJ-\d{4}-\d{6}", "OBJ", answer.text))

    assert shown[0] == shown[1] == shown[2]
    assert [ticket.member_id for ticket in Ticket.objects.order_by("pk")] == [1, None, None]


def test_the_answer_is_the_same_whether_it_was_set_aside_or_not():
    shown = []
    for topic in ("", "x"):
        answer = Client().post(FORM, typed(topic=topic), follow=True)
        shown.append(re.sub(r"OBJ-\d{4}-\d{6}", "OBJ", answer.text))

    assert shown[0] == shown[1]
    assert [t.is_set_aside for t in Ticket.objects.order_by("pk")] == [False, True]


@pytest.mark.parametrize("cookie", [None, "", "x", "e30:1:x", "\ud800"])
def test_without_a_receipt_the_page_says_where_the_reference_is(client, cookie):
    if cookie is not None:
        client.cookies["objection_receipt"] = cookie.encode("utf-8", "replace").decode()

    answer = client.get(FILED)

    assert answer.status_code == 200
    assert "Every e-mail from us about it names the reference." in words(answer)


def test_the_receipt_is_for_this_browser_and_soon_over(client):
    file(client)
    reference = Ticket.objects.get().reference
    cookie = client.cookies["objection_receipt"]

    with time_machine.travel(timezone.now() + dt.timedelta(minutes=61)):
        client.cookies["objection_receipt"] = cookie.value
        later = client.get(FILED)

    assert reference not in later.text
    assert reference not in Client().get(FILED).text
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", FILED)


@pytest.mark.parametrize("path", [FORM, FILED, "/objection/confirm/x/"])
def test_the_pages_are_listed_nowhere_and_guarded(client, path):
    answer = client.get(path)

    assert answer["X-Robots-Tag"] == "noindex, nofollow"
    assert "default-src 'self'" in answer["Content-Security-Policy"]
    assert '<html lang="en-gb">' in answer.text


def test_only_the_empty_form_may_be_kept_by_the_browser_for_the_way_back(client):
    empty, wrong, taken = client.get(FORM), file(client, email=""), file(client)
    others = [client.get(FILED), client.get("/objection/confirm/x/")]

    assert empty["Cache-Control"] == "private, no-cache"
    assert all("no-store" in answer["Cache-Control"] for answer in [wrong, taken, *others])


@pytest.mark.parametrize("path", [FORM, FILED, "/objection/confirm/x/"])
def test_the_pages_are_gone_where_the_member_pages_are_switched_off(client, settings, path):
    settings.MEMBER_PAGES = False

    assert [client.get(path).status_code, client.head(path).status_code] == [404, 404]
    assert client.post(FORM, typed()).status_code == 404
    assert not Ticket.objects.exists()


def test_the_form_needs_no_cookie():
    browser = Client(enforce_csrf_checks=True)
    page = browser.get(FORM)
    browser.cookies.clear()

    answer = file(browser)

    assert page.cookies == {}
    assert answer["Location"] == FILED
    assert Ticket.objects.count() == 1


# --- What cannot be taken is said, and nothing typed is lost ------------------------------------

WRONG = [
    ({"email": ""}, "email", "Enter your e-mail address: without it we cannot answer."),
    ({"email": "nora"}, "email", "Enter an e-mail address, like name@example.org."),
    ({"email": "a@b@example.org"}, "email", "Enter an e-mail address, like name@example.org."),
    (
        {"email": "x" * 300 + "@example.org"},
        "email",
        "Your e-mail address: at most 254 characters.",
    ),
    ({"purposes": []}, "purposes_0", "Choose at least one use of your data."),
    ({"purposes": ["safety", "all"]}, "purposes_0", "Choose from the uses that are listed."),
    ({"purposes": ["safety\0"]}, "purposes_0", "Choose from the uses that are listed."),
    ({"kind": ""}, "kind_0", "Choose one of the two."),
    ({"kind": "erasure"}, "kind_0", "Choose one of the two."),
    ({"country": "ZZ"}, "country", "Choose a country from the list, or the first line."),
    ({"country": "US-NY\0"}, "country", "Choose a country from the list, or the first line."),
    ({"name": "x" * 201}, "name", "Your name: at most 200 characters."),
    ({"account_ref": "x" * 101}, "account_ref", "Your account: at most 100 characters."),
    ({"statement": "x" * 20_001}, "statement", "Why, in your words: at most 20,000 characters."),
]


@pytest.mark.parametrize(("changes", "place", "sentence"), WRONG)
def test_what_is_wrong_is_named_with_a_link_to_the_place(client, changes, place, sentence):
    answer = file(client, **{"statement": "My words.", **changes})

    summary, _, fields = answer.text.partition("<form")
    assert answer.status_code == 422
    assert "<title>Error: Object to the use of your data" in answer.text
    assert 'role="alert"' in summary
    assert re.search(rf'<a href="#id_{place}">[^<]*{re.escape(sentence)}</a>', summary)
    assert sentence in fields
    assert f'id="id_{place}"' in fields
    assert str(changes.get("statement", "My words."))[:50] in fields
    assert not Ticket.objects.exists()


def test_a_field_in_error_is_tied_to_what_is_said_about_it(client):
    page = file(client, email="nora").text

    field = re.search(r'<input type="text" name="email"[^>]*>', page)[0]
    assert 'value="nora"' in field
    assert 'aria-invalid="true"' in field
    assert 'aria-describedby="id_email_helptext id_email_error"' in field
    assert 'id="id_email_error"' in page


def test_everything_typed_is_shown_again(client):
    answer = file(client, email="", name="Nora", account_ref="nora-1", country="US-CA",
                  kind="restriction", purposes=["safety"])  # fmt: skip

    page = answer.text
    assert 'value="Nora"' in page
    assert 'value="nora-1"' in page
    assert '<option value="US-CA" selected>' in page
    assert re.search(r'value="restriction"[^>]* checked', page)
    assert re.search(r'value="safety"[^>]* checked', page)
    assert not re.search(r'value="generative-ai"[^>]* checked', page)


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("page.html", b"<!doctype html><script>alert(1)</script>", "begins with"),
        ("empty.txt", b"", "is empty"),
        ("tool.exe", b"MZ\x90\0", "is not a PDF or image"),
        ("<b>\u202e.png", PNG[:20], "is damaged or cut off"),
    ],
)
def test_a_file_that_is_not_taken_is_named(client, name, data, sentence):
    answer = file(client, attachments=[SimpleUploadedFile(name, data)])

    assert answer.status_code == 422
    assert sentence in words(answer)
    assert "Please choose your files again." in words(answer)
    assert not Ticket.objects.exists()


def test_too_many_files_are_refused(client):
    files = [SimpleUploadedFile(f"{n}.txt", b"words") for n in range(6)]

    answer = file(client, attachments=files)

    assert "At most 5 files; these are 6." in words(answer)
    assert not Attachment.objects.exists()


def test_what_is_too_large_to_be_read_is_refused_with_what_would_be_right(client, settings):
    settings.MAX_BODY_BYTES = 100_000

    answer = file(client, attachments=[SimpleUploadedFile("a.txt", b"words " * 20_000)])

    assert answer.status_code == 413
    assert "at most 97.7 KB" in words(answer)
    assert "Go back in your browser" in words(answer)
    assert answer["Content-Security-Policy"]
    assert not Ticket.objects.exists()
    assert "together at most 78.1 KB" in words(client.get(FORM))


def test_a_failure_of_ours_is_said_and_what_was_typed_is_shown_again(client):
    """The database refuses what is written to it."""

    def refuse(execute, sql, *rest):
        if sql.startswith("INSERT"):
            raise DatabaseError("disk full")
        return execute(sql, *rest)

    with connection.execute_wrapper(refuse):
        answer = file(
            client, statement="My words.", attachments=[SimpleUploadedFile("a.txt", b"words")]
        )

    assert answer.status_code == 503
    assert "Something went wrong on our side" in words(answer)
    assert "My words." in answer.text
    assert not Ticket.objects.exists()


HOSTILE = [
    "<script>alert(1)</script>",
    '"\' onmouseover=alert(1) x="',
    "a\0b",
    "\u202egnirts\u202c \u2066x\u2069",
    "\ud800 half a pair",
    "{{ name }} {% load x %} %(x)s",
    "=cmd|' /C calc'!A0",
    "\r\nBcc: victim@example.org",
    "e" + "\u0301" * 5_000,
    "w" * 100_000,
    "\x1b[31m\x7f\x85\u2028",
    "🧟‍♀️ ﷽ 𝕏",
    # Longer in small letters than in capitals.
    "a@" + "İ" * 60 + ".org",
]


@pytest.mark.parametrize("text", HOSTILE, ids=[repr(text[:15]) for text in HOSTILE])
def test_hostile_words_are_taken_or_refused_and_never_break_anything(client, text):
    text = text.encode("utf-8", "replace").decode()
    for field in ("statement", "name", "account_ref", "email", "country", "kind", "purposes",
                  "stamp", "topic"):  # fmt: skip
        answer = client.post(FORM, typed(**{field: text}), follow=True)

        assert answer.status_code in (200, 422), field
        assert "<script" not in answer.text
        assert not attributes_of(answer) & {"onmouseover", "style"}
    for requester in Requester.objects.all():
        kept = f"{requester.name}{requester.account_named}{requester.statement}{requester.email}"
        assert not re.search("[\0\u202e\u2066\x1b\x85]", kept)


BODIES = [
    (b"\xff\xfe=\xed\xa0\x80&email=%ED%A0%80%00&%00=1", "application/x-www-form-urlencoded"),
    (b"email=%FF", "application/x-www-form-urlencoded; charset=utf-16"),
    (b"{}", "application/json"),
    (b"x", "multipart/form-data"),
    (b"--b\r\ngarbage", "multipart/form-data; boundary=b"),
    (b"&".join(b"f%d=1" % n for n in range(1100)), "application/x-www-form-urlencoded"),
    *(
        (
            b'--b\r\nContent-Disposition: form-data; name="email"\r\n\r\nx\r\n--b--\r\n',
            f"multipart/form-data; boundary=b; charset={charset}",
        )
        for charset in ("rot13", "utf-16", "nowhere", "base64")
    ),
    (
        b'--b\r\nContent-Disposition: form-data; name="attachments"; '
        b"filename*=rot13''x.txt\r\n\r\nwords\r\n--b--\r\n",
        "multipart/form-data; boundary=b",
    ),
    (
        b'--b\r\nContent-Disposition: form-data; name="attachments"; filename="\0/../x.txt"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\n!!\r\n--b--\r\n",
        "multipart/form-data; boundary=b",
    ),
]


@pytest.mark.parametrize(("body", "content_type"), BODIES)
def test_a_body_that_cannot_be_read_is_refused_clearly(body, content_type):
    browser = Client(raise_request_exception=False)

    answer = browser.generic("POST", FORM, body, content_type=content_type)

    assert answer.status_code in (400, 422)
    assert not Ticket.objects.exists()


def test_a_made_up_form_id_cannot_fetch_another_persons_ticket(client):
    sent = typed(email="nora@example.org")
    client.post(FORM, sent)

    other = Client().post(FORM, {**sent, "email": "mallory@example.org"}, follow=True)

    assert other.status_code == 422
    assert Ticket.objects.get().reference not in other.text


def test_source_ids_are_those_of_the_channel(client):
    file(client)

    ticket = Ticket.objects.get()
    assert ticket.channel == Channel.FORM
    assert uuid.UUID(ticket.source_id)
