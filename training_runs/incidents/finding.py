"""Finding: for what entries recorded late, one incident for each run and entry.

A worker looks a few seconds after each entry that may have recorded something late, and the sweeper comes by: writing an
entry never waits for it. It asks what was touched since the last look, and about those members only, whether the manifests
that have them in would have left them out. Looking again finds the same: an incident is one for a run and its cause.
"""

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Any

import structlog
from django.db.models import Max, QuerySet
from pyroaring import BitMap

from common import registry
from common.processes import leases
from consent.models import Member
from ledger import clock, entries
from ledger.errors import Refusal
from ledger.models import Entry
from ledger.references import next_reference
from training_runs.choices import RunState
from training_runs.eligibility import lateness
from training_runs.eligibility.exclusions import EXCLUSIONS
from training_runs.incidents import archive
from training_runs.incidents.cases import TIME_TO_ASSESS
from training_runs.incidents.hindsight import Hindsight, Sets, rules_at
from training_runs.manifests import archives, manifest_file
from training_runs.models import Incident, LateLook, LateLookOwed, Manifest

logger = structlog.get_logger(__name__)

FINDER = "system:incidents"
LOOKING = "look for late facts"


def look() -> list[Incident]:
    """Look at what was recorded since the last look; the incidents it found.

    One process at a time looks; another one finds nothing meanwhile. A manifest that cannot be read keeps no other
    waiting: it is logged, and looked at again from there the next time.
    """
    with leases.held(LOOKING) as is_ours:
        if not is_ours:
            return []
        last, _ = LateLook.objects.get_or_create(pk=1)
        upto = entries.read_head().size
        found = list(_found(last.looked_upto, upto))
        # Only now: what fails is looked at again, and finds what was recorded already.
        LateLook.objects.filter(pk=1).update(looked_upto=upto, looked_at=clock.now())
    return found


def _found(after: int, upto: int) -> Iterator[Incident]:
    manifests = Manifest.objects.filter(cut__lt=upto).exclude(run__state=RunState.CANCELLED)
    newest = manifests.aggregate(at=Max("frozen_at"))["at"]
    if newest is None:
        return
    begins = _begins(manifests, after)
    window = lateness.Window(min([after, *begins.values()]), upto, newest)
    facts = list(_facts(window))
    if not facts:
        return
    for manifest in manifests.select_related("run").order_by("pk"):
        since = max(manifest.cut, begins.get(manifest.pk, after))
        own = [fact for fact in facts if fact.entry > since and _is_about(fact, manifest)]
        try:
            yield from _of_manifest(manifest, own) if own else ()
        except (Refusal, OSError) as error:
            LateLookOwed.objects.update_or_create(manifest=manifest, defaults={"after": since})
            logger.error(
                "late facts not looked for", run=manifest.run.reference, error=type(error).__name__
            )
        else:
            LateLookOwed.objects.filter(manifest=manifest).delete()


def look_at(manifest: Manifest) -> list[Incident]:
    """Look at what was recorded about one manifest and was not looked at yet; the incidents it found. Another look may be under way.

    Two that look at the same time find the same, and it is recorded once. Raises ManifestDamaged, OSError.
    """
    last = _looked_upto()
    begins = _begins(Manifest.objects.filter(pk=manifest.pk), last)
    since = max(manifest.cut, begins.get(manifest.pk, last))
    window = lateness.Window(since, entries.read_head().size, manifest.frozen_at)
    own = [fact for fact in _facts(window) if _is_about(fact, manifest)]
    return list(_of_manifest(manifest, own)) if own else []


def _looked_upto() -> int:
    return LateLook.objects.values_list("looked_upto", flat=True).first() or 0


def _begins(manifests: QuerySet[Manifest], looked_upto: int) -> dict[int, int]:
    """The entry behind which to look, for manifests where it is not the end of the last look."""
    # One that was recorded since the last look has a cut before it.
    begins = dict(manifests.filter(entry_id__gt=looked_upto).values_list("pk", "cut"))
    owed = LateLookOwed.objects.filter(manifest__in=manifests).values_list("manifest", "after")
    return begins | dict(owed)


def _facts(window: lateness.Window) -> Iterator[lateness.LateFact]:
    """Each fact once: several reasons may have the same source."""
    for source in dict.fromkeys(source for exclusion in EXCLUSIONS for source in exclusion.late):
        yield from source(window)


def _is_about(fact: lateness.LateFact, manifest: Manifest) -> bool:
    """Whether a fact held before the manifest was recorded, and was not known by its cut.

    What was recorded while the manifest was being made, at the moment from which it holds, is no late fact: it counts
    from then on, as for every delivery.
    """
    if fact.purpose not in ("", manifest.run.purpose):
        return False
    if fact.holds_from is None:
        return True
    if fact.holds_from > manifest.frozen_at:
        return False
    return fact.entry > manifest.entry_id or fact.holds_from < _recorded_at(fact.entry)


def _recorded_at(entry: int) -> dt.datetime:
    return Entry.objects.values_list("recorded_at", flat=True).get(sequence=entry)


