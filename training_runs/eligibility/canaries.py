"""Test accounts, one for each exclusion: in every manifest each must be out for exactly its reason.

An exclusion that silently returned too little would let its canary in, and the freeze stops.
"""

import datetime as dt
from collections.abc import Mapping, Sequence

from consent import accounts, countries, members
from consent import decisions as consent
from consent.choices import PURPOSES, Channel, Choice, Control, Status
from consent.members import Facts
from consent.models import Member, Suppression
from ledger import entries
from objections.choices import Effect
from objections.intake import planting
from objections.models import Objection
from training_runs.eligibility.exclusions import EXCLUSIONS, NOT_IN_PARENT, Eligibility
from training_runs.errors import FreezeRefused
from training_runs.models import Canary

ACTOR = members.CANARY_ACTOR
_ADULT = Facts(
    country=countries.CANARY_OPEN, adult_on=dt.date(1990, 1, 1), status=Status.OPEN.value
)
FACTS: Mapping[str, Facts] = {
    "erased": _ADULT,
    "closed": Facts(_ADULT.country, "", _ADULT.adult_on, Status.CLOSED.value),
    "country_unknown": Facts(countries.UNKNOWN, "", _ADULT.adult_on, Status.OPEN.value),
    "minor": Facts(_ADULT.country, "", dt.date(9999, 12, 31), Status.OPEN.value),
    "region": Facts(countries.CANARY_EXCLUDED, "", _ADULT.adult_on, Status.OPEN.value),
    "no_notice": Facts(countries.CANARY_NO_NOTICE, "", _ADULT.adult_on, Status.OPEN.value),
    "not_opted_in": Facts(countries.CANARY_OPT_IN, "", _ADULT.adult_on, Status.OPEN.value),
    "opted_out": _ADULT,
    "objection_open": _ADULT,
    "objection_upheld": _ADULT,
}

KEPT_OUT_BY_OBJECTION = {"objection_open", "objection_upheld", "opted_out"}


def plant() -> None:
    """Create the canaries that are missing. Safe to run again, also after a crash in the middle.

    They stay closed until all that keeps them out is in place.
    """
    if Canary.objects.count() < len(FACTS):
        _create()
    canaries = list(Canary.objects.select_related("member").order_by("id"))
    for canary in canaries:
        _keep_out(canary)
    _open(canaries)


def _create() -> None:
    with entries.entry("canary.planted", actor=ACTOR, subject="canaries") as opened:
        planted = set(Canary.objects.values_list("exclusion", flat=True))
        missing = [code for code in FACTS if code not in planted]
        if not missing:
            opened.abandon()
            return
        numbers = members.create(
            [
                (
                    f"{members.CANARY_PREFIX}{code}",
                    FACTS[code]._replace(country_given="", status=Status.CLOSED.value),
                )
                for code in missing
            ]
        )
        entries.add(
            Canary(exclusion=code, member_id=number)
            for code, number in zip(missing, numbers, strict=True)
        )


def _keep_out(canary: Canary) -> None:
    """Give a canary what keeps it out of every purpose there is, beside its facts."""
    member, code = canary.member, canary.exclusion
    if code == "opted_out":
        _deny(member)
    if code in KEPT_OUT_BY_OBJECTION:
        _object(member, code)
    if code == "erased" and member.status != Status.ERASED:
        reference = f"{members.CANARY_PREFIX}{code}"
        accounts.erase_member(account_ref=reference, actor=ACTOR, reason="canary")


def _deny(member: Member) -> None:
    denied = set(member.decisions.values_list("purpose", flat=True))
    for purpose, facts in PURPOSES.items():
        if facts.control == Control.SETTING and purpose not in denied:
            consent.record_decision(
                consent.DecisionInput(
                    account_ref=f"{members.CANARY_PREFIX}opted_out",
                    purpose=purpose,
                    choice=Choice.DENY,
                    channel=Channel.STAFF,
                    source_id=f"{members.CANARY_PREFIX}{purpose}",
                    decided_at=None,
                ),
                actor=ACTOR,
            )


def _object(member: Member, code: str) -> None:
    known = set(Objection.objects.filter(member=member).values_list("purpose", flat=True))
    missing = [
        purpose
        for purpose, facts in PURPOSES.items()
        # The opted-out canary objects where no setting keeps it out.
        if purpose not in known and (code != "opted_out" or facts.control != Control.SETTING)
    ]
    if missing:
        effect = Effect.UPHELD if code == "objection_upheld" else Effect.RESTRICTING
        planting.keep_out(member=member, purposes=missing, effect=effect, actor=ACTOR)


def _open(canaries: Sequence[Canary]) -> None:
    """Give those canaries that are still closed their real facts."""

    def is_closed(member: Member, code: str) -> bool:
        return code != "erased" and members.facts_of(member) != FACTS[code]

    closed = [one for one in canaries if is_closed(one.member, one.exclusion)]
    if not closed:
        return
    with entries.entry("canary.opened", actor=ACTOR, subject="canaries"):
        locked = Member.objects.select_for_update().in_bulk([one.member_id for one in closed])
        members.change(
            [
                (locked[one.member_id], FACTS[one.exclusion])
                for one in closed
                if is_closed(locked[one.member_id], one.exclusion)
            ]
        )


def check(answer: Eligibility) -> None:
    """Raises FreezeRefused unless every exclusion has a canary and every canary is out for its reason only."""
    planted = dict(Canary.objects.values_list("exclusion", "member_id"))
    applicable = {exclusion.code for exclusion in EXCLUSIONS}
    if planted.keys() != applicable:
        missing = ", ".join(sorted(applicable - planted.keys()))
        raise FreezeRefused(f"No canary for {missing}: run `manage.py plant_canaries`.")
    _check_key(planted["erased"])
    for code, number in planted.items():
        expected = {code}
        if code == "opted_out" and PURPOSES[answer.question.purpose].control != Control.SETTING:
            expected = {"objection_open"}
        if NOT_IN_PARENT.code in answer.excluded:
            expected.add(NOT_IN_PARENT.code)
        if set(answer.reasons(number)) != expected or number in answer.included:
            raise FreezeRefused(
                f"The canary for {code} is out for {answer.reasons(number) or 'nothing'}"
                f" instead of {sorted(expected)}: a rule leaves out too few or too many."
            )


def _check_key(erased: int) -> None:
    """With another SUPPRESSION_KEY erased members would not be recognised: they could come back."""
    kept = Suppression.objects.values_list("account_hash", flat=True).get(member=erased)
    if kept != members.suppression_hash(f"{members.CANARY_PREFIX}erased"):
        raise FreezeRefused("SUPPRESSION_KEY is not the one that accounts were erased under.")
