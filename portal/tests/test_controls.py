"""Every control that narrows, sorts or turns the pages of a list is used in a browser, and what it shows is compared
with the database: what the control says in words, asked of the rows one by one.

A new filter without an expectation here fails: see `OWN`, `FOUND_BY` and `TYPED`.
"""

import csv
import datetime as dt
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from django.contrib.admin.utils import unquote
from django.contrib.auth.models import User
from django.db import models
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from common.staff.list_forms import FormFilter
from common.staff.site import PortalModelAdmin
from consent import countries
from deliveries.made import requesting
from ledger.models import Entry
from objections import acts
from objections.models import Proposal, Ticket
from objections.staff.tickets import TicketAdmin
from portal.tests import test_browser
from tools import factories
from tools.browsing import Visitor, in_a_browser
from training_runs.runs import assessments

pytestmark = in_a_browser

world, desk = test_browser.world, test_browser.desk

MAX_OPTIONS = 8
"""So many options of a filter are all used, in each list that has it."""

Rows = dict[str, Any]
"""The rows of a table by their keys, as addresses have them."""

# What a page offers: of the page that is open, or of the page at an address in the same session.
LOOK = """async address => {
    let [page, base] = [document, location.href];
    if (address) {
        const answer = await fetch(address);
        if (!answer.ok) throw Error(`${answer.status}: ${address}`);
        [page, base] = [new DOMParser().parseFromString(await answer.text(), "text/html"), answer.url];
    }
    const all = (what, within = page) => [...within.querySelectorAll(what)];
    const words = one => one.textContent.trim().replace(/\\s+/g, " ");
    const links = (what, within = page) =>
        all(what, within).map(one => [words(one), new URL(one.getAttribute("href"), base).href]);
    return {
        address: base,
        rows: all("#result_list tbody tr").map(row => row.querySelector("th a")?.getAttribute("href") ?? ""),
        filters: Object.fromEntries(all("#changelist-filter details").map(
            one => [one.dataset.filterTitle, links("li a", one)]).filter(one => one[1].length)),
        boxes: Object.fromEntries(all("#changelist-filter details:has(select)").map(
            one => [one.dataset.filterTitle, all("option", one).map(words)])),
        sorts: links("#result_list thead th.sortable .text a"),
        tabs: links("nav.tabs a"),
        tab: links('nav.tabs a[aria-current="page"]'),
        pages: links(".paginator a:not(.showall)"),
        whole: links(".paginator a.showall"),
        files: links("a[download]"),
        total: all(".paginator").map(words).join(""),
        out: links("#toolbar .small a, .list-form-acts a, .nothing a"),
    };
}"""


