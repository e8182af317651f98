"""Proposing region rules and notices, and their review by a second person."""

import datetime as dt
import re
from collections.abc import Collection, Mapping
from typing import Any

from django.contrib.auth.models import User

from consent.choices import (
    POLICIES,
    DataCategory,
    PolicyKind,
    Purpose,
    ReviewVerdict,
    RuleKind,
)
from consent.countries import NAMES, UNKNOWN, with_followers
from consent.errors import (
    AlreadyReviewed,
    AlreadySuperseded,
    NeedsSecondPerson,
    VersionReused,
)
from consent.models import (
    MAJORITY,
    MAX_AGE,
    AgeRule,
    Notice,
    Policy,
    RegionRule,
    Review,
)
from consent.rulebook import ages, notices, policies, rules
from consent.rulebook.notices import check_text
from ledger import entries
from ledger.errors import InvalidInput

VERSION = re.compile(r"[\w.-]{1,40}\Z", re.ASCII)


def propose_rule(
    *,
    purpose: str,
    countries: Collection[str],
    rule: str,
    effective_from: dt.date,
    source: str,
    actor: User,
    data_from: dt.date | None = None,
    reason: str = "",
) -> RegionRule:
    """Record a region rule. A rule that admits members waits for a second person; a stricter one applies at once.

    The purpose's latest rule proposed once more by the same person, and not rejected, is that rule.
    """
    facts = _facts_of_rule(
        purpose=purpose,
        countries=countries,
        rule=rule,
        effective_from=effective_from,
        source=source,
        data_from=data_from,
    )
    with entries.entry("rule.proposed", actor=actor, reason=reason) as opened:
        last = RegionRule.objects.filter(purpose=purpose).order_by("id").last()
        # Only the latest: the same words after another rule are a change back.
        if last is not None and last.proposed_by_id == actor.pk and _has(last, facts):
            opened.abandon()
            return last
        row = _rule(facts, actor)
        row.save()
        opened.subject = f"region-rule:{row.pk}"
    return row


def drafted_rule(
    *,
    purpose: str,
    countries: Collection[str],
    rule: str,
    effective_from: dt.date,
    source: str,
    actor: User,
    data_from: dt.date | None = None,
) -> RegionRule:
    """The row that `propose_rule` would record; nothing is written."""
    facts = _facts_of_rule(
        purpose=purpose,
        countries=countries,
        rule=rule,
        effective_from=effective_from,
        source=source,
        data_from=data_from,
    )
    return _rule(facts, actor)


def _facts_of_rule(
    *,
    purpose: str,
    countries: Collection[str],
    rule: str,
    effective_from: dt.date,
    source: str,
    data_from: dt.date | None,
) -> dict[str, Any]:
    _check_words("purpose", [purpose], Purpose.values)
    _check_words("rule", [rule], RuleKind.values)
    check_text("source", source, 300)
    if not countries:
        raise InvalidInput("Name at least one country.", field="countries")
    if data_from is not None and rule == RuleKind.EXCLUDED:
        raise InvalidInput("Where nothing is used, no content has an age.", field="data_from")
    if rule != RuleKind.DEFAULT_ON:
        # A regulator who says "France" means its territories too; letting them in is said one by one.
        countries = with_followers(countries, is_excluded=rule == RuleKind.EXCLUDED)
    return {
        "purpose": purpose,
        "countries": sorted(countries),
        "rule": rule,
        "effective_from": effective_from,
        "data_from": data_from,
        "source": source,
    }


def _rule(facts: dict[str, Any], actor: User) -> RegionRule:
    asked = ("purpose", "countries", "rule", "effective_from", "data_from")
    needs_approval = rules.loosens(**{name: facts[name] for name in asked})
    return RegionRule(needs_approval=needs_approval, proposed_by=actor, **facts)


