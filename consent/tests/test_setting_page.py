"""The setting page: what it says to a member, and the one button that changes it."""

import datetime as dt
import re
import uuid

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from django.utils.translation import override
from pyroaring import BitMap

from consent import accounts
from consent import decisions as consent
from consent.choices import DataCategory, ReviewVerdict
from consent.models import Consent, Decision, Member
from consent.public import member_links, setting
from consent.rulebook import proposing
from ledger import entries
from ledger.models import Entry
from tools import factories
from training_runs.eligibility import canaries, exclusions
from training_runs.manifests import archives, manifest_file
from training_runs.models import Canary, Manifest
from training_runs.runs import explaining, registering
from training_runs.templatetags import member_runs

pytestmark = [pytest.mark.django_db, pytest.mark.one_engine]

PAGE = "/settings/ai-training/"


@pytest.fixture
def member() -> Member:
    return Member.objects.get(pk=factories.add_member("customer-1"))


@pytest.fixture
def opened(officer, second_officer) -> None:
    """Generative AI is default-on in every country but Germany, under notice 2025-09-18."""
    factories.allow(officer, second_officer, codes=["US", "GB"])
    factories.publish(
        officer, second_officer, version="2025-09-18", categories=["profile", "posts"]
    )


@pytest.fixture
def browser(member) -> Client:
    return browser_of(member)


def browser_of(member) -> Client:
    client = Client()
    client.get(member_links.link_for(member).url.removeprefix("http://127.0.0.1:8000"))
    return client


def words(answer) -> str:
    """What the page says, without tags, one space between words."""
    text = re.sub(r"<[^>]+>", " ", answer.text.partition("<main")[2])
    return re.sub(r"\s+", " ", text)


def form_of(client) -> str:
    """The signed form of the page as it is now."""
    return re.search(r'name="form_id" value="([^"]+)"', client.get(PAGE).text)[1]


def press(client, choice, form_id=None, **more):
    return client.post(PAGE, {"choice": choice, "form_id": form_id or form_of(client)}, **more)


# --- What it says -------------------------------------------------------------------------------


def test_a_member_who_never_chose_is_on_by_default_and_has_not_consented(browser, opened):
    said = words(browser.get(PAGE))

    assert "Data for Generative AI improvement On You have not chosen" in said
    assert "you have not consented" in said
    assert "our legitimate interest" in said
    assert "Your data may be used at the moment." in said
    assert "Switch it off" in said
    assert "Switch it on" not in said


def test_the_page_names_what_the_notice_covers_and_what_is_never_used(browser, opened):
    said = words(browser.get(PAGE))

    assert (
        "May be used while the setting is on your profile your posts and articles Never used private messages"
        in said
    )
    assert "payment data" in said
    assert "Version 2025-09-18, published on 19 August 2024, in force since" in said


def test_where_no_notice_is_in_force_the_page_says_that_nothing_is_used(
    browser, officer, second_officer
):
    factories.allow(officer, second_officer)

    said = words(browser.get(PAGE))

    assert "None of your data: no privacy notice is in force" in said
    assert (
        "Your account is on no list for new training at the moment. There is no privacy notice in force"
        in said
    )


def test_an_excluded_country_has_a_setting_without_effect(opened):
    german = Member.objects.get(pk=factories.add_member("customer-2", country="DE"))

    said = words(browser_of(german).get(PAGE))

    assert (
        "Your account is on no list for new training at the moment. Your country is excluded at the moment."
        in said
    )
    assert "Switch it off" in said


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"status": "closed"}, "Your account is closed"),
        (
            {"adult_on": None},
            "You are under 18 or the age that counts in your country, or we do not know your age.",
        ),
        ({"country": ""}, "We do not know which country you live in."),
    ],
)
def test_who_is_out_is_told_why(opened, facts, sentence):
    number = factories.add_member("customer-2", **facts)

    said = words(browser_of(Member.objects.get(pk=number)).get(PAGE))

    assert f"Your account is on no list for new training at the moment. {sentence}" in said


@pytest.mark.parametrize(
    ("exclusion", "sentence"),
    [
        ("objection_open", "You have objected, and we are looking at your objection."),
        ("objection_upheld", "You have objected, and your objection was upheld."),
    ],
)
def test_an_objection_keeps_the_data_out_while_the_setting_is_on(exclusion, sentence):
    # The portal's own test accounts have one of each.
    canaries.plant()
    browser = browser_of(Canary.objects.get(exclusion=exclusion).member)

    answer = browser.get(PAGE)

    assert answer.context["setting"].is_on
    assert f"Your account is on no list for new training at the moment. {sentence}" in words(answer)
    assert press(browser, "deny").status_code == 400


