"""Small worlds for tests: members, rules in force, runs. All through the services, so all of it is in the ledger."""

import datetime as dt
import itertools
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from django.contrib.auth.models import Group, User
from django.test import override_settings
from django.utils import timezone
from pyroaring import BitMap

from common.files import made_files
from common.identity.roles import ML_ENGINEER
from consent import countries, members
from consent import decisions as consent
from consent.choices import DataCategory, Purpose, ReviewVerdict, RuleKind
from consent.members import Facts
from consent.models import AccountReference, AgeRule, Member, Notice, NoticeDelivery, RegionRule
from consent.references import key_of
from consent.rulebook import notices, proposing
from deliveries import recipients, trained_models
from deliveries.api.serializers import DeliveryOutput
from deliveries.errors import DigestMismatch
from deliveries.lineage import accepting as lineage
from deliveries.lineage import events
from deliveries.made import account_map, making, requesting
from deliveries.models import DataSet, Delivery, Receipt, RecipientTold
from deliveries.receipts import accepting, completing, keys, waivers
from deliveries.use import acknowledging, starting
from ledger import bulk, entries, registry
from ledger.references import next_reference
from ledger.registry import EntryKind
from objections import acts
from objections.choices import ChangeVerdict as Word
from objections.choices import Outcome
from objections.intake import receiving
from objections.letters import composing, outbox
from objections.letters.texts import Text
from objections.models import (
    Attachment,
    Letter,
    LetterTemplate,
    Proposal,
    ProposedChange,
    Ticket,
)
from tools.receipts import Runner, statement
from tools.receipts import file as receipt_file
from training_runs import teams
from training_runs.downloads import withdrawn
from training_runs.incidents import archive as incident_archive
from training_runs.incidents import cases, finding
from training_runs.manifests import archives
from training_runs.models import Incident, Manifest, Run, Team, WithdrawnAnswer
from training_runs.querysets import teams_of
from training_runs.runs import assessments, freezing, verifying
from training_runs.runs import registering as runs

registry.declare(EntryKind("test.members", "Members of a test created"))

ADULT = dt.date(1990, 1, 1)
LONG_AGO = dt.date(2024, 9, 18)
NOTICE_PERIOD = dt.timedelta(days=30)
TEXTS = {"en": "We train models with your posts. You may say no.", "de": "Wir trainieren Modelle."}
_numbers = itertools.count(1)


def person(username: str, role: str | None = None) -> User:
    """A member of staff."""
    user = User.objects.create_user(username, password="correct horse battery", is_staff=True)  # noqa: S106  in tests
    if role:
        user.groups.add(Group.objects.get(name=role))
    if role == ML_ENGINEER:
        teams.create(name=f"team-of-{username}", responsible=user, actor="test")
    return user


def add_member(
    account_ref: str,
    country: str = "US",
    adult_on: dt.date | None = ADULT,
    status: str = "open",
    adult_at: int = 18,
) -> int:
    """A member; returns the number."""
    with entries.entry("test.members", actor="test"):
        return members.create([(account_ref, Facts(country, "", adult_on, status, adult_at))])[0]


def add_members(count: int, country: str = "US", prefix: str = "acc") -> list[int]:
    """`count` eligible members, `acc-0` and so on."""
    with entries.entry("test.members", actor="test"):
        numbers = members.create(
            [(f"{prefix}-{i}", Facts(country, "", ADULT, "open")) for i in range(count)]
        )
    if count >= 10_000:
        # As at the end of an import: an earlier test left the database figures of nearly empty tables, by which a
        # freeze would join the members row by row.
        bulk.vacuum(Member, Member.history.model, AccountReference)
    return numbers


def allow(
    proposer: Any,
    approver: Any,
    *,
    purposes: Iterable[str] = Purpose.values,
    codes: Iterable[str] = ("ALL",),
    rule: str = RuleKind.DEFAULT_ON,
    effective_from: dt.date = LONG_AGO,
) -> list[RegionRule]:
    """A rule that lets members in, approved."""
    rows = []
    for purpose in purposes:
        row = proposing.propose_rule(
            purpose=purpose,
            countries=countries.expand(codes),
            rule=rule,
            effective_from=effective_from,
            source="test",
            actor=proposer,
        )
        if row.needs_approval:
            proposing.review(
                proposal=row, verdict=ReviewVerdict.APPROVED, actor=approver, reason="test"
            )
        rows.append(row)
    return rows


