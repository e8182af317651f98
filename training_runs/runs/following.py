"""Following who has withdrawn from a run: the last answer, and what happened since, at the price of what happened.

An answer is kept with the ledger size that it counts and a fingerprint of the rules that it applied. While the rules are
the same, it can differ only in members about whom something was recorded since: history says about whom, and they alone
are asked about again. New rules, a new day, or too much that happened: the answer is computed over everybody.
"""

from dataclasses import dataclass
from hashlib import sha256

from pyroaring import BitMap

from consent.models import Decision, Member
from consent.rulebook import days
from ledger import clock, entries
from objections.models import Objection
from training_runs.eligibility.exclusions import Question, ask, decide, fingerprint, out_among
from training_runs.incidents import finding
from training_runs.manifests import container
from training_runs.models import Manifest, Run, WithdrawnAnswer
from training_runs.runs.freezing import load

MAX_CHANGES = 50_000
"""With more members than this about whom something was recorded, computing over everybody is quicker."""


@dataclass(frozen=True)
class Followed:
    """The members of a manifest who would be out of a freeze at the cut."""

    cut: int
    members: BitMap
    question: str
    """Fingerprint of the rules that it applied."""
    is_incremental: bool
    """Whether the last answer was gone on from."""

    @property
    def data(self) -> bytes:
        """The set in Roaring's portable format."""
        return container.portable(self.members)


def follow(manifest: Manifest) -> Followed:
    """The members who have withdrawn by now: the same set as `withdrawing.withdrawn_since`. Opens a snapshot. Raises FreezeRefused."""
    run = manifest.run
    with entries.snapshot() as head:
        question = ask(run.purpose, days.at(clock.now()), run.data_categories)
        asked = fingerprint(question)
        kept = _kept(run, asked, head.size)
        changed = _changed_since(kept.cut, run.purpose) if kept else None
        if kept is None or changed is None:
            now = decide(question)
            members = load(manifest).included - now.included
        else:
            members = _go_on(manifest, kept, changed, question)
        members |= finding.out_by_incidents(run.pk, cut=head.size)
    return Followed(head.size, members, asked, kept is not None and changed is not None)


@dataclass(frozen=True)
class _Kept:
    cut: int
    members: BitMap


def _kept(run: Run, question: str, size: int) -> _Kept | None:
    """The newest answer to the same question, if its set is the one that its digest names."""
    found = WithdrawnAnswer.objects.filter(run=run, question=question, members__isnull=False)
    answer = found.filter(cut__lte=size).order_by("-cut").first()
    if answer is None or answer.members is None:
        return None
    data = bytes(answer.members)
    if sha256(data).hexdigest() != answer.digest:
        return None
    return _Kept(answer.cut, BitMap.deserialize(data))


def _changed_since(cut: int, purpose: str) -> BitMap | None:
    """Members about whom something was recorded after a cut that an exclusion may read; None for too many."""
    objections = Objection.history.filter(entry_id__gt=cut).values("id")
    sources = [
        Member.history.filter(entry_id__gt=cut).values_list("id", flat=True),
        Decision.objects.filter(entry_id__gt=cut, purpose=purpose)
        .order_by()
        .values_list("member_id", flat=True),
        # Of a ticket that is another member's now, the one before is asked about too.
        Objection.history.filter(id__in=objections, member_id__isnull=False).values_list(
            "member_id", flat=True
        ),
    ]
    changed = BitMap()
    for source in sources:
        rows = list(source[: MAX_CHANGES + 1])
        changed.update(rows)
        if len(rows) > MAX_CHANGES or len(changed) > MAX_CHANGES:
            return None
    return changed


def _go_on(manifest: Manifest, kept: _Kept, changed: BitMap, question: Question) -> BitMap:
    if not changed:
        return kept.members
    touched = changed & load(manifest).included
    return (kept.members - touched) | out_among(question, touched)


def remember(run: Run, answer: Followed) -> str:
    """Keep an answer: it can be acknowledged by its digest, which is returned, and the next one begins with it."""
    data = answer.data
    digest = sha256(data).hexdigest()
    now = clock.now()
    said = {"cut": answer.cut, "question": answer.question, "answered_at": now}
    own = WithdrawnAnswer.objects.filter(run=run)
    known = own.filter(digest=digest, members__isnull=False)
    # What was computed over everybody is written again: the kept set may have been damaged.
    if not answer.is_incremental or not known.update(**said):
        WithdrawnAnswer.objects.update_or_create(
            run=run,
            digest=digest,
            defaults={**said, "withdrawn": len(answer.members), "members": data},
        )
        own.exclude(digest=digest).filter(cut__lte=answer.cut).update(members=None)
    return digest