def test_every_reason_to_be_out_has_a_sentence_for_the_member():
    assert list(member_runs.YOUR_REASONS) == [row.code for row in exclusions.EXCLUSIONS]
    assert list(setting.CATEGORY_WORDS) == list(DataCategory)


def test_where_consent_is_asked_for_the_setting_is_off_until_it_is_given(
    browser, member, officer, second_officer
):
    factories.allow(officer, second_officer, rule="opt-in")
    factories.publish(officer, second_officer)

    before = words(browser.get(PAGE))
    press(browser, "allow")
    after = words(browser.get(PAGE))

    assert "improvement Off You have not chosen. In your country this needs your consent" in before
    assert "By switching it on you consent." in before
    assert "improvement On On since" in after
    assert "Your data may be used at the moment." in after


@pytest.mark.parametrize(("days", "is_on"), [(1, False), (0, True)])
def test_a_yes_from_before_consent_was_asked_for_is_not_consent(
    browser, member, officer, second_officer, days, is_on
):
    begins = timezone.now().replace(hour=12) - dt.timedelta(days=3)
    with time_machine.travel(begins - dt.timedelta(days=9), tick=False):
        factories.allow(officer, second_officer, rule="opt-in", effective_from=begins.date())
        factories.publish(officer, second_officer)
    factories.decide("customer-1", "allow", actor="test", at=begins - dt.timedelta(days=days))

    answer = browser.get(PAGE)

    (standing, *_) = explaining.standing(member)
    assert answer.context["setting"].is_on is is_on
    assert (standing.reasons == []) is is_on
    assert ("What you chose before is no consent" in words(answer)) is not is_on


@pytest.mark.parametrize(
    ("channel", "sentence"),
    [("product", "You chose this in the product."), ("staff", "Our staff recorded this")],
)
def test_the_page_says_since_when_and_how_it_is_off(browser, opened, channel, sentence):
    at = dt.datetime(2026, 5, 3, 10, 14, tzinfo=dt.UTC)
    recorded = factories.decide("customer-1", "deny", actor="test", at=at, channel=channel)

    said = words(browser.get(PAGE))

    assert "Off since 3 May 2026, 10:14 UTC." in said
    assert f"{sentence}" in said
    assert f"Recorded as no. {recorded.entry}." in said


@pytest.mark.django_db(transaction=True)
def test_the_page_lists_the_runs_that_switching_off_does_not_undo(opened, engineer):
    member = Member.objects.get(pk=factories.add_member("customer-1"))
    factories.add_member("customer-2")
    before = factories.freeze(engineer, verified=False)
    registering.rename(run=before.run, title="Project Owl", version=3, actor=engineer)
    browser = browser_of(member)
    press(browser, "deny")
    after = factories.freeze(engineer, verified=False)

    said = words(browser.get(PAGE))

    assert (
        "Your account is on the list of one training run. Switching off does not undo it:" in said
    )
    assert f"Generative AI {before.run.reference}" in said
    assert after.run.reference not in said
    assert "Owl" not in said


def manifest_of(owner, *numbers, purpose="generative-ai", digest="") -> Manifest:
    """A manifest with these members in it, as a freeze would have left it; with a digest, one that is lost."""
    run = factories.register(owner, purpose=purpose)
    included = BitMap(numbers)
    _, data = manifest_file.build({"run": run.reference}, 10, included, {})
    with entries.entry("test.frozen", actor="test"):
        manifest = Manifest(
            run=run, cut=1, ledger_root="", digest=digest or archives.store(data), size=len(data),
            included=len(included), population=10, header={}, frozen_at=timezone.now(), seconds="0",
        )  # fmt: skip
        manifest.save()
    return manifest


def test_runs_including_a_member_are_those_of_the_purpose_that_were_not_cancelled(member, engineer):
    first, second = (manifest_of(engineer, member.pk, 2) for _ in range(2))
    manifest_of(engineer, 2)
    other = manifest_of(engineer, member.pk, purpose="safety")
    cancelled = manifest_of(engineer, member.pk)
    registering.cancel(run=cancelled.run, actor=engineer, reason="not trained")

    assert explaining.runs_including(member.pk, ["generative-ai"]) == [second, first]
    assert explaining.runs_including(member.pk, ["generative-ai", "safety"]) == [
        other,
        second,
        first,
    ]
    assert explaining.runs_including(11, ["generative-ai"]) == []