def publish(
    proposer: Any,
    approver: Any,
    *,
    codes: Iterable[str] = ("ALL",),
    categories: Iterable[str] = DataCategory.values,
    in_force_from: dt.date = LONG_AGO,
    version: str = "",
    supersedes: Notice | None = None,
) -> Notice:
    """A notice in force, approved, for every purpose."""
    row = proposing.propose_notice(
        version=version or f"test-{next(_numbers)}",
        purposes=Purpose.values,
        data_categories=list(categories),
        countries=countries.expand(codes),
        published_on=min(LONG_AGO, in_force_from - NOTICE_PERIOD),
        in_force_from=in_force_from,
        texts=TEXTS,
        source="test",
        supersedes=supersedes,
        actor=proposer,
    )
    proposing.review(proposal=row, verdict=ReviewVerdict.APPROVED, actor=approver, reason="test")
    return row


def ask_age(
    proposer: Any,
    age: int = 19,
    *,
    codes: Iterable[str] = ("KR",),
    effective_from: dt.date = LONG_AGO,
    approver: Any = None,
) -> AgeRule:
    """The age that countries ask for; approved, if there is an approver and the row needs it."""
    row = proposing.propose_age(
        countries=list(codes),
        age=age,
        effective_from=effective_from,
        source="Civil Act of Korea, Art. 4",
        actor=proposer,
    )
    if approver and row.needs_approval:
        proposing.review(
            proposal=row, verdict=ReviewVerdict.APPROVED, actor=approver, reason="test"
        )
    return row


def notice_period(days: int, proposer: Any, approver: Any, since: dt.date = LONG_AGO) -> None:
    """Days that must lie between the publication of a notice and its force, everywhere."""
    row = proposing.propose_policy(
        kind="notice-days", value=days, effective_from=since, source="test", actor=proposer
    )
    if row.needs_approval:
        proposing.review(
            proposal=row, verdict=ReviewVerdict.APPROVED, actor=approver, reason="test"
        )


def evidence_of(notice: Notice, officer: Any, **other: Any) -> NoticeDelivery:
    """A delivery of the notice by e-mail."""
    facts = {
        "channel": "e-mail",
        "countries": ["US"],
        "delivered_from": LONG_AGO,
        "delivered_until": LONG_AGO,
        "recipients": 1_000,
        "source": "send log 17",
    }
    return notices.record_delivery(notice=notice, actor=officer, **{**facts, **other})


def open_world(proposer: Any, approver: Any) -> None:
    """Every purpose is default-on everywhere under a notice."""
    allow(proposer, approver)
    publish(proposer, approver)


def decide(
    account_ref: str, choice: str, *, actor: Any, at: dt.datetime | None = None, **more: Any
) -> Any:
    """Record one decision on generative AI; an *allow* under the newest notice, unless another is named."""
    if choice == "allow" and "notice_version" not in more:
        newest = Notice.objects.order_by("id").last()
        more["notice_version"] = newest.version if newest else ""
    return consent.record_decision(
        consent.DecisionInput(
            account_ref=account_ref,
            purpose=more.pop("purpose", Purpose.GENERATIVE_AI),
            choice=choice,
            channel=more.pop("channel", "product"),
            source_id=more.pop("source_id", f"test-{next(_numbers)}"),
            decided_at=at or timezone.now(),
            **more,
        ),
        actor=actor,
    )


def register(owner: Any, *, purpose: str = Purpose.GENERATIVE_AI, parent: Run | None = None) -> Run:
    return runs.register(
        tracker_run_id=f"tracker-{next(_numbers)}",
        purpose=purpose,
        data_categories=[DataCategory.POSTS],
        actor=owner,
        team=_team_of(owner),
        parent=parent,
    )[0]


ASSESSMENT = {
    "link": "Both purposes make the same feed more useful to the members whose data it is.",
    "context": "Members wrote the posts for the network, which recommends posts as it always has.",
    "nature": "Posts that their authors made public; special categories may be among them.",
    "consequences": "Other posts are recommended; nothing is decided about a member.",
    "safeguards": "Redacted as for the first purpose; members who object are left out.",
}


def assess(run: Run, owner: Any, officer: Any) -> None:
    """The run's compatibility assessment, written by its team and approved."""
    row, _ = assessments.write(run=run, actor=owner, **ASSESSMENT)
    assessments.review(assessment=row, verdict=ReviewVerdict.APPROVED, reason="test", actor=officer)