class Reader:
    """A person who uses the controls of lists, and counts them by kind."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self.page: Page = visitor.page
        self.used: Counter[str] = Counter()
        # What a page looks like narrows nothing.
        self.page.route(re.compile("/static/|/jsi18n/"), lambda route: route.abort())

    def look(self, address: str = "") -> Any:
        return self.page.evaluate(LOOK, address)

    def go(self, address: str) -> Any:
        answer = self.page.goto(address)
        assert answer is not None and answer.ok, address
        return self.look()

    def keys(self, shown: Any) -> list[str]:
        """The keys of the rows over all pages, each once, as many as the page says."""
        found = list(shown["rows"])
        for _, address in shown["pages"]:
            found += self.look(address)["rows"]
            self.used["page"] += 1
        said = re.search(r"([\d,]+) [A-Za-z' -]+$", shown["total"])
        assert said and len(found) == int(said[1].replace(",", "")), shown["address"]
        assert len(set(found)) == len(found), shown["address"]
        return [key_in(address) for address in found]

    def file(self, address: str) -> list[dict[str, str]]:
        answer = self.visitor.context.request.get(address)
        assert answer.ok, address
        self.used["file"] += 1
        return list(csv.DictReader(io.StringIO(answer.text().removeprefix("\ufeff"))))

    def choose(self, title: str, words: str) -> Any:
        """An option of a choice box beside the list, sent."""
        form = self.page.locator(f'details[data-filter-title="{title}"]')
        form.locator("select").select_option(label=words)
        with self.page.expect_navigation():
            form.get_by_role("button", name="Show", exact=True).click()
        self.used["box"] += 1
        return self.look()

    def search(self, term: str) -> Any:
        self.page.locator("#searchbar").fill(term)
        with self.page.expect_navigation():
            self.page.get_by_role("button", name="Search", exact=True).click()
        self.used["search"] += 1
        return self.look()


def key_in(address: str) -> str:
    found = re.search(r"/([^/]+)/change/", address)
    assert found, f"a row without a page: {address}"
    return str(unquote(found[1]))


# --- What the controls say, asked of a row ------------------------------------------------------

OWN: dict[str, Callable[[Any, str, User], bool]] = {
    "objections.ticket state": lambda row, words, me: row.get_state_display() == words,
    "objections.ticket purpose": lambda row, words, me: (
        words in [one.get_purpose_display() for one in row.objections.all()]
    ),
    "objections.ticket account": lambda row, words, me: (
        bool(row.requester.account_named)
        if row.member is None
        else not row.member.reference.is_confirmed
    ),
    "objections.ticket country": lambda row, words, me: country_of(row) == words,
    "consent.member account": lambda row, words, me: named(row) == words,
    "consent.member country": lambda row, words, me: country_of(row) == words,
    "consent.decision account": lambda row, words, me: named(row.member) == words,
    "consent.consent account": lambda row, words, me: named(row.member) == words,
    "objections.letter state": lambda row, words, me: (
        words in (row.get_state_display(), "all letters")
        or (words == "not out yet" and row.state in ("failed", "waiting"))
    ),
    "objections.proposal standing": lambda row, words, me: standing_of(row) == words,
    "training_runs.assessment state": lambda row, words, me: (
        words == (row.review.verdict if hasattr(row, "review") else "waits for a privacy officer")
    ),
    "training_runs.run team": lambda row, words, me: is_of_my_team(row, me),
    "ledger.accessrecord kind": lambda row, words, me: row.kind == words,
    "objections.redactionentry state": lambda row, words, me: words == redaction_of(row),
    "deliveries.lineageevent event type": lambda row, words, me: (
        words == row.event_type or (words.startswith("another") and row.event_type == "")
    ),
    "deliveries.delivery team": lambda row, words, me: is_of_my_team(row.run, me),
    "training_runs.incident use": lambda row, words, me: (
        words
        in [word for word in ("delivered", "used") if getattr(row, word)]
        + ([] if row.delivered else ["not delivered"])
    ),
    "deliveries.delivery lease": lambda row, words, me: (
        words == ("may be used now" if is_leased(row) else "over") and row.state != "requested"
    ),
}
"""By the title of a filter of our own: whether a row is as the option's words say."""

FOUND_BY: dict[str, Callable[[Any], Iterable[str]]] = {
    "objections.ticket": lambda row: [row.reference],
    "objections.letter": lambda row: [row.ticket.reference],
    "objections.proposal": lambda row: [row.ticket.reference],
    "training_runs.incident": lambda row: [row.reference, row.run.reference],
    "consent.decision": lambda row: [str(row.member_id)],
    "consent.consent": lambda row: [str(row.member_id)],
    "consent.notice": lambda row: [row.version],
    "training_runs.run": lambda row: [row.reference, row.tracker_run_id],
    "training_runs.manifest": lambda row: [row.run.reference, row.digest],
    "training_runs.verification": lambda row: [row.manifest.run.reference],
    "training_runs.assessment": lambda row: [row.run.reference],
    "training_runs.finding": lambda row: [row.run.reference],
    "ledger.accessrecord": lambda row: [row.subject, row.actor_name],
    "common.servicetoken": lambda row: [row.name, row.user.username],
    "auth.user": lambda row: [row.username],
    "auth.group": lambda row: [row.name],
    "objections.redactionentry": lambda row: [row.ticket.reference, str(row)],
    "training_runs.team": lambda row: [row.name, row.responsible.username],
    "deliveries.delivery": lambda row: [row.reference, row.run.reference, row.digest],
    "deliveries.receipt": lambda row: [row.reference, row.run.reference, sets_of(row)[0].sha256],
    "deliveries.dataset": lambda row: [
        row.sha256,
        row.receipt.reference,
        row.receipt.run.reference,
    ],
    "deliveries.waiver": lambda row: [row.run.reference],
    "deliveries.runnerkey": lambda row: [row.fingerprint, row.user.username],
    "deliveries.recipient": lambda row: [row.title, row.name],
    "deliveries.trainedmodel": lambda row: [row.title, row.name, runs_of(row)[0].run.reference],
    "deliveries.recipienttold": lambda row: [row.subject, row.recipient.name],
    "deliveries.lineageevent": lambda row: [row.lineage_run_id, row.digest],
}
"""By list: the terms that find a row."""