def test_the_newest_runs_are_listed_and_the_others_counted(browser, member, engineer, monkeypatch):
    monkeypatch.setattr(member_runs, "SHOWN_RUNS", 1)
    first, second = (manifest_of(engineer, member.pk) for _ in range(2))

    said = words(browser.get(PAGE))

    assert "Your account is on the lists of 2 training runs." in said
    assert second.run.reference in said
    assert first.run.reference not in said
    assert "and one older run" in said


def test_an_archive_that_cannot_be_read_is_not_taken_for_no_run(browser, member, engineer):
    manifest_of(engineer, member.pk, digest="0" * 64)

    answer = browser.get(PAGE)

    assert answer.status_code == 200
    assert "We cannot show which training runs list your account just now." in words(answer)


# --- The button ---------------------------------------------------------------------------------


@pytest.mark.parametrize("choice", ["deny", "allow"])
def test_one_click_records_the_choice_with_the_notice_in_force(browser, member, opened, choice):
    answer = press(browser, choice)

    decision = Decision.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, f"{PAGE}?recorded={decision.entry_id}")
    assert (decision.member, decision.purpose, decision.choice) == (member, "generative-ai", choice)
    assert (decision.channel, decision.notice_version) == ("setting-page", "2025-09-18")
    assert decision.privacy_signal is None
    assert decision.entry.actor_name == "system:setting-page"
    assert Consent.objects.get().choice == choice


def test_off_and_on_again_is_two_decisions_and_the_page_follows(browser, opened):
    shown = []
    for choice in ("deny", "allow"):
        assert browser.get(PAGE).context["setting"].other_choice == choice
        shown.append(words(press(browser, choice, follow=True)))

    first, second = Decision.objects.order_by("pk")
    assert f"You switched it off. Recorded as no. {first.entry_id} on" in shown[0]
    assert (
        "Your account is on no list for new training at the moment. Your setting is off."
        in shown[0]
    )
    assert f"You switched it on. Recorded as no. {second.entry_id} on" in shown[1]
    assert "Your data may be used at the moment." in shown[1]


def test_the_button_of_the_page_carries_the_form_it_is_on(browser, opened):
    page = browser.get(PAGE).text
    form_id = re.search(r'name="form_id" value="([^"]+)"', page)[1]
    choice = re.search(r'name="choice" value="([^"]+)"', page)[1]

    press(browser, choice, form_id)

    written_for, shown, number = form_id.partition(":")[0].split(".")
    assert (written_for, shown) == ("1", "0")
    assert Decision.objects.get().source_id == f"1-{number}"


def test_a_form_sent_twice_is_one_decision_with_one_receipt(browser, opened):
    form_id = form_of(browser)

    answers = [press(browser, "deny", form_id)["Location"] for _ in range(2)]

    assert answers[0] == answers[1]
    assert Decision.objects.count() == 1


@pytest.mark.parametrize("changed_by", ["the page", "the product", "staff", "the same form"])
def test_an_old_switch_on_form_switches_nothing_on_after_another_choice(
    browser, member, opened, officer, changed_by
):
    form_id = form_of(browser)
    if changed_by == "the page":
        press(browser, "allow", form_id)
        press(browser, "deny")
    elif changed_by == "the product":
        factories.decide("customer-1", "deny", actor="test")
    elif changed_by == "staff":
        consent.deny_for_member(
            member=member, purpose="generative-ai", actor=officer, reason="by phone"
        )
    else:
        press(browser, "deny", form_id)
    before = Decision.objects.count()

    answer = press(browser, "allow", form_id)

    assert answer.status_code == 409
    assert "Nothing was changed. Your setting was changed after the page you used" in words(answer)
    assert "improvement Off" in words(answer)
    assert Decision.objects.count() == before
    assert Consent.objects.get().choice == "deny"


@pytest.mark.parametrize("choices", [["allow"], ["deny"], ["deny", "allow"], ["allow", "deny"]])
def test_switching_off_counts_however_old_the_form_is(browser, opened, choices):
    form_id = form_of(browser)
    for choice in choices:
        press(browser, choice)

    answer = press(browser, "deny", form_id, follow=True)

    assert "You switched it off." in words(answer)
    assert "not in force" not in words(answer)
    assert Consent.objects.get().choice == "deny"
    assert Decision.objects.count() == len(choices) + 1


