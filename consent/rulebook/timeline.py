"""The real timeline of `generative-ai`: which countries, from when, by which source.

Rows, not constants: loading proposes each as an ordinary rule or notice by one person and has it approved by
another, so that what is loaded can be superseded like anything else.

A country is in only by a row whose source admits it, and the row writes it out by its code. A source that says
"everywhere except …" admits the countries that it does not name, as ISO listed them on that day: a code that ISO
adds later is out until a source admits it. A second source that exempts a country, or a doubt about one, puts it
out. The data categories of a notice follow the same rule.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from django.contrib.auth.models import User

from consent.choices import DataCategory, PolicyKind, Purpose, ReviewVerdict, RuleKind
from consent.countries import FOLLOWING_THE_EU, NAMES
from consent.errors import NeedsSecondPerson
from consent.models import AgeRule, Notice, Policy, RegionRule
from consent.rulebook import proposing
from ledger.errors import InvalidInput

EEA_AND_SWITZERLAND = frozenset(
    "AT AX BE BG BL BV CH CY CZ DE DK EE ES FI FR GF GP GR HR HU IE IS IT LI LT LU LV MF MQ MT NC NL "
    "NO PF PL PM PT RE RO SE SI SJ SK TF WF YT".split()
)
"""The European Union, the EEA and Switzerland, with the territories under the same law."""
CROWN = frozenset("GB GG GI IM JE".split())
"""The United Kingdom, and what went out and came in with it."""
OF_THEIR_OWN = frozenset("CA HK MO TW".split())
"""Admitted by the FAQ of 2024, each by a row of its own: what holds for one says nothing of another."""
ADMITTED_IN_2024 = frozenset(
    "AE AF AG AI AL AM AO AQ AR AS AU AZ BA BB BD BF BH BI BJ BM BN BO BR BS BT BW BY BZ CC CD CF CG "
    "CI CK CL CM CO CR CU CV CX DJ DM DO DZ EC EG EH ER ET FJ FK FM GA GD GE GH GM GN GQ GS GT GU GW "
    "GY HM HN HT ID IL IN IO IQ IR JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LK LR LS LY MA "
    "MD ME MG MH MK ML MM MN MP MR MS MU MV MW MX MY MZ NA NE NF NG NI NP NR NU NZ OM PA PE PG PH PK "
    "PN PR PS PW PY QA RS RU RW SA SB SC SD SG SH SL SN SO SR SS ST SV SY SZ TC TD TG TH TJ TK TL TM "
    "TN TO TR TT TV TZ UA UG UM US UY UZ VC VE VG VI VN VU WS XK YE ZA ZM ZW".split()
)
"""Countries that the FAQ of 2024-09-18 does not name and that have no rows of their own."""
JOINED_IN_2025 = EEA_AND_SWITZERLAND | CROWN | {"CA", "HK"}

NAMED_IN_2024 = (
    DataCategory.PROFILE,
    DataCategory.POSTS,
    DataCategory.FEEDBACK,
    DataCategory.LANGUAGE,
    DataCategory.USAGE,
    DataCategory.GENERATIVE_INPUTS,
)
"""The notice of 2024 names neither job-related data nor group activity."""
NAMED_IN_2025 = (*NAMED_IN_2024, DataCategory.JOBS, DataCategory.GROUPS)


@dataclass(frozen=True)
class NoticeRow:
    version: str
    countries: frozenset[str]
    published_on: dt.date
    in_force_from: dt.date
    source: str
    data_categories: tuple[DataCategory, ...]
    texts: dict[str, str]

    @property
    def known_from(self) -> dt.date:
        """A notice can be read from its publication on, before it may be relied on."""
        return self.published_on

    @property
    def label(self) -> str:
        return f"notice {self.version}, in force from {self.in_force_from}"

    def find(self) -> Notice | None:
        return Notice.objects.filter(version=self.version).first()

    def propose(self, actor: User) -> Notice:
        return proposing.propose_notice(
            version=self.version,
            purposes=[Purpose.GENERATIVE_AI],
            data_categories=self.data_categories,
            countries=self.countries,
            published_on=self.published_on,
            in_force_from=self.in_force_from,
            texts=self.texts,
            source=self.source,
            actor=actor,
            reason="load_timeline",
        )


@dataclass(frozen=True)
class PeriodRow:
    """The days that must lie between the publication of a notice and its force, in every country."""

    days: int
    effective_from: dt.date
    source: str

    @property
    def known_from(self) -> dt.date:
        return self.effective_from

    @property
    def label(self) -> str:
        return f"notice period of {self.days} days from {self.effective_from}"

    def find(self) -> Policy | None:
        return Policy.objects.filter(
            kind=PolicyKind.NOTICE_DAYS,
            effective_from=self.effective_from,
            value=self.days,
            source=self.source,
        ).first()

    def propose(self, actor: User) -> Policy:
        return proposing.propose_policy(
            kind=PolicyKind.NOTICE_DAYS,
            value=self.days,
            effective_from=self.effective_from,
            source=self.source,
            actor=actor,
            reason="load_timeline",
        )


@dataclass(frozen=True)
class RuleRow:
    rule: RuleKind
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
        return proposing.propose_rule(
            purpose=Purpose.GENERATIVE_AI,
            countries=self.countries,
            rule=self.rule,
            effective_from=self.effective_from,
            source=self.source,
            actor=actor,
            reason="load_timeline",
        )


@dataclass(frozen=True)
class AgeRow:
    """An age that a country's law asks for, of every purpose."""

    age: int
    countries: frozenset[str]
    effective_from: dt.date
    source: str

    @property
    def known_from(self) -> dt.date:
        return self.effective_from

    @property
    def label(self) -> str:
        return f"age {self.age} in {', '.join(sorted(self.countries))} from {self.effective_from}"

    def find(self) -> AgeRule | None:
        return AgeRule.objects.filter(
            age=self.age, effective_from=self.effective_from, source=self.source
        ).first()

    def propose(self, actor: User) -> AgeRule:
        return proposing.propose_age(
            countries=self.countries,
            age=self.age,
            effective_from=self.effective_from,
            source=self.source,
            actor=actor,
            reason="load_timeline",
        )