IN_FILE = {"ticket": "reference", "run": "reference", "member": "pk", "decision": "entry_id",
           "verification": "entry_id", "entry": "sequence", "accessrecord": "pk",
           "delivery": "reference", "receipt": "reference", "incident": "reference"}  # fmt: skip
COLUMNS = {"ticket": "reference", "run": "run", "member": "member", "decision": "entry",
           "verification": "entry", "entry": "sequence", "accessrecord": "id",
           "delivery": "delivery", "receipt": "receipt", "incident": "incident"}  # fmt: skip


# Read once with the rows, so that asking each of them is cheap.
TOGETHER = {
    "objections.ticket": ["objections", "requester", "member__reference", "letters", "assignee"],
    "consent.member": ["reference"],
    "consent.decision": ["member__reference"],
    "consent.consent": ["member__reference"],
    "objections.letter": ["ticket"],
    "objections.proposal": ["ticket", "approval"],
    "training_runs.incident": ["run"],
    "training_runs.manifest": ["run"],
    "training_runs.verification": ["manifest__run"],
    "training_runs.assessment": ["run", "review"],
    "training_runs.finding": ["run"],
    "auth.user": ["groups"],
    "objections.redactionentry": ["ticket"],
    "training_runs.team": ["responsible"],
    "deliveries.delivery": ["run__team"],
    "deliveries.receipt": ["run", "data_sets"],
    "deliveries.dataset": ["receipt__run"],
    "deliveries.waiver": ["run"],
    "deliveries.runnerkey": ["user"],
    "deliveries.trainedmodel": ["model_runs__run"],
    "deliveries.recipienttold": ["recipient"],
}


def country_of(row: Any) -> str:
    if row.country in countries.CANARIES:
        return "of test accounts"
    return countries.NAMES.get(row.country, "not known")


def named(member: Any) -> str:
    reference = getattr(member, "reference", None)
    if reference is None:
        return "erased"
    return "named by a file" if reference.is_confirmed else "no file has named it"


def redaction_of(row: Any) -> str:
    if row.state != "holding":
        return "ended"
    return "too weak" if row.is_weak else "holding, lent"


def is_of_my_team(run: Any, me: User) -> bool:
    return bool(run.team.memberships.filter(user=me).exists())


def is_leased(row: Any) -> bool:
    return row.state == "delivered" and row.leased_until > timezone.now()


def sets_of(receipt: Any) -> list[Any]:
    return list(receipt.data_sets.all())


def runs_of(model: Any) -> list[Any]:
    return list(model.model_runs.all())


def standing_of(row: Any) -> str:
    if hasattr(row, "approval"):
        return str(row.approval.get_verdict_display())
    return "closed by another outcome" if row.ticket.closed_at else "waits for a second person"


def is_like(row: Any, name: str, words: str) -> bool:
    """Whether a column of a row is as an option of Django's own filters says."""
    field = row._meta.get_field(name)
    value = getattr(row, name)
    if words in ("All", "Any date"):
        return True
    if field.many_to_many:
        return words in [str(one) for one in value.all()] or (words == "Empty" and not value.all())
    if isinstance(field, models.BooleanField):
        return {"Yes": True, "No": False}[words] is value
    if words in ("No date", "Has date"):
        return (value is None) == (words == "No date")
    if isinstance(field, models.DateField):
        return value is not None and is_when(value, words)
    return (dict(field.flatchoices).get(value) if field.choices else value) == words


def is_when(value: Any, words: str) -> bool:
    day = value.date() if isinstance(value, dt.datetime) else value
    today = timezone.now().date()
    return {
        "Today": day == today,
        "Past 7 days": today - dt.timedelta(days=7) <= day <= today,
        "This month": (day.year, day.month) == (today.year, today.month),
        "This year": day.year == today.year,
    }[words]