def propose_notice(
    *,
    version: str,
    purposes: Collection[str],
    data_categories: Collection[str],
    countries: Collection[str],
    published_on: dt.date,
    in_force_from: dt.date,
    texts: Mapping[str, str],
    source: str,
    actor: User,
    address: str = "",
    supersedes: Notice | None = None,
    reason: str = "",
) -> Notice:
    """Record a version of the privacy notice; it counts once a second person has approved it.

    The same notice again is that notice; raises VersionReused when the version has other facts, NoticeTooEarly where
    the period between its publication and its force is too short.
    """
    row = drafted_notice(
        version=version,
        purposes=purposes,
        data_categories=data_categories,
        countries=countries,
        published_on=published_on,
        in_force_from=in_force_from,
        texts=texts,
        source=source,
        actor=actor,
        address=address,
        supersedes=supersedes,
    )
    with entries.entry("notice.proposed", actor=actor, reason=reason) as opened:
        known = Notice.objects.filter(version=version).first()
        if known is not None:
            if not _has(known, {name: getattr(row, name) for name in _FACTS_OF_NOTICE}):
                raise VersionReused(
                    f"There is a notice {version} already; a corrected text, even of a rejected one,"
                    " needs a version of its own."
                )
            opened.abandon()
            return known
        _check_not_superseded(supersedes)
        notices.check_period(row)
        row.full_clean(exclude=["entry"])
        row.save()
        opened.subject = f"notice:{row.version}"
    return row


_FACTS_OF_NOTICE = (
    "purposes",
    "data_categories",
    "countries",
    "published_on",
    "in_force_from",
    "texts",
    "address",
    "supersedes",
    "source",
)


def drafted_notice(
    *,
    version: str,
    purposes: Collection[str],
    data_categories: Collection[str],
    countries: Collection[str],
    published_on: dt.date,
    in_force_from: dt.date,
    texts: Mapping[str, str],
    source: str,
    actor: User,
    address: str = "",
    supersedes: Notice | None = None,
) -> Notice:
    """The row that `propose_notice` would record; nothing is written."""
    _check_words("purposes", purposes, Purpose.values)
    _check_words("data_categories", data_categories, DataCategory.values)
    check_text("source", source, 300)
    if not countries:
        raise InvalidInput("Name at least one country.", field="countries")
    if in_force_from < published_on:
        raise InvalidInput(
            "A notice cannot be in force before it is published.", field="in_force_from"
        )
    texts = notices.cleaned_texts(texts)
    return Notice(
        version=version,
        purposes=sorted(purposes),
        data_categories=sorted(data_categories),
        countries=sorted(countries),
        published_on=published_on,
        in_force_from=in_force_from,
        texts=texts,
        texts_sha256=notices.digest_of(texts),
        address=address,
        supersedes=supersedes,
        source=source,
        proposed_by=actor,
    )


def _check_not_superseded(supersedes: Notice | None) -> None:
    if (
        supersedes
        and supersedes.successors.exclude(review__verdict=ReviewVerdict.REJECTED).exists()
    ):
        raise AlreadySuperseded(f"{supersedes} is superseded by another notice already.")


def propose_policy(
    *,
    kind: str,
    value: int,
    effective_from: dt.date,
    source: str,
    actor: User,
    purpose: str = "",
    country: str = UNKNOWN,
    reason: str = "",
) -> Policy:
    """Record a policy. One that allows more waits for a second person; a stricter one applies at once.

    The latest policy of the kind, purpose and country proposed once more by the same person, and not rejected, is that
    one.
    """
    _check_words("kind", [kind], PolicyKind.values)
    if purpose:
        _check_words("purpose", [purpose], Purpose.values)
    check_text("source", source, 300)
    facts_of_kind = POLICIES[kind]
    if not facts_of_kind.lowest <= value <= facts_of_kind.highest:
        raise InvalidInput(
            f"{facts_of_kind.lowest} to {facts_of_kind.highest} for {kind}.", field="value"
        )
    if country and not facts_of_kind.is_by_country:
        raise InvalidInput(f"{PolicyKind(kind).label}: the same everywhere.", field="country")
    if country and country not in NAMES:
        raise InvalidInput("A country's code, or nothing.", field="country", code="unknown_word")
    if purpose and facts_of_kind.is_by_country:
        raise InvalidInput(
            f"{PolicyKind(kind).label}: the same for every purpose.", field="purpose"
        )
    facts = {"value": value, "effective_from": effective_from, "source": source}
    with entries.entry("policy.proposed", actor=actor, reason=reason) as opened:
        same = Policy.objects.filter(kind=kind, purpose=purpose, country=country)
        last = same.order_by("id").last()
        if last is not None and last.proposed_by_id == actor.pk and _has(last, facts):
            opened.abandon()
            return last
        row = Policy(
            kind=kind,
            purpose=purpose,
            country=country,
            needs_approval=policies.loosens(kind, purpose, value, effective_from, country),
            proposed_by=actor,
            **facts,
        )
        row.save()
        opened.subject = f"policy:{row.pk}"
    return row