RECONSTRUCTED = "Reconstructed for this timeline from public reports; not the company's own words."
"""The beginning of each text of the timeline: the portal says nothing in the name of the company."""

TEXTS_OF_2024 = {
    "en": f"""{RECONSTRUCTED}

From 18 September 2024 we use personal data and content of members to train models that generate content. This applies to
us and to our affiliates.

Data: your profile, your posts and articles, your feedback, the language you prefer, how often you use the product, and
what you type into generative features. Never: private messages, passwords, payment data, salary data.

The setting "Data for Generative AI improvement" is on. You may switch it off at any time. Your data is then not used from
that moment on; training that has been done is not undone. Data of members in the European Union, the European Economic
Area and Switzerland is not used until further notice.

For other machine learning, such as personalisation and safety, you may object by the Data Processing Objection Form.""",
}
TEXTS_OF_2025 = {
    "en": f"""{RECONSTRUCTED}

Published on 18 September 2025. From 3 November 2025 we also use data of members in the European Union, the European
Economic Area, Switzerland, the United Kingdom, Canada and Hong Kong to train models that generate content. The basis is our
legitimate interest.

Data: your profile, your posts and articles, your feedback, the language you prefer, how often you use the product, what
you type into generative features, job-related data and what you do in groups. Never: private messages, passwords, payment
data, salary data. Data of members under 18 is not used.

You may switch the setting "Data for Generative AI improvement" off before that day and at any time after it, or object.
Who has switched it off stays out.""",
    "de": """Für diese Zeitleiste aus öffentlichen Berichten rekonstruiert; nicht der Wortlaut des Unternehmens.

Veröffentlicht am 18. September 2025. Ab dem 3. November 2025 verwenden wir auch Daten von Mitgliedern in der Europäischen
Union, im Europäischen Wirtschaftsraum, in der Schweiz, im Vereinigten Königreich, in Kanada und in Hongkong, um Modelle zu
trainieren, die Inhalte erzeugen. Grundlage ist unser berechtigtes Interesse.

Daten: Ihr Profil, Ihre Beiträge und Artikel, Ihr Feedback, die bevorzugte Sprache, wie oft Sie das Produkt nutzen, Eingaben
in generative Funktionen, berufsbezogene Daten und Ihre Aktivität in Gruppen. Nie: private Nachrichten, Passwörter,
Zahlungsdaten, Gehaltsdaten. Daten von Mitgliedern unter 18 Jahren werden nicht verwendet.

Sie können die Einstellung vor diesem Tag und jederzeit danach ausschalten oder widersprechen.""",
}

