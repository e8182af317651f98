"""Files from the form wait apart, within limits; the objection they came with counts whatever becomes of them."""

import datetime as dt
import itertools
import re
import tempfile
import threading
from pathlib import Path

import pytest
import time_machine
from django.conf import settings as project
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from consent import accounts
from consent.models import Member
from consent.public import member_links
from ledger.errors import Refusal
from ledger.models import AccessRecord, Entry
from objections import acts, tasks
from objections.errors import ForbiddenMove
from objections.letters import composing, texts
from objections.models import Attachment, Objection, Requester, Ticket
from objections.public import forms
from objections.ticket import quarantine, retention, uploads
from objections.ticket.timeline import timeline_of
from tools import factories

pytestmark = pytest.mark.django_db

FORM = "/objection/"
_people = itertools.count(1)


def stamp(member=None) -> str:
    with time_machine.travel(timezone.now() - dt.timedelta(minutes=1), tick=False):
        return forms.new_stamp(member)


def text_file(size: int = 1_000, name: str = "proof.txt") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, b"w" * size)


def send(client=None, *, sender="192.0.2.1", member=None, files=(), **changes):
    typed = {
        "stamp": stamp(member),
        "kind": "objection",
        "purposes": ["safety"],
        "email": f"person-{next(_people)}@example.org",
        "attachments": list(files),
        **changes,
    }
    return (client or Client()).post(FORM, typed, follow=True, REMOTE_ADDR=sender)


def words(answer) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text.partition("<main")[2]))


def stored(home: Path) -> list[str]:
    return sorted(path.name for path in home.rglob("*") if path.is_file())


def waiting_files() -> list[str]:
    return stored(project.QUARANTINE_DIR)


def kept_files() -> list[str]:
    return stored(project.ATTACHMENT_DIR)


def confirm(ticket: Ticket) -> None:
    link = composing.confirmation_link(ticket)["link"]
    Client().post(link.removeprefix(project.PUBLIC_URL))


def after(**duration) -> time_machine.travel:
    return time_machine.travel(timezone.now() + dt.timedelta(**duration))


# --- Waiting ------------------------------------------------------------------------------------


def test_a_file_of_a_stranger_waits_apart_and_page_and_mail_say_until_when(settings):
    answer = send(files=[text_file()])

    file, ticket = Attachment.objects.get(), Ticket.objects.get()
    last_day = quarantine.last_day(ticket.attachments.all())
    in_words = texts.date_in_words(last_day)
    assert (waiting_files(), kept_files()) == ([file.key], [])
    assert last_day == composing.today() + dt.timedelta(days=settings.CONFIRMATION_DAYS)
    assert in_words in words(answer)
    assert "hold them separately until you confirm" in words(answer)
    letter = re.sub(r"\s+", " ", ticket.letters.get().text.body)
    assert f"We delete them after {in_words}, unless you confirm or we need them" in letter
    assert f"{in_words} , unless you confirm it or we need them" in words(answer)


def test_without_files_nothing_is_said_of_files():
    answer = send()

    letter = Ticket.objects.get().letters.get()
    assert "file" not in words(answer).lower()
    assert "file" not in letter.text.body
    assert "\n\n\n" not in letter.text.body


@pytest.mark.django_db(transaction=True)
def test_a_confirmed_address_keeps_the_files():
    send(files=[text_file()])
    ticket, file = Ticket.objects.get(), Attachment.objects.get()

    confirm(ticket)
    with after(days=30):
        retention.sweep_files()

    file.refresh_from_db()
    assert file.waits_until is None
    assert (waiting_files(), kept_files()) == ([], [file.key])
    assert "file" not in ticket.letters.get(kind="acknowledgement").text.body


@pytest.mark.django_db(transaction=True)
def test_files_of_an_unconfirmed_address_go_after_the_last_day_but_the_objection_stays(settings):
    factories.add_members(1)
    send(files=[text_file(), text_file(name="more.txt")], account_ref="acc-0")
    ticket = Ticket.objects.get()

    with after(days=settings.CONFIRMATION_DAYS, hours=-1):
        tasks.sweep_files()
        assert len(waiting_files()) == 2
    with after(days=settings.CONFIRMATION_DAYS + 1, hours=1):
        tasks.sweep_files()
        tasks.sweep_files()

    assert (waiting_files(), Attachment.objects.count()) == ([], 0)
    assert Objection.objects.restricting("safety").get().member_id is not None
    gone = Entry.objects.get(kind="objection.files_deleted")
    assert (gone.subject, gone.reason) == (ticket.reference, "2 files")


