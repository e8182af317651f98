"""The real timeline of `generative-ai`: which countries, from when, by which source.

Rows, not constants: loading proposes each as an ordinary rule or notice by one person and has it approved by
another, so that what is loaded can be superseded like anything else.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from django.contrib.auth.models import User

from consent import services
from consent.choices import DataCategory, Purpose, Rule, Verdict
from consent.countries import FOLLOWING_THE_EU, GROUPS, NAMES, UNITED_KINGDOM
from consent.errors import NeedsSecondPerson
from consent.models import Notice, RegionRule
from portal.errors import InvalidInput

EEA_AND_SWITZERLAND = GROUPS["EEA"] | {"CH"}
EXCLUDED_AT_FIRST = EEA_AND_SWITZERLAND | FOLLOWING_THE_EU
EVERYWHERE_ELSE = frozenset(NAMES) - EXCLUDED_AT_FIRST
JOINED_IN_2025 = EEA_AND_SWITZERLAND | UNITED_KINGDOM | {"CA", "HK"}


@dataclass(frozen=True)
class NoticeRow:
    version: str
    countries: frozenset[str]
    published_on: dt.date
    in_force_from: dt.date
    source: str
    data_categories: tuple[str, ...] = tuple(DataCategory.values)

    @property
    def known_from(self) -> dt.date:
        """Everybody can read a notice from its publication, before it may be relied on."""
        return self.published_on

    @property
    def label(self) -> str:
        return f"notice {self.version}, in force from {self.in_force_from}"

    def find(self) -> Notice | None:
        return Notice.objects.filter(version=self.version).first()

    def propose(self, actor: User) -> Notice:
        return services.propose_notice(
            version=self.version,
            purposes=[Purpose.GENERATIVE_AI],
            data_categories=self.data_categories,
            countries=self.countries,
            published_on=self.published_on,
            in_force_from=self.in_force_from,
            source=self.source,
            actor=actor,
            reason="load_timeline",
        )


@dataclass(frozen=True)
class RuleRow:
    rule: Rule
    countries: frozenset[str]
    effective_from: dt.date
    source: str

    @property
    def known_from(self) -> dt.date:
        return self.effective_from

    @property
    def label(self) -> str:
        return (
            f"rule {self.rule.value} in {len(self.countries)} countries from {self.effective_from}"
        )

    def find(self) -> RegionRule | None:
        return RegionRule.objects.filter(
            purpose=Purpose.GENERATIVE_AI,
            rule=self.rule,
            effective_from=self.effective_from,
            source=self.source,
        ).first()

    def propose(self, actor: User) -> RegionRule:
        return services.propose_rule(
            purpose=Purpose.GENERATIVE_AI,
            countries=self.countries,
            rule=self.rule,
            effective_from=self.effective_from,
            source=self.source,
            actor=actor,
            reason="load_timeline",
        )


# In the order of their dates: an approval must know the exclusions it lifts.
TIMELINE: tuple[NoticeRow | RuleRow, ...] = (
    # Before this notice there is none: nobody may be used (press of that day, 404 Media).
    NoticeRow(
        version="2024-09-18",
        countries=EVERYWHERE_ELSE,
        published_on=dt.date(2024, 9, 18),
        in_force_from=dt.date(2024, 9, 18),
        source="Privacy policy and FAQ of 2024-09-18",
    ),
    RuleRow(
        Rule.EXCLUDED,
        EEA_AND_SWITZERLAND,
        dt.date(2024, 9, 18),
        "FAQ of 2024-09-18: not in the EU, the EEA and Switzerland until further notice",
    ),
    RuleRow(
        Rule.EXCLUDED,
        FOLLOWING_THE_EU,
        dt.date(2024, 9, 18),
        "For review: excluded as the EU is until somebody decides; no public source",
    ),
    RuleRow(
        Rule.DEFAULT_ON,
        EVERYWHERE_ELSE,
        dt.date(2024, 9, 18),
        "FAQ of 2024-09-18: on by default",
    ),
    RuleRow(
        Rule.EXCLUDED,
        UNITED_KINGDOM,
        dt.date(2024, 9, 20),
        "ICO statement of 2024-09-20: suspended for the United Kingdom",
    ),
    RuleRow(
        Rule.EXCLUDED,
        frozenset({"HK"}),
        dt.date(2024, 10, 11),
        "PCPD statement of 2024-10-15: paused for Hong Kong since 2024-10-11",
    ),
    # The DPC's statement says "narrower data and period" and names no category: none is left out here.
    # A source that names one becomes a notice that supersedes this one.
    NoticeRow(
        version="2025-09-18",
        countries=JOINED_IN_2025,
        published_on=dt.date(2025, 9, 18),
        in_force_from=dt.date(2025, 11, 3),
        source="Company notice of 2025-09-18; DPC statement of 2025-11-07",
    ),
    RuleRow(
        Rule.DEFAULT_ON,
        JOINED_IN_2025,
        dt.date(2025, 11, 3),
        "Company notice of 2025-09-18; DPC statement of 2025-11-07",
    ),
)


def load(*, proposer: User, approver: User, until: dt.date | None = None) -> Iterator[str]:
    """Load the rows known by `until` that are not there yet; a sentence for each.

    A load that broke off between a proposal and its approval is completed by the next one; a proposal that
    was rejected stays so. Raises NeedsSecondPerson for one person in both parts, InvalidInput for somebody
    whose role may not do theirs.
    """
    if proposer.pk == approver.pk:
        raise NeedsSecondPerson("Whoever proposes may not approve: name two different people.")
    for person, field, permissions in (
        (proposer, "proposed_by", ["consent.add_regionrule", "consent.add_notice"]),
        (approver, "approved_by", ["consent.add_review"]),
    ):
        if not person.has_perms(permissions):
            raise InvalidInput(
                f"{person.get_username()} may not do this: name a privacy officer.", field=field
            )
    return _load(proposer, approver, until)


def _load(proposer: User, approver: User, until: dt.date | None) -> Iterator[str]:
    for row in TIMELINE:
        if until and row.known_from > until:
            continue
        found = row.find()
        proposal = found or row.propose(proposer)
        if proposal.needs_approval and not hasattr(proposal, "review"):
            services.review(
                proposal=proposal, verdict=Verdict.APPROVED, actor=approver, reason="load_timeline"
            )
            yield f"{row.label}: {'was proposed, now' if found else 'proposed and'} approved"
        elif found is None:
            yield f"{row.label}: recorded, holds at once"
        elif proposal.needs_approval and proposal.review.verdict == Verdict.REJECTED:
            yield f"{row.label}: was rejected, left so"
        else:
            yield f"{row.label}: there already"