# In the order of their dates: an approval must know the exclusions it lifts.
TIMELINE: tuple[NoticeRow | RuleRow | AgeRow | PeriodRow, ...] = (
    # First: members who are imported after it get their date of majority for this age.
    AgeRow(
        19,
        frozenset({"KR"}),
        dt.date(2013, 7, 1),
        "Civil Act of the Republic of Korea, Art. 4: majority at 19, in force 2013-07-01",
    ),
    # History as it was, not a rule to follow: this one notice held from its publication on.
    PeriodRow(
        0,
        dt.date(2024, 9, 18),
        "Historical exception of this day: the setting went live before the privacy policy said so (404 Media)",
    ),
    # Before this notice there is none: no member's data may be used (press of that day, 404 Media).
    NoticeRow(
        version="2024-09-18",
        countries=ADMITTED_IN_2024 | CROWN | OF_THEIR_OWN,
        published_on=dt.date(2024, 9, 18),
        in_force_from=dt.date(2024, 9, 18),
        source="Privacy policy and FAQ of 2024-09-18",
        data_categories=NAMED_IN_2024,
        texts=TEXTS_OF_2024,
    ),
    RuleRow(
        RuleKind.EXCLUDED,
        EEA_AND_SWITZERLAND,
        dt.date(2024, 9, 18),
        "FAQ of 2024-09-18: not in the EU, the EEA and Switzerland until further notice",
    ),
    RuleRow(
        RuleKind.EXCLUDED,
        FOLLOWING_THE_EU,
        dt.date(2024, 9, 18),
        "For review: excluded as the EU is until a source admits them; no public source",
    ),
    RuleRow(
        RuleKind.EXCLUDED,
        frozenset({"CN"}),
        dt.date(2024, 9, 18),
        "Mainland China: no source ever admits it; The Register of 2025-01-22 calls it exempt",
    ),
    RuleRow(
        RuleKind.DEFAULT_ON,
        ADMITTED_IN_2024,
        dt.date(2024, 9, 18),
        "FAQ of 2024-09-18: on by default",
    ),
    RuleRow(
        RuleKind.DEFAULT_ON,
        CROWN,
        dt.date(2024, 9, 18),
        "FAQ of 2024-09-18: on by default, the United Kingdom not excepted",
    ),
    *(
        RuleRow(
            RuleKind.DEFAULT_ON,
            frozenset({code}),
            dt.date(2024, 9, 18),
            f"FAQ of 2024-09-18: on by default, {NAMES[code]} not excepted",
        )
        for code in sorted(OF_THEIR_OWN)
    ),
    PeriodRow(
        30, dt.date(2024, 9, 19), "The end of the exception: 30 days of notice, as everywhere"
    ),
    RuleRow(
        RuleKind.EXCLUDED,
        CROWN,
        dt.date(2024, 9, 20),
        "ICO statement of 2024-09-20: suspended for the United Kingdom",
    ),
    RuleRow(
        RuleKind.EXCLUDED,
        frozenset({"HK"}),
        dt.date(2024, 10, 11),
        "PCPD statement of 2024-10-15: paused for Hong Kong since 2024-10-11",
    ),
    RuleRow(
        RuleKind.EXCLUDED,
        frozenset({"CA"}),
        dt.date(2024, 12, 10),
        "Privacy Commissioner of Canada, news release of 2024-12-10: paused for Canada",
    ),
    # The DPC's statement says "narrower data and period" and names no category: none is left out here.
    # A source that names one becomes a notice that supersedes this one.
    NoticeRow(
        version="2025-09-18",
        countries=JOINED_IN_2025,
        published_on=dt.date(2025, 9, 18),
        in_force_from=dt.date(2025, 11, 3),
        source="Company notice of 2025-09-18; DPC statement of 2025-11-07",
        data_categories=NAMED_IN_2025,
        texts=TEXTS_OF_2025,
    ),
    RuleRow(
        RuleKind.DEFAULT_ON,
        JOINED_IN_2025,
        dt.date(2025, 11, 3),
        "Company notice of 2025-09-18; DPC statement of 2025-11-07",
    ),
)


def load(*, proposer: User, approver: User, until: dt.date | None = None) -> Iterator[str]:
    """Load the rows known by `until` that are not there yet; a sentence for each.

    A load that broke off between a proposal and its approval is completed by the next one; a proposal that
    was rejected stays so. Raises NeedsSecondPerson for one person in both parts, InvalidInput for a user
    whose role may not do theirs.
    """
    if proposer.pk == approver.pk:
        raise NeedsSecondPerson("The proposer cannot approve: name two different people.")
    for person, field, permissions in (
        (
            proposer,
            "proposed_by",
            [
                "consent.add_regionrule",
                "consent.add_notice",
                "consent.add_agerule",
                "consent.add_policy",
            ],
        ),
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
            proposing.review(
                proposal=proposal,
                verdict=ReviewVerdict.APPROVED,
                actor=approver,
                reason="load_timeline",
            )
            yield f"{row.label}: {'was proposed, now' if found else 'proposed and'} approved"
        elif found is None:
            yield f"{row.label}: recorded, applies at once"
        elif proposal.needs_approval and proposal.review.verdict == ReviewVerdict.REJECTED:
            yield f"{row.label}: was rejected, left so"
        else:
            yield f"{row.label}: there already"