def _team_of(person: Any) -> Team:
    """The person's only team; one is made for a person who has none."""
    own = Team.objects.filter(pk__in=teams_of(person)).first()
    name = f"team-of-{person.username}"
    return own or teams.create(name=name, responsible=person, actor="test")


def freeze(owner: Any, *, verified: bool = True, **facts: Any) -> Manifest:
    """A run registered, started and frozen. Needs a test with real transactions."""
    # Objections of its world may reach no account.
    run = runs.start(run=register(owner, **facts), actor=owner, accept_unmatched=True)
    manifest = freezing.freeze(run.pk)
    assert manifest is not None
    if verified:
        assert verifying.verify(manifest).agreement == "agrees"
    return manifest


# --- Objections ---------------------------------------------------------------------------------

# Words that the law requires, as an officer might write them.
REFUSAL = {
    "ground": "Without this training, false accounts that defraud members would go unseen.",
    "balancing": "We weighed that against what you told us, and found no special situation in it.",
    "reasons": "The fraud is serious, the data is public, and no milder way finds such accounts.",
}
IDENTITY = {
    "doubt": "You wrote from an address that the account you named does not have.",
    "question": "Please write to us from the address that the account has; that is enough.",
}
EVIDENCE = "An e-mail of 3 March from the same address says so in plain words."
MORE_TIME = "You name five systems and ten years of posts, and we look through all of them."


def objection(
    account_ref: str = "",
    *,
    is_vouched: bool = True,
    purposes: Iterable[str] = (Purpose.GENERATIVE_AI,),
    actor: Any = "test",
    **more: Any,
) -> Ticket:
    """An objection as the product files it for a logged-in member, or (not vouched for) from the public form."""
    if account_ref and not is_vouched:
        more["account_ref"] = account_ref
    elif account_ref:
        found = AccountReference.objects.select_related("member")
        reference = found.get(account_key=key_of(account_ref))
        more = {"channel": "product", "member": reference.member, **more}
    return receiving.receive(
        receiving.Filing(
            **{
                "purposes": list(purposes),
                "channel": "form",
                "email": f"person-{next(_numbers)}@example.org",
                **more,
            }
        ),
        actor=actor,
    )


def confirmed(ticket: Ticket, officer: Any) -> Ticket:
    """The ticket, its address known to be the person's."""
    ticket.refresh_from_db()
    if composing.is_proven(ticket):
        return ticket
    return acts.confirm_address.do(
        ticket=ticket, reason="test", version=ticket.version or 0, actor=officer
    )


def reviewed(ticket: Ticket, officer: Any) -> Ticket:
    """The ticket in review."""
    ticket.refresh_from_db()
    return acts.begin_review.do(ticket=ticket, version=ticket.version or 0, actor=officer)


def uphold(ticket: Ticket, officer: Any) -> Ticket:
    """Upheld for everything the ticket names; the letter waits."""
    ticket = reviewed(ticket, officer)
    outcomes = {one.purpose: Outcome.UPHELD for one in ticket.objections.all()}
    acts.decide.do(ticket=ticket, outcomes=outcomes, version=ticket.version or 0, actor=officer)
    ticket.refresh_from_db()
    return ticket


def withdraw(ticket: Ticket, officer: Any, second_officer: Any) -> Ticket:
    """Withdrawn and approved; the letter waits, and so does its effect."""
    ticket = confirmed(ticket, officer)
    proposal = acts.withdraw.do(
        ticket=ticket, evidence=EVIDENCE, version=ticket.version or 0, actor=officer
    )
    return approve(proposal, second_officer)


def approve(proposal: Proposal, second_officer: Any) -> Ticket:
    version = Ticket.objects.get(pk=proposal.ticket_id).version or 0
    return acts.review.do(
        ticket=proposal.ticket,
        verdict=Word.APPROVED,
        version=version,
        actor=second_officer,
        reason="test",
    )


# --- As an officer who looks at the ticket now ---------------------------------------------------


def _seen(ticket: Ticket) -> int:
    return Ticket.objects.get(pk=ticket.pk).version or 0


def note(*, ticket: Ticket, text: str, actor: Any) -> None:
    acts.note.do(ticket=ticket, text=text, version=_seen(ticket), actor=actor)


def attach(*, ticket: Ticket, files: Any, actor: Any) -> list[Attachment]:
    return acts.attach.do(ticket=ticket, files=files, version=_seen(ticket), actor=actor)