def test_an_off_form_used_before_counts_again_after_the_setting_was_switched_on(browser, opened):
    form_id = form_of(browser)
    first = press(browser, "deny", form_id)["Location"]
    press(browser, "allow")

    second = press(browser, "deny", form_id)["Location"]

    assert first != second
    assert Consent.objects.get().choice == "deny"


@pytest.mark.parametrize("choice", ["allow", "deny"])
def test_a_page_shown_to_one_member_decides_for_no_other_in_the_same_browser(
    browser, member, opened, choice
):
    form_id = form_of(browser)
    other = Member.objects.get(pk=factories.add_member("customer-2"))
    browser.get(member_links.link_for(other).url.removeprefix("http://127.0.0.1:8000"))

    answer = press(browser, choice, form_id)

    assert answer.status_code == 409
    assert "The page you used was shown for another account." in words(answer)
    assert answer.context["member"] == other
    assert not Decision.objects.exists()

    # The form of the page that says so is the other's own.
    form_id = re.search(r'name="form_id" value="([^"]+)"', answer.text)[1]
    assert press(browser, choice, form_id).status_code == 302
    assert Decision.objects.get().member == other


def test_a_form_is_signed_and_names_nothing_but_the_number(browser, member, opened):
    form_id = form_of(browser)
    text, _, signature = form_id.partition(":")

    assert "customer-1" not in form_id
    forged = [
        f"2{text[1:]}:{signature}",
        f"{text}x:{signature}",
        text,
        form_id[:-1],
        str(uuid.uuid4()),
    ]
    assert [press(browser, "deny", one).status_code for one in forged] == [400] * 5
    assert not Decision.objects.exists()


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"choice": "maybe", "form_id": str(setting.ShownForm(1, 0, "x"))},
        {"choice": "deny", "form_id": "=1+1"},
        {"choice": "deny", "form_id": "x" * 5000},
        {"choice": "deny"},
    ],
)
def test_what_is_not_from_the_page_changes_nothing(browser, opened, sent):
    answer = browser.post(PAGE, sent)

    assert answer.status_code == 400
    assert "Nothing was changed." in words(answer)
    assert not Decision.objects.exists()


def test_the_notice_in_force_is_the_newest_of_the_member_s_country(
    browser, opened, officer, second_officer
):
    later, latest = dt.date(2025, 11, 3), dt.date(2026, 2, 1)
    tomorrow = timezone.now().date() + dt.timedelta(days=1)
    for version, codes, in_force_from in (
        ("2025-11-03", ["US"], later),
        ("2026-02-01-de", ["DE"], latest),
        ("tomorrow", ["US"], tomorrow),
    ):
        factories.publish(
            officer, second_officer, version=version, codes=codes, in_force_from=in_force_from
        )

    press(browser, "deny")

    assert Decision.objects.get().notice_version == "2025-11-03"


def test_the_click_counts_after_a_choice_of_a_clock_that_runs_ahead(browser, member, opened):
    ahead = timezone.now() + dt.timedelta(minutes=4)
    factories.decide("customer-1", "deny", actor="test", at=ahead)

    press(browser, "allow")

    assert Consent.objects.get().choice == "allow"


def test_without_a_notice_in_force_the_choice_is_recorded_without_a_version(browser):
    press(browser, "deny")

    assert Decision.objects.get().notice_version == ""


def test_a_browser_that_sends_a_privacy_signal_has_it_recorded(browser, opened):
    said = words(browser.get(PAGE, headers={"Sec-GPC": "1"}))
    press(browser, "allow", headers={"Sec-GPC": "1"})

    assert "Your browser sends a privacy signal" in said
    decision = Decision.objects.get()
    assert (decision.choice, decision.privacy_signal, decision.evidence_only) == (
        "allow",
        True,
        False,
    )


def test_the_form_is_refused_without_its_csrf_token(member, opened):
    client = Client(enforce_csrf_checks=True)
    client.cookies = browser_of(member).cookies

    assert press(client, "deny", "x").status_code == 403
    assert not Decision.objects.exists()


# --- Who sees it, and what is kept from everybody else ------------------------------------------


@pytest.mark.parametrize("method", ["get", "head", "post"])
def test_without_a_link_from_the_product_there_is_only_a_word_where_to_find_it(
    client, opened, method
):
    answer = getattr(client, method)(PAGE, {"choice": "deny", "form_id": str(uuid.uuid4())})

    assert answer.status_code == 403
    assert answer.templates[0].name == "member/closed.html"
    assert "no-store" in answer["Cache-Control"]
    assert not Decision.objects.exists()


