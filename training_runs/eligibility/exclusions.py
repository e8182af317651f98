"""Exclusions: who is out of a run, and why, as an ordered table of rules, each a queryset of member numbers.

Included is the population minus the union. All reasons of a member are kept; the order only says which one
is shown first. Subtraction fails open, so `decide` holds the sets against the census and `freeze`
against the canaries, and a second computation from history (`deriving`) must agree before the result may be used.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from django.db.models import CharField, Exists, Max, OuterRef, QuerySet, Value
from pyroaring import BitMap

from consent import countries
from consent.choices import RuleKind
from consent.members import missing_references
from consent.models import Census, Consent, Member
from consent.rulebook import ages, rules
from consent.rulebook.days import Days
from ledger import canonical
from objections.models import Objection
from training_runs.eligibility import lateness
from training_runs.errors import FreezeRefused
from training_runs.manifests.country_sets import Kept
from training_runs.manifests.packing import pack

# Rules for the test countries; only canary accounts live there.
CANARY_RULES = {
    countries.CANARY_OPEN: RuleKind.DEFAULT_ON,
    countries.CANARY_EXCLUDED: RuleKind.EXCLUDED,
    countries.CANARY_NO_NOTICE: RuleKind.DEFAULT_ON,
    countries.CANARY_OPT_IN: RuleKind.OPT_IN,
}
CANARY_COVERED = countries.CANARIES - {countries.CANARY_NO_NOTICE}


@dataclass(frozen=True)
class Question:
    """The question whose data may be used for a purpose, with some data categories, on the days that it is."""

    purpose: str
    days: Days
    ruling: rules.Ruling
    excluded: frozenset[str]
    """Countries where the purpose is not allowed, or no rule says anything."""
    opt_in: dict[tuple[rules.Window, ...], list[str]]
    """Countries that ask for consent, by the windows in which a *yes* is one."""
    uncovered: frozenset[str]
    """Countries where it would be allowed, but no notice in force covers it."""
    ages: dict[int, list[str]]
    """Countries that ask for a higher age than 18, by that age."""


def ask(
    purpose: str, when: Days, categories: Collection[str], book: rules.Book | None = None
) -> Question:
    """Read the rules and notices for a question, or take them from the book. Inside a snapshot they are the snapshot's."""
    ruling = rules.ruling(purpose, when, categories, book)
    rule_of = {**ruling.rule_of, **CANARY_RULES}
    allowed = {country for country, rule in rule_of.items() if rule != RuleKind.EXCLUDED}
    opt_in: dict[tuple[rules.Window, ...], list[str]] = {}
    for country in sorted(country for country, rule in rule_of.items() if rule == RuleKind.OPT_IN):
        opt_in.setdefault(ruling.consents.get(country, ()), []).append(country)
    above: dict[int, list[str]] = {}
    for country, age in sorted(ages.at(when, book).items()):
        above.setdefault(age, []).append(country)
    return Question(
        purpose=purpose,
        days=when,
        ruling=ruling,
        excluded=frozenset((countries.NAMES.keys() | countries.CANARIES) - allowed),
        opt_in=opt_in,
        uncovered=frozenset(allowed - ruling.covered - CANARY_COVERED),
        ages=above,
    )


def _minors(question: Question) -> list["QuerySet[Any]"]:
    """Members who are not of age everywhere in their country, or whose date of majority is for a lower age than it asks for.

    Where no day differs, the index alone answers.
    """
    oldest, newest = question.days.world.last, question.days.world.first
    # Where it is a later day than in the last place on Earth, more have come of age.
    found = [Member.objects.minors(newest)]
    for span, codes in question.days.by_span().items():
        if span.last < newest:
            found.append(Member.objects.minors(span.last, newest).in_countries(codes))
    placed = question.days.by_country
    found.append(Member.objects.minors(oldest, newest).exclude(country__in=sorted(placed)))
    found += [Member.objects.below_age(age, codes) for age, codes in question.ages.items()]
    return [*found, Member.objects.of_unknown_age()]


@dataclass(frozen=True)
class Exclusion:
    """A reason to be out. `members` gives querysets whose union it leaves out."""

    code: str
    sentence: str
    """Ends "The member is out because …"."""
    ground: str
    members: Callable[[Question], list["QuerySet[Any]"]]
    late: tuple[lateness.Source, ...] = ()
    """The ways to find facts of the reason that held before they were recorded."""
    never_late: str = ""
    """The reason why there is none."""

    def __post_init__(self) -> None:
        """Raises ValueError for a reason that does not say how its lateness is found."""
        if bool(self.late) == bool(self.never_late):
            raise ValueError(
                f"{self.code} says how its late facts are found, or why there are none."
            )