def release(*, ticket: Ticket, actor: Any) -> Ticket:
    return acts.release.do(ticket=ticket, version=_seen(ticket), actor=actor)


def propose_erasure(*, ticket: Ticket, reason: str, actor: Any) -> ProposedChange:
    return acts.erase.do(ticket=ticket, reason=reason, version=_seen(ticket), actor=actor)


def review_erasure(*, ticket: Ticket, verdict: Word, reason: str, actor: Any) -> Ticket:
    return acts.review_erasure.do(
        ticket=ticket, verdict=verdict, version=_seen(ticket), actor=actor, reason=reason
    )


def erase_words(ticket: Ticket, officer: Any, second_officer: Any) -> Ticket:
    """The personal data of a decided ticket, erased by two people as if it had been kept long enough."""
    with override_settings(OBJECTION_RETENTION_DAYS=0):
        propose_erasure(ticket=ticket, actor=officer, reason="test")
        return review_erasure(
            ticket=ticket, verdict=Word.APPROVED, actor=second_officer, reason="test"
        )


def put_into_use(
    kind: str,
    text: Text,
    officer: Any,
    second_officer: Any,
    *,
    version: int = 0,
    reason: str = "test",
) -> LetterTemplate:
    """A text of letters that one officer proposed and a second one approved."""
    change = composing.propose_text(
        kind=kind, text=text, version=version, actor=officer, reason=reason
    )
    row = composing.review_text(
        change=change, verdict=Word.APPROVED, actor=second_officer, reason=reason
    )
    assert row is not None
    return row


def send_letters(ticket: Ticket) -> list[Letter]:
    """Every waiting letter of the ticket leaves, through the mail backend."""
    waiting = ticket.letters.waiting().order_by("pk").values_list("pk", flat=True)
    return [sent for pk in list(waiting) if (sent := outbox.send(pk))]


def download(client: Any, address: str, **headers: str) -> Any:
    """The answer with a made file: asked for, made as a worker would, asked for again."""
    answer = client.get(address, headers=headers)
    if answer.status_code == 202:
        made_files.make_due()
        answer = client.get(answer["Location"], headers=headers)
    return answer


# --- Deliveries ---------------------------------------------------------------------------------


def deliver(run: Run, person: Any, **facts: Any) -> Delivery:
    """A delivery of a frozen run, requested and made."""
    delivery, _ = requesting.request(run=run, actor=person, **facts)
    return made(delivery)


def made(delivery: Delivery) -> Delivery:
    """A requested delivery, made as a worker would."""
    found = making.make(delivery.pk)
    assert found is not None, Delivery.objects.get(pk=delivery.pk).end_reason
    return found


def training(run: Run, person: Any) -> Delivery:
    """A frozen run in training, on a delivery of its own."""
    delivery = deliver(run, person)
    starting.begin(run=run, actor=person)
    run.refresh_from_db()
    return delivery


def registered_runner(person: Any) -> Runner:
    """A runner whose key the person has registered."""
    runner = Runner()
    keys.register(user=person, **runner.answer(keys.challenge_for(person)))
    return runner


def receipt_of(runner: Runner, delivery: Delivery, **changed: Any) -> dict[str, Any]:
    """An envelope about a preparation of the delivery, as a runner sends it: ten rows in, eight kept."""
    said = {**DeliveryOutput(delivery).data}
    run = {
        "reference": delivery.run.reference,
        "purpose": delivery.run.purpose,
        "data_categories": delivery.run.data_categories,
    }
    content = f"clean posts {next(_numbers)}".encode()
    moment = timezone.now().isoformat().replace("+00:00", "Z")
    outputs = changed.pop("outputs", [receipt_file("clean/posts.parquet", content, 8)])
    body = statement(
        run,
        said,
        inputs=[receipt_file("raw/posts.parquet", b"raw posts", 10)],
        outputs=outputs,
        dropped={"unknown_member": 1, "excluded": 1},
        started_at=moment,
        ended_at=moment,
    )
    for path, value in changed.items():
        place = body["predicate"]
        *parents, last = path.split("__")
        for name in parents:
            place = place[name]
        place[last] = value
    return runner.sign(body)


def send_receipt(runner: Runner, delivery: Delivery, person: Any, **changed: Any) -> Receipt:
    """The kept receipt of a preparation."""
    sent = receipt_of(runner, delivery, **changed)
    run = Run.objects.get(pk=delivery.run_id)
    return accepting.accept(run=run, sent=sent, actor=person)[0]