@pytest.mark.django_db(transaction=True)
def test_a_link_that_is_sent_later_gives_the_files_as_much_time(settings, officer):
    for _ in range(settings.FLOOD_PER_ADDRESS + 1):
        send(files=[text_file()], email="same@example.org")
    set_aside = Ticket.objects.get(is_set_aside=True)
    assert not set_aside.letters.exists()

    with after(days=settings.CONFIRMATION_DAYS - 1):
        factories.release(ticket=set_aside, actor=officer)
        last_day = quarantine.last_day(set_aside.attachments.all())
        assert last_day == composing.today() + dt.timedelta(days=settings.CONFIRMATION_DAYS)
    with after(days=settings.CONFIRMATION_DAYS + 2):
        tasks.sweep_files()

    assert waiting_files() == [set_aside.attachments.get().key]


@pytest.mark.django_db(transaction=True)
def test_an_officer_sees_waiting_files_and_keeps_them(client_of, officer):
    send(files=[text_file()])
    ticket, file = Ticket.objects.get(), Attachment.objects.get()
    browser = client_of(officer)
    last_day = quarantine.last_day(ticket.attachments.all())

    page = browser.get(reverse("admin:objections_ticket_change", args=[ticket.pk]))
    download = browser.get(reverse("admin:objections_ticket_attachment", args=[file.pk]))
    act = reverse("admin:objections_ticket_keep_files", args=[ticket.pk])
    asked = browser.get(act)
    browser.post(act, {"version": ticket.version})

    assert f"deleted after {last_day}" in page.text
    assert f"they go after {last_day}" in asked.text
    assert act in page.text
    assert b"".join(download.streaming_content) == b"w" * 1_000
    assert AccessRecord.objects.filter(kind="attachment.read", actor_name="olga").count() == 1
    assert "the address is unconfirmed" in asked.text
    assert (waiting_files(), kept_files()) == ([], [file.key])
    kept = Entry.objects.get(kind="objection.files_kept")
    assert (kept.actor, kept.reason) == (officer, "1 file")
    ticket.refresh_from_db()
    again = browser.post(act, {"version": ticket.version})
    assert "no file waits" in again.text
    assert act not in browser.get(reverse("admin:objections_ticket_change", args=[ticket.pk])).text


@pytest.mark.django_db(transaction=True)
def test_an_officer_who_confirms_the_address_keeps_the_files(officer):
    send(files=[text_file()])
    ticket, file = Ticket.objects.get(), Attachment.objects.get()

    acts.confirm_address.do(
        ticket=ticket, reason="wrote from it", version=ticket.version, actor=officer
    )

    assert kept_files() == [file.key]


def test_a_member_who_came_from_the_product_has_files_kept_at_once():
    member = Member.objects.get(pk=factories.add_member("customer-1"))
    browser = Client()
    browser.get(member_links.link_for(member).url.removeprefix(project.PUBLIC_URL))

    answer = send(browser, member=member, files=[text_file()])

    assert Ticket.objects.get().is_authenticated
    assert (waiting_files(), kept_files()) == ([], [Attachment.objects.get().key])
    assert "hold them separately" not in words(answer)


@pytest.mark.django_db(transaction=True)
def test_files_on_which_an_outcome_rests_are_kept(officer, second_officer):
    send(files=[text_file()])
    ticket, file = Ticket.objects.get(), Attachment.objects.get()
    factories.withdraw(ticket, officer, second_officer)

    with after(days=30):
        tasks.sweep_files()

    assert (waiting_files(), kept_files()) == ([], [file.key])


@pytest.mark.django_db(transaction=True)
def test_files_of_what_is_closed_as_abuse_go(officer, second_officer):
    send(files=[text_file()], topic="a program filled this in")
    ticket = Ticket.objects.get()
    assert ticket.is_set_aside
    proposal = acts.close_abuse.do(
        ticket=ticket,
        evidence="A program sent this form over and over, from one network.",
        version=ticket.version,
        actor=officer,
    )
    with after(days=30):
        tasks.sweep_files()
        # An outcome waits for a second person.
        assert len(waiting_files()) == 1
    factories.approve(proposal, second_officer)

    with after(days=30):
        tasks.sweep_files()

    assert (waiting_files(), kept_files()) == ([], [])