def test_a_member_erased_meanwhile_is_let_in_no_more(browser, opened):
    form_id = form_of(browser)
    accounts.erase_member(account_ref="customer-1", actor="test", reason="asked")

    answers = [browser.get(PAGE), press(browser, "allow", form_id)]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert "If your account was erased, it has no setting any more" in words(answers[0])
    assert not Decision.objects.exists()


def test_the_page_is_kept_by_no_cache_and_listed_nowhere(browser, opened):
    for answer in (
        browser.get(PAGE),
        browser.head(PAGE),
        press(browser, "deny"),
        Client().get(PAGE),
    ):
        assert "no-store" in answer["Cache-Control"]
        assert answer["X-Robots-Tag"] == "noindex, nofollow"
        assert "default-src 'self'" in answer["Content-Security-Policy"]


def test_head_answers_without_a_body_and_nothing_else_is_understood(browser, opened):
    answer = browser.head(PAGE)

    assert (answer.status_code, answer.content) == (200, b"")
    assert [browser.put(PAGE).status_code, browser.delete(PAGE).status_code] == [405, 405]


def test_the_account_ref_is_nowhere_on_the_page_nor_in_the_ledger(browser, opened):
    answer = press(browser, "deny", follow=True)

    assert "customer-1" not in answer.text
    assert "customer-1" not in answer.redirect_chain[0][0]
    assert not Entry.objects.filter(reason__contains="customer-1").exists()


@pytest.mark.parametrize(
    "query",
    ["recorded=999", "recorded=x", "recorded=-1", "recorded=%D9%A3", "recorded=" + "9" * 5000,
     "recorded=1&recorded=2", "recorded=%3Cscript%3E", "recorded=9223372036854775808"],
)  # fmt: skip
def test_a_made_up_receipt_is_not_shown(browser, opened, query):
    answer = browser.get(f"{PAGE}?{query}")

    assert answer.status_code == 200
    assert "Keep this number as your receipt" not in answer.text


def test_the_receipt_of_another_member_is_not_shown(browser, opened):
    other = browser_of(Member.objects.get(pk=factories.add_member("customer-2")))
    theirs = press(other, "deny")["Location"]

    assert "Keep this number as your receipt" in other.get(theirs).text
    assert "Keep this number as your receipt" not in browser.get(theirs).text


def test_a_hostile_source_of_a_notice_is_shown_as_text(browser, officer, second_officer):
    factories.open_world(officer, second_officer)
    row = proposing.propose_notice(
        version="2026-01", purposes=["generative-ai"], data_categories=["posts"], countries=["US"],
        published_on=factories.LONG_AGO - factories.NOTICE_PERIOD, in_force_from=factories.LONG_AGO,
        texts={"en": "<script>alert(2)</script>"},
        source='<script>alert(1)</script> javascript:alert(1) https://example.org/"onclick=x',
        actor=officer,
    )  # fmt: skip
    proposing.review(
        proposal=row, verdict=ReviewVerdict.APPROVED, actor=second_officer, reason="test"
    )

    page = browser.get(PAGE).text

    assert "<script" not in page
    assert 'href="javascript' not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert re.search(r"<a[^>]*\sonclick", page) is None


@pytest.mark.parametrize("path", [PAGE, f"{PAGE}open/x"])
def test_both_addresses_are_gone_where_the_member_pages_are_switched_off(browser, settings, path):
    settings.MEMBER_PAGES = False

    assert [browser.get(path).status_code, browser.head(path).status_code] == [404, 404]
    assert browser.post(PAGE).status_code == 404


def test_the_page_says_who_answers_and_in_which_language_it_is(browser, opened, settings):
    settings.CONTROLLER_NAME, settings.CONTROLLER_CONTACT = "Acme <Ireland>", "dpo@acme.example"

    with override("en-gb"):
        page = browser.get(PAGE).text

    assert '<html lang="en-gb">' in page
    assert "Acme &lt;Ireland&gt; trains generative AI models" in page
    assert 'href="mailto:dpo@acme.example"' in page


@pytest.mark.django_db
def test_a_page_sent_without_its_token_changes_nothing_and_says_so() -> None:
    strict = Client(enforce_csrf_checks=True)

    answer = strict.post("/settings/ai-training/", {"choice": "deny"})

    assert (answer.status_code, Decision.objects.count()) == (403, 0)
    assert "Nothing was changed." in answer.text
    assert "style=" not in answer.text and "<style" not in answer.text