def is_in_tab(row: Ticket, tab: str, me: User) -> bool:
    """Whether a part of the queue holds a ticket, from the ticket's own columns and rows."""
    if tab == "Closed":
        return row.closed_at is not None
    if tab == "Letters that failed":
        return any(letter.state == "failed" for letter in row.letters.all())
    if row.closed_at is not None:
        return False
    today = timezone.localdate()
    is_paused = row.state == "identity_check"
    works = row.assignee is not None and row.assignee.has_perm("objections.work_ticket")
    assert row.due_on is not None
    return {
        "Open": True,
        "Mine": row.assignee == me or is_sent_back_to(row, me),
        "Unassigned": not works,
        "Due this week": not is_paused
        and today <= row.due_on <= today + dt.timedelta(days=6 - today.weekday()),
        "Overdue": not is_paused and row.due_on < today,
        "Not matched": row.member_id is None,
        "Waiting for the person": row.state == "identity_check"
        or (
            row.state == "received"
            and row.channel in ("form", "product")
            and not (row.is_authenticated or row.confirmed_at or row.is_set_aside)
        ),
        "Waiting for a second person": any(
            not hasattr(one, "approval") for one in Proposal.objects.filter(ticket=row)
        ),
        "Set aside": row.is_set_aside,
    }[tab]


def is_sent_back_to(row: Ticket, me: User) -> bool:
    last = Proposal.objects.filter(ticket=row).order_by("pk").last()
    verdict = getattr(getattr(last, "approval", None), "verdict", "")
    return last is not None and last.proposed_by == me and verdict == "returned"


# --- The walk -----------------------------------------------------------------------------------


