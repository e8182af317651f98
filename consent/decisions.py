"""Recording what members decide: one at a time, or thousands in one entry."""

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.models import User

from consent import heirs, members
from consent.accounts import check_account_ref, not_yours
from consent.choices import PURPOSES, Channel, Choice, Control, Purpose, Status
from consent.counting import Counted, Receipt, counted
from consent.errors import (
    AccountErased,
    RuledByObjection,
    SourceIdReused,
)
from consent.models import (
    AccountChange,
    Consent,
    Decision,
    Member,
)
from consent.references import key_of
from consent.rulebook.proposing import VERSION
from ledger import canonical, clock, entries, open_entry
from ledger.errors import ClocksDisagree, InvalidInput, Refusal

Place = tuple[int, str]
"""A member's number and a purpose: there is one choice for each."""


@dataclass(frozen=True, slots=True)
class DecisionInput:
    """A decision as it was sent. Raises InvalidInput or RuledByObjection when it can mean nothing.

    No time makes it invalid: an opt-out that is refused is lost. `consent.counting` says when it counts.
    """

    account_ref: str
    purpose: str
    choice: str
    channel: str
    source_id: str
    decided_at: dt.datetime | None
    """None: the moment of receipt."""
    notice_version: str = ""
    privacy_signal: bool | None = None
    header_signal: bool | None = None
    """`Sec-GPC` of the request that carried it: kept beside the message, no part of it."""

    def __post_init__(self) -> None:
        # From here on it is the key: what is sent again in another spelling is a replay.
        object.__setattr__(self, "account_ref", key_of(self.account_ref))
        check_account_ref(self.account_ref)
        if not self.source_id or not self.source_id.isprintable() or len(self.source_id) > 100:
            raise InvalidInput("1 to 100 printable characters.", field="source_id")
        if self._repeats_reference():
            raise InvalidInput(
                "It repeats the account_ref, and is kept for good: name the event, not the account.",
                field="source_id",
            )
        if self.notice_version and not VERSION.match(self.notice_version):
            raise InvalidInput(
                "1 to 40 letters, digits, dots, dashes and underlines.", field="notice_version"
            )
        for field, value, known in (
            ("purpose", self.purpose, Purpose.values),
            ("choice", self.choice, Choice.values),
            ("channel", self.channel, [one for one in Channel.values if one != Channel.INHERITED]),
        ):
            if value not in known:
                raise InvalidInput(f"One of {', '.join(known)}.", field=field, code="unknown_word")
        if PURPOSES[self.purpose].control != Control.SETTING:
            raise RuledByObjection(
                f"{self.purpose} is ruled by objection, not by a setting: file an objection."
            )
        if self.channel == Channel.SIGNAL and self.choice != Choice.DENY:
            raise InvalidInput("A privacy signal can only deny.", field="choice")

    def _repeats_reference(self) -> bool:
        """Whether an erasure would leave the reference behind, in the source id."""
        # A number of ours for staff holds one by chance.
        return self.channel != Channel.STAFF and repeats(self.account_ref, self.source_id)

    @property
    def key(self) -> tuple[str, str]:
        return (self.channel, self.source_id)

    @property
    def digest(self) -> str:
        """Over the body alone: a retry is the same message, whichever way and with whatever headers it comes.

        Keyed: references cannot be tried against it after an erasure without the key.
        """
        body = {name: getattr(self, name) for name in self.__slots__ if name != "header_signal"}
        return members.keyed_hash("decision", canonical.dumps(body))

    @property
    def signal_received(self) -> bool | None:
        """The privacy signal: what the body says, else the header."""
        return self.header_signal if self.privacy_signal is None else self.privacy_signal

    @property
    def evidence_only(self) -> bool:
        """Whether a privacy signal implies *deny* is a policy; its absence is never *allow*."""
        return self.channel == Channel.SIGNAL and not settings.GPC_IMPLIES_DENY


@dataclass(frozen=True, slots=True)
class Recorded:
    """The answer to a decision: the entry that holds it, and what it means now.

    A replay gets the first entry; whether the decision is in force is always said as of now.
    """

    source_id: str
    entry: int
    recorded_at: dt.datetime
    is_replay: bool
    in_force: bool
    """Whether the member's choice for the purpose is now the one that this decision made."""
    account_known: bool = True
    """Whether a file of the product had named the account by then. Where not, the reference may be mistyped."""


def record_decision(
    sent: DecisionInput,
    *,
    actor: open_entry.Actor,
    reason: str = "",
    check: Callable[[], None] = lambda: None,
) -> Recorded:
    """Record a member's choice. Sending the same message twice changes nothing.

    `check` is called under the ledger's lock before anything new is written, and may raise. Raises SourceIdReused,
    AccountErased, or for an *allow* ClocksDisagree.
    """
    (answer,) = record_decisions([sent], actor=actor, reason=reason, check=check)
    if isinstance(answer, Refusal):
        raise answer
    return answer