def complete(run: Run, person: Any) -> Run:
    """A frozen run, delivered, trained and completed on a receipt."""
    delivery = training(run, person)
    send_receipt(registered_runner(person), delivery, person)
    run.refresh_from_db()
    return completing.complete(run=run, actor=person)


def use_of(run: Run, person: Any, officer: Any) -> None:
    """A model of the run, its data set handed to an affiliate, and the affiliate told of a person."""
    model = trained_models.record(name="model", title="Model", actor=person)
    trained_models.add_run(model=model, run=run, actor=person)
    affiliate = recipients.record(
        actor="test", name="affiliate", title="Affiliate Ltd", kind="affiliate", country="IE"
    )
    data_set = DataSet.objects.filter(receipt__run=run).latest("pk")
    recipients.hand_over(
        data_set=data_set, recipient=affiliate, given_on=timezone.now().date(), actor=person
    )
    with entries.entry("recipient.told", actor=officer, subject="test"):
        RecipientTold(
            subject="test",
            recipient=affiliate,
            how="test",
            told_on=timezone.now().date(),
            told_at=timezone.now(),
        ).save()


def live(run: Run, engineer: Any, officer: Any, second_officer: Any, product: Any) -> None:
    """Everything that can happen to a frozen run from its delivery on, and a policy."""
    delivery = training(run, engineer)
    runner = registered_runner(engineer)
    with suppress(DigestMismatch):
        send_receipt(runner, delivery, engineer, manifest="0" * 64)
    withdrawn.first(run.manifest, engineer, 50)
    answer = WithdrawnAnswer.objects.get(run=run)
    acknowledging.acknowledge(run=run, actor=engineer, digest=answer.digest)
    send_receipt(runner, delivery, engineer)
    run.refresh_from_db()
    waivers.ask(run=run, reasons="There is no receipt of this run.", actor=engineer)
    lineage.keep(
        events.read(
            b'{"eventTime": "2026-11-01T10:00:00Z", "job": {"namespace": "a", "name": "b"}}'
        ),
        actor=engineer,
    )
    use_of(run, engineer, officer)
    account_map.request(actor=engineer)
    account_map.make_due()
    completing.complete(run=run, actor=engineer)
    ask_age(officer)
    ended = publish(officer, second_officer, codes=["AQ"])
    evidence_of(ended, officer)
    notices.withdraw(notice=ended, withdrawn_from=LONG_AGO, source="test", actor=officer)
    policy = proposing.propose_policy(
        kind="lease-days", value=60, effective_from=LONG_AGO, source="test", actor=officer
    )
    proposing.review(
        proposal=policy, verdict=ReviewVerdict.APPROVED, actor=second_officer, reason="test"
    )


def incident(
    run: Run, *, numbers: Iterable[int] = (1,), reason: str = "opted_out", **facts: Any
) -> Incident:
    """An incident of a run, recorded as the finder does, whatever the ledger says."""
    members = BitMap(numbers)
    data = incident_archive.build({"run": run.reference, "cause": 1}, {reason: members})
    with entries.entry("incident.found", actor="test", subject=run.reference) as opened:
        row = Incident(
            reference=next_reference("INC", opened.recorded_at.year),
            run=run,
            cause=opened.sequence,
            reasons={reason: len(members)},
            members=len(members),
            digest=archives.store(data),
            found_at=opened.recorded_at,
            **facts,
        )
        row.save()
    return row


def assessed(incident: Incident, officer: User, second_officer: User, **facts: Any) -> Incident:
    """An incident that two privacy officers have assessed."""
    said = {
        "measures": ["subtracted"],
        "tell_authority": False,
        "tell_members": False,
        "reasons": "The data was not used.",
    }
    assessment = cases.assess(incident=incident, actor=officer, **{**said, **facts})
    cases.review(
        assessment=assessment, verdict=ReviewVerdict.APPROVED, reason="test", actor=second_officer
    )
    incident.refresh_from_db()
    return incident


def late(run: Run) -> list[Incident]:
    """The incident of a *no* that was decided before a run was frozen, and reaches us now."""
    before = run.manifest.frozen_at - dt.timedelta(days=1)
    number = freezing.load(run.manifest).included.max()
    account = AccountReference.objects.get(member=number).account_key
    decide(account, "deny", actor="test", at=before)
    return finding.look()