class Walk:
    """One list, for one person."""

    def __init__(self, reader: Reader, admin: PortalModelAdmin, me: User) -> None:
        self.reader, self.admin, self.me = reader, admin, me
        self.label = admin.opts.label_lower
        self.titles = {
            str(admin.opts.get_field(one).verbose_name) if isinstance(one, str) else one.title: one
            for one in admin.list_filter
        }
        self.address = reader.visitor.address + reverse(
            f"admin:{admin.opts.app_label}_{admin.opts.model_name}_changelist"
        )

    def rows(self) -> Rows:
        """Every row that the list may hold, from the table."""
        asked = self.admin.model._default_manager.prefetch_related(*TOGETHER.get(self.label, ()))
        found = {str(row.pk): row for row in asked}
        if self.label == "objections.ticket":
            # Tickets without a state keep test accounts out; no officer works them.
            return {key: row for key, row in found.items() if row.state}
        return found

    def listed(self, rows: Rows) -> Rows:
        """What is listed before anything is chosen."""
        if self.label == "objections.letter":
            return {key: row for key, row in rows.items() if row.state in ("failed", "waiting")}
        return rows

    def with_option(self, rows: Rows, title: str, words: str) -> Rows:
        if words == "All":
            return rows
        one = self.titles[title]
        if isinstance(one, str):
            return {key: row for key, row in rows.items() if is_like(row, one, words)}
        is_so = OWN[f"{self.label} {title}"]
        return {key: row for key, row in rows.items() if is_so(row, words, self.me)}

    def check(self, shown: Any, expected: Rows, *used: str) -> None:
        assert sorted(self.reader.keys(shown)) == sorted(expected), (self.label, *used)

    def fullest(self, whole: Rows, inside: Rows, offered: Any) -> Iterator[tuple[str, Any]]:
        """Of each filter the option with most rows that leaves some out, else with most."""
        for title, options in offered.items():
            # A filter by the values that rows have offers none where there is no row.
            if len(options) == 1:
                assert not whole, (self.label, title)
                continue
            counts = [len(self.chosen(whole, inside, title, words)) for words, _ in options]
            best = max(range(1, len(options)), key=lambda i: (counts[i] < len(inside), counts[i]))
            yield title, options[best]

    def some_of(self, inside: Rows, title: str, options: Any) -> Any:
        """All options; of a long choice some that rows have, and one that none has."""
        if len(options) <= MAX_OPTIONS:
            return options
        present = [one for one in options if self.with_option(inside, title, one[0])]
        return [*present[:MAX_OPTIONS], *[one for one in options if one not in present][:1]]

    def use_all(self, shown: Any, whole: Rows, inside: Rows, *path: str) -> None:
        """Every option, sort and file of a page. `whole` is what the filters choose from, `inside` what is shown."""
        self.check(shown, inside, *path)
        for title, options in shown["filters"].items():
            # The first one, for all, is what is shown; it is used where something is chosen.
            for words, address in self.some_of(inside, title, options[1:]):
                self.check(
                    self.reader.look(address),
                    self.chosen(whole, inside, title, words),
                    *path,
                    title,
                    words,
                )
                self.reader.used["option"] += 1
        self.use_others(shown, inside, *path)

    def chosen(self, whole: Rows, inside: Rows, title: str, words: str) -> Rows:
        # The state of a letter has a choice that is made already, which another one takes the place of.
        is_made = self.label == "objections.letter" and title == "state"
        return self.with_option(whole if is_made else inside, title, words)

    def use_others(self, shown: Any, inside: Rows, *path: str) -> None:
        """Each sort link lists the same rows, each file has them in the order of the list."""
        for words, address in shown["sorts"]:
            self.check(self.reader.look(address), inside, *path, "sorted by", words)
            self.reader.used["sort"] += 1
        for words, address in shown["whole"]:
            assert sorted(map(key_in, self.reader.look(address)["rows"])) == sorted(inside), words
            self.reader.used["show all"] += 1
        # A file is a read on record: in the list of reads they are taken last.
        if self.label != "ledger.accessrecord":
            self.use_file(shown, *path)

    def use_file(self, shown: Any, *path: str) -> None:
        for words, address in shown["files"]:
            if words == "As CSV":
                self.check_file(address, self.reader.keys(shown), self.rows(), *path)

    def check_file(self, address: str, keys: list[str], rows: Rows, *path: str) -> None:
        name = str(self.admin.opts.model_name)
        lines = [line[COLUMNS[name]] for line in self.reader.file(address)]
        assert lines == [str(getattr(rows[key], IN_FILE[name])) for key in keys], (
            self.label,
            *path,
        )

    def use_pairs(self, shown: Any, whole: Rows, inside: Rows, *path: str) -> None:
        """With one filter chosen, every other control is used: it keeps what was chosen before."""
        for title, (words, address) in self.fullest(whole, inside, shown["filters"]):
            rest = self.with_option(whole, title, words)
            some = self.chosen(whole, inside, title, words)
            narrowed = self.reader.look(address)
            self.check(
                self.reader.look(narrowed["filters"][title][0][1]), inside, *path, title, "all"
            )
            # The next one, round and round: each carries another, and is carried.
            names = list(narrowed["filters"])
            other = names[(names.index(title) + 1) % len(names)]
            if other != title:
                offered = {other: narrowed["filters"][other]}
                ((_, (choice, there)),) = self.fullest(rest, some, offered)
                both = self.chosen(rest, some, other, choice)
                self.check(self.reader.look(there), both, *path, title, words, other, choice)
                self.reader.used["pair"] += 1
            if title == names[0]:
                narrowed["sorts"] = narrowed["sorts"][:1]
                self.use_others(narrowed, some, *path, title, words)
                self.use_forms(address, rest, some, *path, title, words)

    def use_forms(self, address: str, whole: Rows, inside: Rows, *path: str) -> None:
        """Forms carry along what the list is narrowed to, and each is filled in on a page that is open."""
        shown = self.reader.go(address)
        for title, options in shown["boxes"].items():
            present = [words for words in options[1:] if self.with_option(inside, title, words)]
            absent = next(words for words in options[1:] if words not in present)
            for words in present[-1:] if path[1:] else [*present[-1:], absent]:
                found = self.reader.choose(title, words)
                self.check(found, self.with_option(inside, title, words), *path, title, words)
                assert [one for one, _ in found["tab"]] == [one for one, _ in shown["tab"]]
            if not path:
                self.check(self.reader.choose(title, options[0]), inside, title, options[0])
        if self.admin.search_fields and inside:
            # A search looks through all letters.
            is_all = self.label == "objections.letter" and "state=" not in address
            self.use_search(address, whole if is_all else inside, *path)

    def use_search(self, address: str, inside: Rows, *path: str) -> None:
        find = FOUND_BY[self.label]
        terms = list(find(list(inside.values())[-1]))
        for term in terms[:1] if path else terms:
            self.reader.go(address)
            found = self.reader.search(term)
            expected = {key: one for key, one in inside.items() if term in find(one)}
            self.check(found, expected, *path, "search", term)


def lists_of(me: User) -> list[PortalModelAdmin]:
    """Every list that a person may look at, that of reads first. (The list of letter texts has nothing to choose.)"""
    found = test_browser.lists_of(me)
    found.pop("objections_lettertemplate", None)
    return sorted(found.values(), key=lambda admin: admin.opts.label_lower != "ledger.accessrecord")