def test_one_ticket_whose_files_cannot_go_keeps_no_other_waiting(settings, monkeypatch):
    for _ in range(3):
        send(files=[text_file()])
    second = Ticket.objects.order_by("pk")[1]
    lock = retention.locked

    def refusing(ticket, version=None):
        if ticket == second:
            raise ForbiddenMove("Not this one.")
        return lock(ticket, version)

    monkeypatch.setattr(retention, "locked", refusing)
    with after(days=settings.CONFIRMATION_DAYS + 1, hours=1):
        assert retention.let_files_go() == 2

    assert [file.ticket for file in Attachment.objects.all()] == [second]


def test_files_that_retention_keeps_are_not_said_to_be_kept_by_an_officer(officer, second_officer):
    send(files=[text_file()])
    ticket = Ticket.objects.get()
    factories.withdraw(ticket, officer, second_officer)
    # Files that came with a ticket whose address was never confirmed.
    Attachment.objects.update(waits_until=timezone.now())

    retention.let_files_go()

    said = [line.what for line in timeline_of(ticket, with_words=False)]
    assert "Files kept: the ticket was decided before their time was over" in said
    assert "Files kept by an officer" not in said


# --- Limits -------------------------------------------------------------------------------------

REFUSED = "Your files were not taken"


def assert_taken_without_files(answer) -> None:
    """The objection counts, and page, mail and officers are told the truth about its files."""
    ticket = Ticket.objects.latest("pk")
    assert REFUSED in words(answer)
    assert ticket.reference in words(answer)
    assert ticket.objections.get().effect == "restricting"
    assert not ticket.attachments.exists()
    assert ticket.requester.files_refused > 0
    letter = re.sub(r"\s+", " ", ticket.letters.get().text.body)
    assert "We could not take the files" in letter


def test_one_network_fills_no_more_than_its_day(settings):
    settings.MAX_FILE_BYTES_A_DAY = 2_500

    answers = [send(files=[text_file()]) for _ in range(3)]

    assert [REFUSED in words(answer) for answer in answers] == [False, False, True]
    assert_taken_without_files(answers[2])
    assert len(waiting_files()) == 2
    assert REFUSED not in words(send(files=[text_file()], sender="198.51.100.7"))
    with after(days=1, minutes=1):
        assert REFUSED not in words(send(files=[text_file()]))


def test_one_member_fills_no_more_than_their_day(settings):
    settings.MAX_FILE_BYTES_A_DAY = 1_500
    member = Member.objects.get(pk=factories.add_member("customer-1"))
    browser = Client()
    browser.get(member_links.link_for(member).url.removeprefix(project.PUBLIC_URL))

    send(browser, member=member, files=[text_file()], sender="192.0.2.1")
    answer = send(browser, member=member, files=[text_file()], sender="192.0.2.2")

    assert_taken_without_files(answer)
    assert len(kept_files()) == 1


def test_all_strangers_together_fill_no_more_than_what_may_wait(settings):
    settings.MAX_WAITING_BYTES = 2_500

    answers = [send(files=[text_file()], sender=f"192.0.2.{number}") for number in (1, 2, 3)]

    assert_taken_without_files(answers[2])
    assert len(waiting_files()) == 2
    # What is kept waits no more.
    confirm(Ticket.objects.earliest("pk"))
    assert REFUSED not in words(send(files=[text_file()], sender="192.0.2.4"))


def test_what_is_kept_free_for_archives_takes_no_file(settings):
    settings.MIN_FREE_BYTES = 2**60

    answer = send(files=[text_file()])

    assert_taken_without_files(answer)
    assert waiting_files() == []


def test_a_disk_that_cannot_be_written_costs_the_files_and_not_the_objection():
    project.QUARANTINE_DIR.write_text("a file where the directory should be")

    assert_taken_without_files(send(files=[text_file()]))


def test_a_disk_that_fills_up_in_the_middle_leaves_no_part_of_the_files(monkeypatch):
    fsync = uploads.os.fsync
    calls = itertools.count()

    def full(descriptor):
        # The first file takes three: itself and its two directories.
        if next(calls) == 3:
            raise OSError(28, "No space left on device")
        return fsync(descriptor)

    monkeypatch.setattr(uploads.os, "fsync", full)

    assert_taken_without_files(send(files=[text_file(), text_file(name="more.txt")]))
    assert waiting_files() == []


def test_staff_are_told_when_the_disk_is_full():
    project.ATTACHMENT_DIR.write_text("a file where the directory should be")

    with pytest.raises(OSError):
        factories.objection(channel="email", files=[uploads.check("a.txt", b"words")])

    assert not Ticket.objects.worked().exists()