NO_NOTICE = "no_notice"
"""The one rule that depends on a run's data categories."""
REGION = "region"
"""The one rule whose set is large and rarely changes: `country_sets` keeps it between freezes."""
NOT_OPTED_IN = "not_opted_in"
OBJECTED = frozenset({"opted_out", "objection_open", "objection_upheld"})
"""Rules by which a member's own no keeps them out."""

EXCLUSIONS: list[Exclusion] = [
    Exclusion(
        "erased",
        "the account was erased",
        "GDPR Art. 17",
        lambda q: [Member.objects.erased()],
        never_late="An erasure holds from the moment at which it is recorded.",
    ),
    Exclusion(
        "closed",
        "the account is closed, or was never reported open",
        "GDPR Art. 5(1)(b), purpose limitation",
        lambda q: [Member.objects.closed()],
        never_late="A closing holds from the moment at which it is recorded.",
    ),
    Exclusion(
        "country_unknown",
        "the country is not known, so no rule can allow it",
        "GDPR Art. 5(2), accountability: unknown is out",
        lambda q: [Member.objects.of_unknown_country()],
        never_late="A move holds from the moment at which it is recorded.",
    ),
    Exclusion(
        "minor",
        "the member is under 18 or the age that the country asks for, or the age is not known",
        "GDPR Art. 6(1)(f), in particular where the data subject is a child",
        _minors,
        late=(lateness.majorities, lateness.rulebook),
    ),
    Exclusion(
        REGION,
        "no rule allows the purpose in the member's country",
        "the region rule of the country",
        lambda q: [Member.objects.in_countries(q.excluded)],
        late=(lateness.rulebook,),
    ),
    Exclusion(
        NO_NOTICE,
        "no privacy notice in force covers the purpose and the data in the member's country",
        "GDPR Art. 13 and 14",
        lambda q: [Member.objects.in_countries(q.uncovered)],
        late=(lateness.rulebook,),
    ),
    Exclusion(
        NOT_OPTED_IN,
        "the member's country asks for consent, and the member has not given it",
        "GDPR Art. 6(1)(a)",
        lambda q: [
            Member.objects.in_countries(codes).filter(
                ~Exists(Consent.objects.allowed(q.purpose, windows).filter(member=OuterRef("pk")))
            )
            for windows, codes in q.opt_in.items()
        ],
        late=(lateness.rulebook, lateness.denials),
    ),
    Exclusion(
        "opted_out",
        "the member's setting for the purpose is off",
        "GDPR Art. 21(1)",
        lambda q: [Consent.objects.denied(q.purpose)],
        late=(lateness.denials,),
    ),
    Exclusion(
        "objection_open",
        "an objection of the member is being examined",
        "GDPR Art. 18(1)(d)",
        lambda q: [Objection.objects.restricting(q.purpose)],
        late=(lateness.objections,),
    ),
    Exclusion(
        "objection_upheld",
        "an objection of the member was upheld",
        "GDPR Art. 21(1)",
        lambda q: [Objection.objects.upheld(q.purpose)],
        late=(lateness.objections,),
    ),
]

# The one reason that is no queryset: it is the frozen parent's included set, turned round.
NOT_IN_PARENT = Exclusion(
    "not_in_parent",
    "the member's data was not in the run this one builds on",
    "GDPR Art. 5(1)(b): using a data set again is new processing",
    lambda q: [],
    never_late="A parent's manifest never changes.",
)
# No rule of a freeze: what is said of a member who joined after it.
UNKNOWN_AT_CUT = Exclusion(
    "unknown_at_cut",
    "the portal did not know the account when the manifest was frozen",
    "GDPR Art. 5(2), accountability: unknown is out",
    lambda q: [],
    never_late="It is no rule of a freeze.",
)
BY_CODE = {exclusion.code: exclusion for exclusion in [*EXCLUSIONS, NOT_IN_PARENT, UNKNOWN_AT_CUT]}


@dataclass(frozen=True)
class Eligibility:
    """Everybody, split: included, and for each reason those it leaves out. Sets of member numbers."""

    question: Question
    population: int
    included: BitMap
    excluded: dict[str, BitMap]

    def reasons(self, number: int) -> list[str]:
        return [code for code, members in self.excluded.items() if number in members]

    def counts(self) -> dict[str, Any]:
        return {
            "population": self.population,
            "included": len(self.included),
            "excluded": {code: len(members) for code, members in self.excluded.items()},
        }


