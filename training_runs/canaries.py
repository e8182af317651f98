"""Test accounts, one for each exclusion: in every manifest each must be out for exactly its reason.

An exclusion that silently returned too little would let its canary in, and the freeze stops.
"""

import datetime as dt
from collections.abc import Mapping

from consent import accounts, countries, members
from consent import decisions as consent
from consent.choices import PURPOSES, Channel, Choice, Control, Status
from consent.members import Facts
from consent.models import Member, Suppression
from ledger import entries
from objections.choices import Effect
from objections.intake import planting
from objections.models import Objection
from training_runs.eligibility import EXCLUSIONS, NOT_IN_PARENT, Eligibility
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
    """Create the canaries that are missing. Safe to run again, also after a crash in the middle."""
    missing = [code for code in FACTS if not Canary.objects.filter(exclusion=code).exists()]
    for code in missing:
        reference = f"{members.CANARY_PREFIX}{code}"
        with entries.entry("canary.planted", actor=ACTOR, subject=reference) as opened:
            if Canary.objects.filter(exclusion=code).exists():
                opened.abandon()
                continue
            # Closed until everything that keeps it out is in place.
            closed = Facts(FACTS[code].country, "", FACTS[code].adult_on, Status.CLOSED.value)
            (number,) = members.create([(reference, closed)])
            Canary(exclusion=code, member_id=number).save()
    for canary in Canary.objects.select_related("member").order_by("id"):
        _complete(canary)


def _complete(canary: Canary) -> None:
    """Give a canary what keeps it out of every purpose there is, then its real facts."""
    member, code = canary.member, canary.exclusion
    if code == "opted_out":
        _deny(member)
    if code in KEPT_OUT_BY_OBJECTION:
        _object(member, code)
    if members.facts_of(member) == FACTS[code] or member.status == Status.ERASED:
        return
    reference = f"{members.CANARY_PREFIX}{code}"
    if code == "erased":
        accounts.erase_member(account_ref=reference, actor=ACTOR, reason="canary")
    elif FACTS[code].status == Status.OPEN:
        with entries.entry("canary.opened", actor=ACTOR, subject=reference):
            members.change([(Member.objects.select_for_update().get(pk=member.pk), FACTS[code])])


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
    effects = dict(Objection.objects.filter(member=member).values_list("purpose", "effect"))
    effect = Effect.UPHELD if code == "objection_upheld" else Effect.RESTRICTING
    for purpose, facts in PURPOSES.items():
        # The opted-out canary objects where no setting keeps it out.
        if purpose not in effects and (code != "opted_out" or facts.control != Control.SETTING):
            planting.keep_out(member=member, purpose=purpose, effect=effect, actor=ACTOR)


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