@pytest.mark.django_db(transaction=True)
def test_filings_at_once_are_counted_one_after_the_other(settings):
    settings.MAX_FILE_BYTES_A_DAY = 2_500
    together = threading.Barrier(6)
    faults = []

    def file_one():
        try:
            together.wait()
            send(files=[text_file()])
        except Exception as fault:  # whatever it is, the test must see it
            faults.append(fault)
        finally:
            connection.close()

    threads = [threading.Thread(target=file_one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert faults == []
    assert Ticket.objects.worked().count() == 6
    assert len(waiting_files()) == Attachment.objects.count() == 2
    assert sorted(Requester.objects.values_list("files_refused", flat=True)) == [0, 0, 1, 1, 1, 1]


def test_one_page_sent_twelve_times_is_one_objection_with_one_file():
    once = stamp()

    answers = [
        send(stamp=once, email="same@example.org", files=[text_file(name="a.txt")])
        for _ in range(12)
    ]
    others = [send(stamp=once, files=[text_file(name=f"{n}.txt")]) for n in range(12)]

    assert {answer.status_code for answer in answers} == {200}
    assert {answer.status_code for answer in others} == {422}
    assert len(waiting_files()) == Ticket.objects.count() == 1


def test_a_page_that_another_request_used_meanwhile_leaves_no_files(monkeypatch):
    """Each request stores its file before it waits for the ledger, and finds there that the page was used."""
    once = stamp()
    fsync, is_racing = uploads.os.fsync, False

    def overtaken(descriptor):
        nonlocal is_racing
        if not is_racing:
            is_racing = True
            send(stamp=once, files=[text_file(name="first.txt")])
        return fsync(descriptor)

    monkeypatch.setattr(uploads.os, "fsync", overtaken)

    answer = send(stamp=once, files=[text_file(name="late.txt"), text_file(name="later.txt")])

    assert answer.status_code == 422
    (kept,) = Attachment.objects.all()
    assert waiting_files() == [kept.key]


def test_a_staff_members_files_do_not_stay_when_the_ticket_takes_none(officer):
    factories.add_members(1)
    ticket = factories.uphold(factories.objection("acc-0"), officer)
    factories.send_letters(ticket)
    accounts.erase_member(account_ref="acc-0", actor=officer, reason="asked for")

    with pytest.raises(Refusal):
        factories.attach(ticket=ticket, files=[uploads.check("a.txt", b"words")] * 2, actor=officer)

    assert kept_files() == []


# --- Where they are -----------------------------------------------------------------------------


def test_a_file_whose_move_was_interrupted_is_read_and_moved_later():
    send(files=[text_file()])
    file = Attachment.objects.get()
    Attachment.objects.update(waits_until=None)

    with uploads.open_file(file.key) as content:
        assert content.read() == b"w" * 1_000
    retention.sweep_files()
    retention.sweep_files()

    assert (waiting_files(), kept_files()) == ([], [file.key])


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a second file system")
def test_a_quarantine_on_a_disk_of_its_own_gives_files_up_whole(settings):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as home:
        settings.QUARANTINE_DIR = Path(home)
        key = uploads.store(uploads.check("a.txt", b"words"), is_waiting=True)

        uploads.keep(key)
        uploads.keep(key)

        assert stored(Path(home)) == []
    with uploads.open_file(key) as content:
        assert content.read() == b"words"
    (path,) = (path for path in project.ATTACHMENT_DIR.rglob("*") if path.is_file())
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.django_db(transaction=True)
def test_words_that_are_erased_take_waiting_files_along(officer, second_officer):
    send(files=[text_file()])
    ticket = factories.withdraw(Ticket.objects.get(), officer, second_officer)
    factories.send_letters(ticket)

    with after(days=project.OBJECTION_RETENTION_DAYS + 2):
        assert retention.erase_expired() == 1

    assert (waiting_files(), kept_files()) == ([], [])


def test_readyz_says_that_too_little_space_is_left(client, settings):
    assert client.get("/readyz").json()["checks"]["free_space"] == "ok"
    settings.MIN_FREE_BYTES = 2**60

    answer = client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    assert answer.json()["checks"]["free_space"] == "too_little"


def test_a_share_of_the_disk_is_kept_free_as_well(client, settings):
    settings.MIN_FREE_PERCENT = 100

    assert client.get("/readyz").json()["checks"]["free_space"] == "too_little"