def decide(
    question: Question, parent_included: BitMap | None = None, kept: Kept | None = None
) -> Eligibility:
    """Apply the table. Call it inside a snapshot. Raises FreezeRefused when the census disagrees.

    With `kept`, the members of the excluded countries are taken from the last freeze and only those whose
    record was written since are read.
    """
    census = Census.objects.get(pk=1)
    highest = Member.objects.aggregate(highest=Max("id"))["highest"] or 0
    if highest != census.total:
        raise FreezeRefused(
            f"The highest member number is {highest}, the census says {census.total}."
        )
    everybody = BitMap(range(1, highest + 1))
    changed = kept.changed() if kept else Member.objects.none()
    asked = [
        (exclusion.code, rows & changed if kept and exclusion.code == REGION else rows)
        for exclusion in EXCLUSIONS
        for rows in exclusion.members(question)
    ]
    *packed, ageless, written = pack(
        [
            _numbers(rows)
            for rows in [*(rows for _, rows in asked), Member.objects.of_unknown_age(), changed]
        ],
        highest,
    )
    excluded = {exclusion.code: BitMap() for exclusion in EXCLUSIONS}
    for (code, _), members in zip(asked, packed, strict=True):
        excluded[code] |= members
    if kept:
        excluded[REGION] = kept.now(written, excluded[REGION])
    incomplete = excluded["erased"] | excluded["closed"] | excluded["country_unknown"] | ageless
    if highest - len(incomplete) != census.complete:
        raise FreezeRefused(
            f"{highest - len(incomplete)} records look complete, the census says {census.complete}."
        )
    if lost := missing_references(census, members=highest, erased=len(excluded["erased"])):
        raise FreezeRefused(lost)
    if parent_included is not None:
        excluded[NOT_IN_PARENT.code] = everybody - parent_included
    out = BitMap.union(BitMap(), *excluded.values())
    if len(out) and (out.max() > highest or out.min() < 1):
        raise FreezeRefused("A rule left out a member number that does not exist.")
    return Eligibility(question, highest, everybody - out, excluded)


def reasons_now(question: Question, number: int) -> list[str]:
    """Why one member is out at this moment, in the table's order; empty when in. One query."""
    asked = [
        rows.filter(**{_number_field(rows): number})
        .order_by()
        .values_list(Value(exclusion.code, output_field=CharField()))
        for exclusion in EXCLUSIONS
        for rows in exclusion.members(question)
    ]
    found = {row[0] for row in asked[0].union(*asked[1:], all=True)}
    if not Member.objects.filter(pk=number).exists():
        found.add("country_unknown")
    return [code for code in BY_CODE if code in found]


_CHUNK = 5_000
"""Members asked about in one query."""


def out_among(question: Question, members: BitMap) -> BitMap:
    """Those of the members who are out, by the same table: at the price of these members and no others."""
    numbers = list(members)
    out = BitMap()
    for start in range(0, len(numbers), _CHUNK):
        chunk = numbers[start : start + _CHUNK]
        for exclusion in EXCLUSIONS:
            for rows in exclusion.members(question):
                field = _number_field(rows)
                out.update(_numbers(rows.filter(**{f"{field}__in": chunk})))
    return out


def fingerprint(question: Question) -> str:
    """SHA-256 of everything that a question says beside its members: of an equal one only members' own facts differ."""
    said = [
        question.purpose,
        question.days.plain(),
        sorted(question.excluded),
        [[[str(one) for one in windows], codes] for windows, codes in question.opt_in.items()],
        sorted(question.uncovered),
        [[age, codes] for age, codes in sorted(question.ages.items())],
        [exclusion.code for exclusion in EXCLUSIONS],
    ]
    return sha256(canonical.dumps(said)).hexdigest()


def reasons_of(member: Member, questions: Sequence[Question]) -> list[list[str]]:
    """The answers of `reasons_now` to many questions, in one query for all.

    All are asked on the same days. Those of one purpose differ in their data categories only, hence in where no notice
    covers them, and in which *yes* is consent to them.
    """
    asked_as = [
        (one.purpose, next((w for w, codes in one.opt_in.items() if member.country in codes), None))
        for one in questions
    ]
    first = dict(zip(asked_as, questions, strict=True))
    asked = [
        rows.filter(**{_number_field(rows): member.pk})
        .order_by()
        .values_list(Value(f"{place}:{exclusion.code}", output_field=CharField()))
        for place, question in enumerate(first.values())
        for exclusion in EXCLUSIONS
        if exclusion.code != NO_NOTICE
        for rows in exclusion.members(question)
    ]
    found = {row[0] for row in asked[0].union(*asked[1:], all=True)} if asked else set()
    places = list(first)
    answers = []
    for key, question in zip(asked_as, questions, strict=True):
        place = places.index(key)
        answers.append(
            [
                code
                for code in BY_CODE
                if f"{place}:{code}" in found
                or (code == NO_NOTICE and member.country in question.uncovered)
            ]
        )
    return answers


def _number_field(rows: "QuerySet[Any]") -> str:
    return "id" if rows.model is Member else "member_id"


def _numbers(rows: "QuerySet[Any]") -> "QuerySet[Any, int]":
    """Distinct member numbers; only an objection can name a member twice, or no member."""
    field = _number_field(rows)
    if rows.model is Objection:
        rows = rows.filter(member__isnull=False).distinct()
    return rows.values_list(field, flat=True)