def record_decisions(
    sent: Sequence[DecisionInput],
    *,
    actor: open_entry.Actor,
    reason: str = "",
    check: Callable[[], None] = lambda: None,
) -> list[Recorded | Refusal]:
    """Record many decisions in one ledger entry; an answer for each, in the same order.

    A member who is not known yet is created with nothing known, hence out: the decision is not lost.
    """
    known = _recorded_before(sent)
    new: dict[tuple[str, str], DecisionInput] = {}
    refused: dict[tuple[str, str], Refusal] = {}
    written: dict[tuple[str, str], Decision] = {}
    chosen: dict[Place, Counted] = {}
    if any(item.key not in known for item in sent):
        kind = "consent.decision" if len(sent) == 1 else "consent.decisions"
        with entries.entry(kind, actor=actor, reason=reason) as opened:
            # Another request may have recorded the same while we waited for the lock.
            known = _recorded_before(sent)
            for item in sent:
                if item.key not in known:
                    new.setdefault(item.key, item)
            if new:
                check()
            if opened.clocks_disagree:
                refused = {
                    key: _clocks_disagree()
                    for key, item in new.items()
                    if item.choice != Choice.DENY
                }
            asked = [item for key, item in new.items() if key not in refused]
            found, unknown = _numbers_of({item.account_ref for item in asked}, actor)
            kept = [item for item in asked if item.account_ref not in unknown]
            refused |= {
                item.key: unknown[item.account_ref] for item in asked if item.account_ref in unknown
            }
            if kept:
                written, chosen = _write_decisions(kept, found, opened)
            else:
                opened.abandon()
    chosen = _chosen({row.member_id for row in known.values()}) | chosen

    def answer(item: DecisionInput) -> Recorded | Refusal:
        row = known.get(item.key) or written.get(item.key)
        if (new[item.key].digest if row is None else row.body_digest) != item.digest:
            return _reused(item)
        if row is None:
            return refused[item.key]
        return Recorded(
            item.source_id,
            row.entry_id,
            row.entry.recorded_at if item.key in known else opened.recorded_at,
            is_replay=new.get(item.key) is not item,
            account_known=row.account_known is not False,
            in_force=not row.evidence_only
            and chosen.get((row.member_id, row.purpose)) == _said(row),
        )

    return [answer(item) for item in sent]


def deny_for_member(*, member: Member, purpose: str, actor: User, reason: str) -> Recorded:
    """Staff record *deny* on a member's behalf. There is no way for staff to record *allow*."""
    if not reason.strip():
        raise InvalidInput("State how the member told us.", field="reason")
    reference = members.reference_of(member)
    if reference is None:
        raise AccountErased("The account was erased; it is out for good already.")
    return record_decision(
        DecisionInput(
            account_ref=reference.account_key,
            purpose=purpose,
            choice=Choice.DENY,
            channel=Channel.STAFF,
            source_id=f"{actor.pk}-{member.pk}-{clock.now():%Y%m%dT%H%M%S%f}",
            decided_at=None,
        ),
        actor=actor,
        reason=reason,
    )


def repeats(account_ref: str, text: str) -> bool:
    """Whether a text that is kept for good holds the reference, in any spelling.

    A short one is in there by chance.
    """
    key = key_of(account_ref).casefold()
    return len(key) >= 8 and key in key_of(text).casefold()


def _reused(item: DecisionInput) -> SourceIdReused:
    return SourceIdReused(
        "This channel and source_id were used for another decision: a new decision needs a new source_id."
    )


def _recorded_before(sent: Iterable[DecisionInput]) -> dict[tuple[str, str], Decision]:
    """The decisions recorded with the same channel and source id, with their entries."""
    by_channel: dict[str, list[str]] = {}
    for item in sent:
        by_channel.setdefault(item.channel, []).append(item.source_id)
    return {
        (row.channel, row.source_id): row
        for channel, source_ids in by_channel.items()
        for row in Decision.objects.filter(
            channel=channel, source_id__in=source_ids
        ).select_related("entry")
    }


def _chosen(numbers: Collection[int]) -> dict[Place, Counted]:
    """The current choices of these members."""
    if not numbers:
        return {}
    return {
        (row.member_id, row.purpose): Counted(row.choice, row.decided_at, row.is_ahead)
        for row in Consent.objects.filter(member__in=numbers)
    }


def _numbers_of(
    keys: set[str], actor: open_entry.Actor
) -> tuple[dict[str, members.Referred], dict[str, Refusal]]:
    """The members behind the keys, creating those not known yet; and why a key is refused."""
    refused: dict[str, Refusal] = {
        key: not_yours()
        for key in keys
        if members.is_test_account(key) and actor != members.CANARY_ACTOR
    }
    found = members.referred(keys - refused.keys())
    missing = keys - refused.keys() - found.keys()
    for key in members.suppressed(missing):
        refused[key] = AccountErased(
            "The account was erased. It stays out, and none of its data is kept."
        )
    unknown = sorted(missing - refused.keys())
    if unknown:
        created = members.create([(key, members.Facts()) for key in unknown], is_confirmed=False)
        found |= {
            key: members.Referred(number, is_confirmed=False)
            for key, number in zip(unknown, created, strict=True)
        }
    return found, refused


