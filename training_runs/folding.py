"""The second way: a manifest derived from history alone.

Nothing here reads current state, and nothing is shared with `eligibility` but the words of its reasons and
the archive's format. It folds ledger entries, history rows and decisions up to the cut, a row at a time,
and must arrive at the same bytes.
"""

import datetime as dt
from array import array
from collections.abc import Iterable

from pyroaring import BitMap

from consent.choices import Choice, Rule, Status, Verdict
from consent.countries import (
    CANARY_EXCLUDED,
    CANARY_NO_NOTICE,
    CANARY_OPEN,
    CANARY_OPT_IN,
    UNKNOWN,
)
from consent.models import Decision, Member, Notice, RegionRule, Review
from objections.choices import Effect
from objections.models import Objection
from portal.merkle import root_of
from portal.models import Entry
from training_runs import archives, manifest_file
from training_runs.eligibility import BY_CODE
from training_runs.models import Manifest, Run

# What a country lets happen: members are left out, asked, or in unless they say no.
_OUT, _ASK, _IN = "out", "ask", "in"
_CODES = [code for code in BY_CODE if code != "not_in_parent"]


def derive(manifest: Manifest) -> bytes:
    """The archive's bytes according to history up to the manifest's cut."""
    cut = manifest.cut
    run = Run.history.filter(id=manifest.run_id, entry_id__lte=cut).order_by("-history_id").first()
    assert run is not None
    rules, rule_ids = _rules(run.purpose, run.as_of, cut)
    notices = _notices(run.purpose, run.as_of, cut)
    covered = _covered(rules, notices, run.data_categories)
    rules |= {CANARY_OPEN: _IN, CANARY_NO_NOTICE: _IN, CANARY_OPT_IN: _ASK, CANARY_EXCLUDED: _OUT}
    covered |= {CANARY_OPEN, CANARY_OPT_IN, CANARY_EXCLUDED}
    choices = _choices(run.purpose, cut)
    objections = _objections(run.purpose, cut)

    out = {code: array("I") for code in _CODES}
    included = array("I")
    population = 0
    for number, country, adult_on, status in _members(cut):
        population += 1
        reasons = _facts_against(status, adult_on, run.as_of)
        reasons += _country_against(country, rules, covered, choices.get(number))
        if choices.get(number) == Choice.DENY:
            reasons.append("opted_out")
        reasons += objections.get(number, ())
        for code in reasons:
            out[code].append(number)
        if not reasons:
            included.append(number)

    sets = {code: BitMap(out[code]) for code in _CODES}
    members = BitMap(included)
    parent = None
    if run.parent_id is not None:
        frozen = Manifest.objects.select_related("run").get(run=run.parent_id)
        parent = {"run": frozen.run.reference, "manifest": frozen.digest}
        allowed = manifest_file.parse(archives.load(frozen.digest)).included
        sets["not_in_parent"] = BitMap(range(1, population + 1)) - allowed
        members &= allowed
    leaves = Entry.objects.filter(sequence__lte=cut).order_by("sequence")
    root = root_of(
        bytes.fromhex(leaf) for leaf in leaves.values_list("leaf", flat=True).iterator(10_000)
    )
    _, data = manifest_file.build(
        {
            "run": run.reference,
            "purpose": run.purpose,
            "data_categories": run.data_categories,
            "parent": parent,
            "as_of": run.as_of,
            "cut": cut,
            "ledger_root": root.hex(),
            "notices": sorted(row.version for row in notices),
            "region_rules": sorted(rule_ids),
            "reasons": {
                code: {"sentence": BY_CODE[code].sentence, "ground": BY_CODE[code].ground}
                for code in sets
            },
        },
        population,
        members,
        sets,
    )
    return data


def _facts_against(status: str, adult_on: dt.date | None, as_of: dt.date) -> list[str]:
    reasons = []
    if status == Status.ERASED:
        reasons.append("erased")
    elif status != Status.OPEN:
        reasons.append("closed")
    if adult_on is None or adult_on > as_of:
        reasons.append("minor")
    return reasons


def _country_against(
    country: str, rules: dict[str, str], covered: set[str], choice: str | None
) -> list[str]:
    if country == UNKNOWN:
        return ["country_unknown"]
    rule = rules.get(country, _OUT)
    if rule == _OUT:
        return ["region"]
    reasons = [] if country in covered else ["no_notice"]
    if rule == _ASK and choice != Choice.ALLOW:
        reasons.append("not_opted_in")
    return reasons


