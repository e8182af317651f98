"""Explaining: why a member is in a run or not, and which runs used a member."""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from consent.choices import CONSENT_BASIS, PURPOSES, Choice, Purpose, RuleKind
from consent.models import Member
from consent.rulebook import days
from consent.rulebook.rules import Book
from ledger import clock
from objections.ticket.exposure import Use
from training_runs.choices import RunState
from training_runs.eligibility.exclusions import (
    BY_CODE,
    UNKNOWN_AT_CUT,
    ask,
    reasons_now,
)
from training_runs.manifests import roaring_lookup
from training_runs.models import Manifest, Run
from training_runs.runs.freezing import parent_manifest


@dataclass(frozen=True)
class Explanation:
    """Why a member is in or out of a run: as frozen, and as it would be now."""

    run: Run
    member: Member
    frozen: list[str] | None
    """Codes that keep the member out in the manifest, empty when in; None without a manifest."""
    now: list[str]
    use_from: dt.date | None = None
    """As frozen: the oldest content of the member that may be used; None for any, or without a manifest."""

    @property
    def sentences(self) -> list[str]:
        said = []
        if self.frozen is not None:
            said.append(
                _sentence(
                    self.frozen, f"was in {self.run.reference}", f"was out of {self.run.reference}"
                )
            )
        said.append(
            _sentence(
                self.now, "would be in a run started now", "would be out of a run started now"
            )
        )
        return said


def _sentence(codes: list[str], included: str, excluded: str) -> str:
    if not codes:
        return f"The member {included}."
    return f"The member {excluded} because {'; and because '.join(BY_CODE[code].sentence for code in codes)}."


def explain(run: Run, member: Member) -> Explanation:
    """Why the member is in or out. A member who joined after the cut is out of the manifest.

    Raises ManifestDamaged, ParentNotUsable.
    """
    manifest = Manifest.objects.filter(run=run).first()
    frozen = None if manifest is None else reasons_in(manifest, member.pk)
    now = reasons_now(ask(run.purpose, days.at(clock.now()), run.data_categories), member.pk)
    parent = parent_manifest(run)
    if parent is not None and not _includes(parent, member.pk):
        now.append("not_in_parent")
    use_from = None if manifest is None else _use_from(manifest, member.pk)
    return Explanation(run, member, frozen, now, use_from)


def reasons_in(manifest: Manifest, number: int) -> list[str]:
    """The codes that keep a member out of a manifest, empty when in. Raises ManifestDamaged, OSError."""
    with roaring_lookup.opened(manifest.digest) as archive:
        if number > manifest.population:
            return [UNKNOWN_AT_CUT.code]
        return archive.reasons(number)


def _use_from(manifest: Manifest, number: int) -> dt.date | None:
    with roaring_lookup.opened(manifest.digest) as archive:
        return archive.use_from(number)


def _includes(manifest: Manifest, number: int) -> bool:
    with roaring_lookup.opened(manifest.digest) as archive:
        return archive.includes(number)


def runs_including(
    number: int, purposes: Collection[str], since: dt.datetime | None = None
) -> list[Manifest]:
    """The manifests for these purposes, frozen after `since`, that a member is in: the newest first, with their runs.

    Without those of cancelled runs, which trained nothing. Raises ManifestDamaged or OSError when one
    cannot be read: then there is no answer.
    """
    manifests = (
        Manifest.objects.filter(run__purpose__in=list(purposes), population__gte=number)
        .exclude(run__state=RunState.CANCELLED)
        .select_related("run")
        .defer("header")
    )
    if since is not None:
        manifests = manifests.filter(frozen_at__gt=since)
    return [manifest for manifest in manifests if _includes(manifest, number)]


def uses_of(number: int, purposes: Collection[str], since: dt.datetime | None) -> list[Use]:
    """The same as the objection desk asks it."""
    return [
        Use(manifest.run.reference, manifest.run.purpose, manifest.frozen_at, manifest.cut)
        for manifest in runs_including(number, purposes, since)
    ]


NO_RULE = "none"


@dataclass(frozen=True)
class Standing:
    """A member's standing for one purpose right now."""

    purpose: str
    choice: str
    """`allow`, `deny`, or `default` when the member never chose."""
    rule: str
    """The rule in the member's country, or NO_RULE."""
    reasons: list[str]

    @property
    def legal_basis(self) -> str | None:
        """The legal basis of the use; None when the member is out."""
        if self.reasons:
            return None
        return CONSENT_BASIS if self.rule == RuleKind.OPT_IN else PURPOSES[self.purpose].legal_basis

    @property
    def sentence(self) -> str:
        """A member on the default is in without having consented: the sentence says so."""
        if self.reasons:
            return _sentence(self.reasons, "", "is out")
        if self.rule == RuleKind.OPT_IN:
            how = "the member has given consent"
        elif self.choice == Choice.ALLOW:
            how = "on by default, and left on by the member, who has not objected"
        else:
            how = "on by default; the member has not consented, and has not objected"
        return f"The member is in: {how} ({self.legal_basis})."


def standing(member: Member) -> list[Standing]:
    """For every purpose: the choice, the rule in the member's country, in or out and why."""
    when = days.at(clock.now())
    book = Book.read()
    chosen = {row.purpose: row.choice for row in member.consents.all()}
    answers = []
    for purpose in Purpose.values:
        question = ask(purpose, when, [], book)
        answers.append(
            Standing(
                purpose=purpose,
                choice=chosen.get(purpose, "default"),
                rule=question.ruling.rule_of.get(member.country, NO_RULE),
                reasons=reasons_now(question, member.pk),
            )
        )
    return answers