def _clocks_disagree() -> ClocksDisagree:
    return ClocksDisagree(
        "Our clocks disagree, so nothing is switched on until they are right. Opt-outs are accepted."
    )


def _said(row: Decision) -> Counted:
    """A recorded decision as it counts: an *allow* counts earlier than it was sent only if it was sent ahead."""
    is_ahead = row.choice == Choice.ALLOW and row.decided_at > row.counts_at
    return Counted(row.choice, row.counts_at, is_ahead)


def _write_decisions(
    kept: Sequence[DecisionInput], found: dict[str, members.Referred], opened: open_entry.OpenEntry
) -> tuple[dict[tuple[str, str], Decision], dict[Place, Counted]]:
    """Append the decisions and move the projection on.

    Returns the rows by (channel, source id), and what their members' choices are now.
    """
    received = Receipt(opened.recorded_at, opened.latest_at)
    counts_at = {item.key: counted(item.choice, item.decided_at, received).at for item in kept}
    rows = {
        item.key: Decision(
            member_id=found[item.account_ref].number,
            purpose=item.purpose,
            choice=item.choice,
            channel=item.channel,
            source_id=item.source_id,
            decided_at=item.decided_at or counts_at[item.key],
            counts_at=counts_at[item.key],
            notice_version=item.notice_version,
            privacy_signal=item.signal_received,
            evidence_only=item.evidence_only,
            body_digest=item.digest,
            account_known=found[item.account_ref].is_confirmed,
        )
        for item in kept
    }
    entries.add(rows.values())
    current = _chosen({one.number for one in found.values()})
    moved = {}
    for row in rows.values():
        place, said = (row.member_id, row.purpose), _said(row)
        if row.evidence_only or not said.takes_over_from(
            current.get(place), received_at=received.at
        ):
            continue
        current[place] = said
        moved[place] = Consent(
            member_id=row.member_id,
            purpose=row.purpose,
            choice=row.choice,
            decided_at=row.counts_at,
            notice_version=row.notice_version,
            is_ahead=said.is_ahead,
        )
    Consent.objects.bulk_create(
        moved.values(),
        update_conflicts=True,
        unique_fields=["member", "purpose"],
        update_fields=["choice", "decided_at", "notice_version", "is_ahead"],
        batch_size=2000,
    )
    refused = sorted({place for place, row in moved.items() if row.choice == Choice.DENY})
    passing = heirs.with_heirs({number for number, _ in refused}) if refused else set()
    for number, purpose in refused:
        if number in passing:
            pass_on(number, purpose, opened)
    return rows, current


def pass_on(number: int, purpose: str, opened: open_entry.OpenEntry) -> None:
    """Let the heirs of an account refuse what it refuses now. Needs the entry open; again it changes nothing.

    A derived *deny* is decided when the account was refused or merged, whichever is later: it takes over from an
    *allow* before that, and gives way to one that the heir's person gives afterwards.
    """
    deny = (
        Decision.objects.filter(
            member=number, purpose=purpose, choice=Choice.DENY, evidence_only=False
        )
        .order_by("-counts_at", "-pk")
        .first()
    )
    if deny is None or not _refuses(number, purpose):
        return
    received = Receipt(opened.recorded_at, opened.latest_at)
    for heir in heirs.heirs_of(number, deny.counts_at):
        source_id = f"{deny.pk}-{heir}"
        known = Decision.objects.filter(channel=Channel.INHERITED, source_id=source_id)
        if known.exists() or Member.objects.filter(pk=heir, status=Status.ERASED).exists():
            continue
        edges = AccountChange.objects.filter(heir=heir).values_list("held_at", flat=True)
        decided_at = max([deny.counts_at, *edges])
        said = counted(Choice.DENY, decided_at, received)
        row = Decision(
            member_id=heir,
            purpose=purpose,
            choice=Choice.DENY,
            channel=Channel.INHERITED,
            source_id=source_id,
            decided_at=decided_at,
            counts_at=said.at,
            body_digest=members.keyed_hash("inherited", source_id.encode()),
            account_known=None,
        )
        entries.add([row])
        before = _chosen({heir}).get((heir, purpose))
        if said.takes_over_from(before, received_at=received.at):
            Consent.objects.update_or_create(
                member_id=heir,
                purpose=purpose,
                defaults={
                    "choice": Choice.DENY,
                    "decided_at": said.at,
                    "notice_version": "",
                    "is_ahead": False,
                },
            )


def _refuses(number: int, purpose: str) -> bool:
    current = _chosen({number}).get((number, purpose))
    return current is not None and current.choice == Choice.DENY