def _members(cut: int) -> Iterable[tuple[int, str, dt.date | None, str]]:
    """Each member's last row up to the cut."""
    rows = (
        Member.history.filter(entry_id__lte=cut)
        .order_by("id", "history_id")
        .values_list("id", "country", "adult_on", "status")
        .iterator(10_000)
    )
    last = None
    for row in rows:
        if last is not None and row[0] != last[0]:
            yield last
        last = row
    if last is not None:
        yield last


def _choices(purpose: str, cut: int) -> dict[int, str]:
    """Each member's choice: the newest decision, and among equally new ones a *deny*."""
    newest: dict[int, tuple[dt.datetime, str]] = {}
    rows = Decision.objects.filter(purpose=purpose, evidence_only=False, entry_id__lte=cut)
    for number, choice, at in rows.values_list("member_id", "choice", "decided_at").iterator(
        10_000
    ):
        known = newest.get(number)
        if known is None or at > known[0] or (at == known[0] and choice == Choice.DENY):
            newest[number] = (at, choice)
    return {number: choice for number, (_, choice) in newest.items()}


def _objections(purpose: str, cut: int) -> dict[int, list[str]]:
    effects: dict[int, tuple[int | None, str]] = {}
    rows = Objection.history.filter(purpose=purpose, entry_id__lte=cut).order_by("history_id")
    for objection, number, effect in rows.values_list("id", "member_id", "effect"):
        effects[objection] = (number, effect)
    found: dict[int, list[str]] = {}
    for number, effect in effects.values():
        code = {Effect.RESTRICTING: "objection_open", Effect.UPHELD: "objection_upheld"}.get(
            Effect(effect)
        )
        if number is not None and code and code not in found.setdefault(number, []):
            found[number].append(code)
    return found


def _rules(purpose: str, as_of: dt.date, cut: int) -> tuple[dict[str, str], set[int]]:
    """What each country lets happen, and the rows that say so.

    A row that lets more happen than the one before it counts only if it was approved after that one.
    """
    approvals = _verdicts("region_rule_id", cut)
    weight = {Rule.EXCLUDED: 2, Rule.OPT_IN: 1, Rule.DEFAULT_ON: 0}
    meaning = {Rule.EXCLUDED: _OUT, Rule.OPT_IN: _ASK, Rule.DEFAULT_ON: _IN}
    found: dict[str, RegionRule] = {}
    rows = RegionRule.objects.filter(purpose=purpose, entry_id__lte=cut, effective_from__lte=as_of)
    for row in sorted(rows, key=lambda row: (row.effective_from, row.entry_id, row.pk)):
        approved_at = approvals.get(row.pk, 0)
        if row.needs_approval and not approved_at:
            continue
        for country in row.countries:
            before = found.get(country)
            tightens = weight[Rule(row.rule)] >= (weight[Rule(before.rule)] if before else 2)
            if tightens or approved_at > (before.entry_id if before else 0):
                found[country] = row
    return {country: meaning[Rule(row.rule)] for country, row in found.items()}, {
        row.pk for row in found.values()
    }


def _notices(purpose: str, as_of: dt.date, cut: int) -> list[Notice]:
    approvals = _verdicts("notice_id", cut)
    in_force = [
        row
        for row in Notice.objects.filter(entry_id__lte=cut, in_force_from__lte=as_of)
        if row.pk in approvals or not row.needs_approval
    ]
    replaced = {row.supersedes_id for row in in_force}
    return [row for row in in_force if row.pk not in replaced and purpose in row.purposes]


def _verdicts(field: str, cut: int) -> dict[int, int]:
    """Approved proposals, and the entry that approved them."""
    rows = Review.objects.filter(entry_id__lte=cut, verdict=Verdict.APPROVED)
    return {key: entry for key, entry in rows.values_list(field, "entry_id") if key is not None}


def _covered(countries: Iterable[str], notices: list[Notice], categories: list[str]) -> set[str]:
    covered = set()
    for country in countries:
        here = [set(row.data_categories) for row in notices if country in row.countries]
        if here and set(categories) <= set().union(*here):
            covered.add(country)
    return covered