def _of_manifest(manifest: Manifest, facts: Iterable[lateness.LateFact]) -> Iterator[Incident]:
    included = manifest_file.parse(archives.load(manifest.digest)).included
    touched: dict[int, BitMap] = {}
    rulebook: set[int] = set()
    for fact in facts:
        if fact.member is None:
            rulebook.add(fact.entry)
        elif fact.member in included:
            touched.setdefault(fact.entry, BitMap()).add(fact.member)
    seen = Hindsight(manifest)
    by_rules: dict[int, Sets] = {}
    if rulebook:
        changed = _changed(manifest, included)
        for entry in rulebook:
            by_rules[entry] = seen.by_rules(entry, included, changed)
            one_by_one = changed | seen.consenting(entry, included)
            if one_by_one:
                touched[entry] = touched.get(entry, BitMap()) | one_by_one
    known = _known(manifest)
    rules = rules_at(touched, _written_rules(manifest), manifest.cut)
    answers = dict(seen.reasons(touched, rules))
    for entry in sorted({*answers, *by_rules}):
        owed: Sets = {}
        _add(owed, answers.get(entry, {}))
        _add(owed, by_rules.get(entry, {}))
        new = {
            code: members - known.get(code, BitMap())
            for code, members in sorted(owed.items())
            if members - known.get(code, BitMap())
        }
        if not new:
            continue
        _add(known, new)
        if incident := _record(manifest, entry, new):
            yield incident


def _add(sets: Sets, more: Sets) -> None:
    for code, members in more.items():
        sets[code] = sets.get(code, BitMap()) | members


def _changed(manifest: Manifest, included: BitMap) -> BitMap:
    """Those of the included about whom a file said something since the cut: their country may be another one now."""
    rows = Member.history.filter(entry_id__gt=manifest.cut, history_type="~").order_by()
    return BitMap(rows.values_list("id", flat=True).iterator(50_000)) & included


def _written_rules(manifest: Manifest) -> set[int]:
    window = lateness.Window(manifest.cut, entries.read_head().size, manifest.frozen_at)
    return {fact.entry for fact in lateness.rulebook(window)}


def _known(manifest: Manifest) -> Sets:
    """The members of the run's incidents so far, by reason."""
    found: Sets = {}
    for incident in Incident.objects.filter(run=manifest.run_id):
        _add(found, archive.load(incident))
    return found


def _record(manifest: Manifest, cause: int, by_reason: Sets) -> Incident | None:
    """Record an incident. None for one that is there already."""
    run = manifest.run
    data = archive.build(
        {
            "run": run.reference,
            "manifest": manifest.digest,
            "cause": cause,
            "frozen_at": manifest.frozen_at,
        },
        by_reason,
    )
    digest = archives.store(data)
    members = BitMap.union(BitMap(), *by_reason.values())
    with entries.entry("incident.found", actor=FINDER, subject=run.reference) as opened:
        if Incident.objects.filter(run=run, cause=cause).exists():
            opened.abandon()
            return None
        # Under the ledger's lock: of a delivery made at the same time, one of the two sees the other.
        delivered, used = exposure(run.pk, members)
        incident = Incident(
            reference=next_reference("INC", opened.recorded_at.year),
            run=run,
            cause=cause,
            reasons={code: len(members) for code, members in by_reason.items()},
            members=len(members),
            digest=digest,
            found_at=opened.recorded_at,
            delivered=len(delivered),
            used=len(used),
            assess_by=opened.recorded_at + TIME_TO_ASSESS if delivered else None,
        )
        incident.save()
        opened.reason = f"{incident.reference}: entry {cause}, {incident.members} members"
    logger.warning("incident found", run=run.reference, incident=incident.reference)
    return incident


def exposure(run_id: int, members: BitMap) -> tuple[BitMap, BitMap]:
    """Those of the members who were delivered, and those who were used. Raises ManifestDamaged, OSError."""
    delivered, used = BitMap(), BitMap()
    for source in registry.hooks("training_runs.exposure_of_members"):
        one, two = source(run_id, members)
        delivered, used = delivered | one, used | two
    return delivered, used


def oldest_late_fact(now: dt.datetime) -> dt.timedelta | None:
    """The age of the oldest entry that was not looked at yet; None when none waits."""
    waiting = Entry.objects.filter(sequence__gt=_looked_upto()).order_by("sequence")
    recorded_at = waiting.values_list("recorded_at", flat=True).first()
    return now - recorded_at if recorded_at and Manifest.objects.exists() else None


def out_by_incidents(run_id: int, *, cut: int) -> BitMap:
    """The members of a run's incidents that were recorded up to a cut. Raises ManifestDamaged, OSError."""
    return _members_of(Incident.history.filter(run_id=run_id, entry_id__lte=cut))


def out_since(run_id: int, *, cut: int) -> BitMap:
    """The members of a run's incidents that were recorded behind a cut. Raises ManifestDamaged, OSError."""
    return _members_of(Incident.history.filter(run_id=run_id, entry_id__gt=cut))


def _members_of(rows: QuerySet[Any]) -> BitMap:
    found = Incident.objects.filter(pk__in=rows.filter(history_type="+").values("id"))
    return BitMap.union(BitMap(), *(archive.members_of(incident) for incident in found))