@pytest.fixture
def more(
    desk: Any, world: Any, officer: User, second_officer: User, engineer: User, product: User,
    client_of: Any,
) -> Any:  # fmt: skip
    """What the pages' own world lacks: lists of several pages, a colleague who left, an outcome that came back, use."""
    for number, code in enumerate(["FR", "FR", "SE", "GB", "US"]):
        row = factories.objection(f"acc-{10 + number}", country=code, purposes=["safety"])
        acts.assign.do(ticket=row, officer=officer, version=row.version or 0, actor=officer)
    leaver = User.objects.create_user("lena", is_staff=True)
    leaver.groups.set(officer.groups.all())
    row = factories.objection("acc-16", country="DE")
    acts.assign.do(ticket=row, officer=leaver, version=row.version or 0, actor=officer)
    leaver.is_active = False
    leaver.save()
    back = factories.confirmed(factories.objection("acc-17"), officer)
    proposal = acts.withdraw.do(
        ticket=back, evidence=factories.EVIDENCE, version=back.version or 0, actor=officer
    )
    back.refresh_from_db()
    acts.review.do(
        ticket=proposal.ticket, verdict="returned", version=back.version or 0, actor=second_officer,
        reason="The evidence is not attached.",
    )  # fmt: skip
    for number in range(18, 20):
        factories.uphold(factories.objection(f"acc-{number}", country="FR"), officer)
    factories.decide("new-account", "deny", actor=officer)
    factories.register(officer, purpose="safety")
    factories.live(world.manifest.run, engineer, officer, second_officer, product)
    other = factories.freeze(engineer).run
    for _ in range(2):
        child = factories.register(engineer, purpose="safety", parent=other)
        assessments.write(run=child, actor=engineer, **factories.ASSESSMENT)
    factories.assess(
        factories.register(engineer, purpose="safety", parent=other), engineer, officer
    )
    factories.deliver(other, engineer, form="set")
    requesting.request(run=other, actor=engineer)
    # A list of reads has several of them.
    for name in ("consent_member", "consent_decision", "objections_ticket"):
        client_of(officer).get(reverse(f"admin:{name}_changelist"))
    return desk