def propose_age(
    *,
    countries: Collection[str],
    age: int,
    effective_from: dt.date,
    source: str,
    actor: User,
    reason: str = "",
) -> AgeRule:
    """Record the age that countries ask for. A higher one applies at once; a lower one waits for a second person.

    The latest row proposed once more by the same person, and not rejected, is that row. Raises InvalidInput below 18.
    """
    facts = _facts_of_age(
        countries=countries, age=age, effective_from=effective_from, source=source
    )
    with entries.entry("age_rule.proposed", actor=actor, reason=reason) as opened:
        last = AgeRule.objects.order_by("id").last()
        if last is not None and last.proposed_by_id == actor.pk and _has(last, facts):
            opened.abandon()
            return last
        row = _age(facts, actor)
        row.save()
        opened.subject = f"age-rule:{row.pk}"
    return row


def drafted_age(
    *, countries: Collection[str], age: int, effective_from: dt.date, source: str, actor: User
) -> AgeRule:
    """The row that `propose_age` would record; nothing is written."""
    facts = _facts_of_age(
        countries=countries, age=age, effective_from=effective_from, source=source
    )
    return _age(facts, actor)


def _facts_of_age(
    *, countries: Collection[str], age: int, effective_from: dt.date, source: str
) -> dict[str, Any]:
    check_text("source", source, 300)
    if not countries:
        raise InvalidInput("Name at least one country.", field="countries")
    if not MAJORITY <= age <= MAX_AGE:
        raise InvalidInput(
            f"{MAJORITY} to {MAX_AGE}: no row lowers the age below {MAJORITY}.", field="age"
        )
    return {
        "countries": sorted(countries),
        "age": age,
        "effective_from": effective_from,
        "source": source,
    }


def _age(facts: dict[str, Any], actor: User) -> AgeRule:
    loosens = ages.loosens(facts["countries"], facts["age"], facts["effective_from"])
    return AgeRule(needs_approval=loosens, proposed_by=actor, **facts)


def review(
    *,
    proposal: RegionRule | Notice | Policy | AgeRule,
    verdict: ReviewVerdict,
    actor: User,
    reason: str,
) -> Review:
    """The second person's word on a proposal; it is final.

    Raises NeedsSecondPerson when it is the proposer's own, AlreadyReviewed when it has one, NoticeTooEarly for the
    approval of a notice whose period is too short.
    """
    field = _review_field(proposal)
    if not reason.strip():
        raise InvalidInput("Say why.", field="reason")
    with entries.entry(
        f"{field.replace('region_', '')}.{verdict.value}",
        actor=actor,
        reason=reason,
        subject=f"{field.replace('_', '-')}:{proposal.version if isinstance(proposal, Notice) else proposal.pk}",
    ):
        if proposal.proposed_by_id == actor.pk:
            raise NeedsSecondPerson("You proposed it, so you cannot approve it: ask a colleague.")
        if not proposal.needs_approval or Review.objects.filter(**{field: proposal}).exists():
            raise AlreadyReviewed(f"{str(proposal).capitalize()} is decided already.")
        if isinstance(proposal, Notice) and verdict == ReviewVerdict.APPROVED:
            # Longer periods may have been set since it was proposed.
            notices.check_period(proposal)
        row = Review(**{field: proposal}, verdict=verdict, reviewer=actor)
        row.save()
    return row


def _check_words(field: str, words: Collection[Any], known: Collection[str]) -> None:
    unknown = [word for word in words if word not in known]
    if unknown or not words:
        raise InvalidInput(f"One or more of {', '.join(known)}.", field=field, code="unknown_word")


def _has(row: RegionRule | Notice | Policy | AgeRule, facts: dict[str, Any]) -> bool:
    """Whether a proposal has exactly these facts and was not rejected."""
    rejected = Review.objects.filter(
        **{_review_field(row): row}, verdict=ReviewVerdict.REJECTED
    ).exists()
    return not rejected and all(getattr(row, name) == value for name, value in facts.items())


def _review_field(proposal: RegionRule | Notice | Policy | AgeRule) -> str:
    if isinstance(proposal, AgeRule):
        return "age_rule"
    if isinstance(proposal, Policy):
        return "policy"
    return "region_rule" if isinstance(proposal, RegionRule) else "notice"