def test_every_control_of_every_list_shows_what_it_says(
    more: Any,
    visit: Any,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    used: Counter[str] = Counter()
    seen: set[str] = set()
    # Each look at the others adds to the list of reads, so it is the first.
    for role in ("auditor", "officer", "administrator", "engineer", "stranger"):
        me = request.getfixturevalue(role)
        reader = Reader(visit(me))
        for admin in lists_of(me):
            walk = Walk(reader, admin, me)
            count = admin.model._default_manager.count()
            monkeypatch.setattr(type(admin), "list_per_page", max(2, count // 2))
            use_list(walk, is_known=walk.label in seen)
            if walk.label != "objections.ticket" or role == "officer":
                seen.add(walk.label)
        use_start_page(reader)
        used += reader.used
    # A walk that finds nothing would pass.
    least = {"list": 45, "page": 150, "option": 100, "pair": 30, "sort": 60, "show all": 15, "tab": 11,
             "box": 12, "search": 25, "typed": 12, "file": 15, "start page": 10}  # fmt: skip
    assert {kind: used[kind] for kind in least if used[kind] < least[kind]} == {}
    assert len(seen) > 24


def use_list(walk: Walk, *, is_known: bool) -> None:
    """Use all controls of a list, or a few where another role has the same list."""
    shown = walk.reader.go(walk.address)
    walk.reader.used["list"] += 1
    check_titles(walk, shown)
    rows = walk.rows()
    listed = walk.listed(rows)
    if shown["tabs"]:
        # "Mine" is an officer's.
        if walk.me.has_perm("objections.work_ticket"):
            use_tabs(walk, shown)
        else:
            walk.check(
                shown, {key: one for key, one in rows.items() if is_in_tab(one, "Open", walk.me)}
            )
            walk.use_file(shown)
    elif is_known:
        walk.check(shown, listed)
        walk.use_file(shown)
    else:
        walk.use_all(shown, rows, listed)
        walk.use_pairs(shown, rows, listed)
        walk.use_forms(walk.address, rows, listed)
        if walk.label == "ledger.entry":
            use_typed(walk, rows)
        if walk.label == "ledger.accessrecord":
            walk.use_file(walk.reader.look(shown["filters"]["kind"][-1][1]))
            walk.use_file(walk.reader.look(walk.address))


def check_titles(walk: Walk, shown: Any) -> None:
    """Each filter that is declared is on the page, and the other way round."""
    assert not walk.admin.search_fields or walk.label in FOUND_BY
    on_page = {*shown["filters"], *shown["boxes"]}
    typed = {
        one.title
        for one in walk.admin.list_filter
        if isinstance(one, type) and issubclass(one, FormFilter)
    }
    tabs = {"part of the queue"} if shown["tabs"] else set()
    assert on_page == {*walk.titles} - typed - tabs, walk.label


def use_tabs(walk: Walk, shown: Any) -> None:
    rows = walk.rows()
    for words, address in shown["tabs"]:
        tab = re.sub(r" \d+$", "", words)
        inside = {key: row for key, row in rows.items() if is_in_tab(row, tab, walk.me)}
        part = walk.reader.look(address)
        walk.reader.used["tab"] += 1
        walk.check(part, inside, tab)
        counted = re.search(r"\d+$", words)
        assert counted is None or int(counted[0]) == len(inside), tab
        if tab == "Open":
            walk.use_all(part, inside, inside, tab)
        if tab == "Closed":
            walk.use_pairs(part, inside, inside, tab)
        walk.use_forms(address, inside, inside, tab)


TYPED: dict[str, Callable[[Any], tuple[str, Callable[[Any], bool]]]] = {
    "kind": lambda row: (row.kind, lambda one: one.kind == row.kind),
    "by": lambda row: (
        "the system itself" if row.actor is None else "a person or service account",
        lambda one: (one.actor is None) == (row.actor is None),
    ),
    "actor": lambda row: (row.actor_name, lambda one: one.actor_name == row.actor_name),
    "subject": lambda row: (row.subject, lambda one: one.subject == row.subject),
    "words": lambda row: (row.reason, lambda one: one.reason == row.reason),
    "first": lambda row: (
        f"{row.recorded_at:%Y-%m-%d}",
        lambda one: one.recorded_at.date() >= row.recorded_at.date(),
    ),
    "last": lambda row: (
        f"{row.recorded_at:%Y-%m-%d}",
        lambda one: one.recorded_at.date() <= row.recorded_at.date(),
    ),
}
"""By field of the form above the ledger: what is typed to find a row, and what else it finds."""


def use_typed(walk: Walk, rows: Rows) -> None:
    """Every field of the form above the ledger, alone and with another one that is filled in already."""
    reader, page = walk.reader, walk.reader.page
    (form,) = walk.admin.list_filter
    # `about` is a question to every app; its answers are tested with the list.
    assert {*form.form_class.declared_fields} == {*TYPED, "about"}
    first = min(rows.values(), key=lambda row: row.sequence)
    with_words = next(row for row in rows.values() if "evidence" in row.reason)
    for name in TYPED:
        kept = "by" if name != "by" else "last"
        inside = rows
        reader.go(walk.address)
        for field in (name, kept):
            value, is_like_it = (TYPED[field])(with_words if name == "words" else first)
            box = page.locator(f'.list-form [name="{field}"]')
            if box.evaluate("one => one.tagName") == "SELECT":
                box.select_option(label=value)
            else:
                box.fill(value)
            with page.expect_navigation():
                page.get_by_role("button", name="Show", exact=True).click()
            inside = {key: row for key, row in inside.items() if is_like_it(row)}
            shown = reader.look()
            walk.check(shown, inside, "typed", name, field)
            reader.used["typed"] += 1
        walk.use_file(shown, name)
        ((_, everything),) = shown["out"]
        assert len(reader.keys(reader.look(everything))) == len(rows)


def use_start_page(reader: Reader) -> None:
    """Every link of the start page opens, and a line that counts leads to so many rows."""
    reader.go(reader.visitor.address + reverse("admin:index"))
    links = reader.page.locator(".panels a").evaluate_all(
        "links => links.map(one => [one.textContent.trim(), one.href])"
    )
    for words, address in links:
        shown = reader.look(address)
        counted = re.fullmatch(r"[A-Za-z -]+: ([\d,]+)", words)
        if counted and shown["total"]:
            assert len(reader.keys(shown)) == int(counted[1].replace(",", "")), words
            reader.used["start page"] += 1


def test_each_choice_of_the_figures_counts_its_tickets_and_each_file_has_the_rows_of_the_page(
    officer: User, visit: Any
) -> None:
    factories.add_members(5)
    long_ago = timezone.now() - dt.timedelta(days=40)
    for number, (code, purpose, at) in enumerate(
        [("GB", "safety", long_ago), ("DE", "generative-ai", long_ago), ("GB", "generative-ai", None),
         ("DE", "safety", None), ("US", "generative-ai", None)]
    ):  # fmt: skip
        factories.objection(f"acc-{number}", country=code, purposes=[purpose], received_at=at)
    reader = Reader(visit(officer))
    page, address = reader.page, reader.visitor.address + reverse("admin:objections_figures")
    page.goto(address)
    tickets = Ticket.objects.filter(state__isnull=False)
    day = timezone.localdate() - dt.timedelta(days=20)
    choices: list[tuple[str, str, Any]] = [
        ("purpose", "Generative AI", tickets.filter(objections__purpose="generative-ai")),
        ("regime", "United Kingdom (UK GDPR)", tickets.filter(regime="uk")),
        ("first", f"{day}", tickets.filter(received_at__date__gte=day)),
        ("last", f"{day}", tickets.filter(received_at__date__lte=day)),
    ]
    for name, value, expected in choices:
        page.goto(address)
        box = page.locator(f'.figures-filter [name="{name}"]')
        if box.evaluate("one => one.tagName") == "SELECT":
            box.select_option(label=value)
        else:
            box.fill(value)
        with page.expect_navigation():
            page.get_by_role("button", name="Show", exact=True).click()
        files = page.locator(".figure p.more a").evaluate_all("links => links.map(one => one.href)")
        weeks = reader.file(files[0])
        assert sum(int(line["Received"]) for line in weeks) == expected.distinct().count(), name
        reader.used["figure"] += 1
    for number, file in enumerate(files):
        rows = page.locator(".figure").nth(number).locator("tbody tr").count()
        assert len(reader.file(file)) == rows
        reader.used["figure"] += 1


def test_select_all_of_several_pages_acts_on_what_the_list_is_narrowed_to_and_on_nothing_else(
    officer: User, visit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TicketAdmin, "list_per_page", 2)
    factories.add_members(7)
    given = ["FR", "DE", "FR", "FR", "FR", "GB", "FR"]
    tickets = [factories.objection(f"acc-{i}", country=code) for i, code in enumerate(given)]
    factories.uphold(tickets[0], officer)
    visitor: Visitor = visit(officer)
    page = visitor.open("admin:objections_ticket_changelist")
    page.get_by_label("Country", exact=True).select_option(label="France")
    page.get_by_role("button", name="Show", exact=True).click()

    page.get_by_role("link", name=tickets[3].reference).click()
    page.locator(".breadcrumbs").get_by_role("link", name="Objection tickets").click()
    assert "country=FR" in page.url

    page.get_by_label("Select all objects on this page").check()
    page.get_by_role("button", name="Select all 4").click()
    page.get_by_label("Action:").select_option("take")
    page.get_by_role("button", name="Go").click()
    expect(page.get_by_role("heading", name="4 tickets: what will happen")).to_be_visible()
    assert not Ticket.objects.filter(assignee=officer, closed_at=None).exists()
    page.locator(".submit-row input[type=submit]").click()

    expect(page.locator(".messagelist")).to_contain_text("4")
    taken = Ticket.objects.filter(assignee=officer, closed_at=None)
    assert {row.pk for row in taken} == {tickets[i].pk for i in (2, 3, 4, 6)}


def test_an_action_on_ticked_rows_acts_on_those(
    officer: User, engineer: User, second_officer: User, visit: Any
) -> None:
    factories.open_world(officer, second_officer)
    factories.add_members(3)
    manifests = [factories.freeze(engineer) for _ in range(3)]
    visitor: Visitor = visit(officer)
    page = visitor.open("admin:training_runs_run_changelist")

    for manifest in manifests[:2]:
        page.get_by_role("row", name=manifest.run.reference).get_by_role("checkbox").check()
    page.get_by_label("Action:").select_option("verify_again")
    page.get_by_role("button", name="Go").click()

    expect(page.locator(".messagelist")).to_contain_text("Verifications queued: 2.")
    asked = Entry.objects.filter(kind="verification.requested").values_list("subject", flat=True)
    assert sorted(asked) == sorted(one.run.reference for one in manifests[:2])
