"""Figures of a model from the receipts of its completed runs, and what the receipts leave open."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from deliveries.models import Completion, DataSet, Delivery, Receipt, TrainedModel
from deliveries.receipts.statements import predicate_of
from deliveries.trained_models import runs_of
from training_runs.choices import RunState
from training_runs.models import Run


@dataclass
class Figures:
    """The sum of what the receipts of a model say. A figure that one receipt lacks is open, never guessed."""

    model: TrainedModel
    runs: list[Run]
    receipts: list[Receipt]
    data_sets: list[DataSet]
    tokens: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)
    categories: set[str] = field(default_factory=set)
    earliest: str = ""
    latest: str = ""
    rows_in: int = 0
    rows_kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    hits: Counter[str] = field(default_factory=Counter)
    sampled: int = 0
    left: int = 0
    excluded: Counter[str] = field(default_factory=Counter)
    """Members whom the manifests left out, by reason."""
    subtracted: int = 0
    has_all_tokens: bool = True
    """Whether each receipt names tokens: a sum of some is not the sum."""
    has_all_content: bool = True
    is_redacted: bool = False
    """Whether any receipt applied a redaction."""
    has_all_redaction: bool = True
    """Whether each receipt applied a redaction: of data that was redacted in part, nothing is claimed as a whole."""
    open: list[str] = field(default_factory=list)
    """The gaps of the receipts, in sentences."""

    @property
    def sources(self) -> list[dict[str, str]]:
        """The receipts that everything comes from."""
        return [
            {"receipt": one.reference, "run": one.run.reference, "sha256": one.digest}
            for one in self.receipts
        ]


def band(count: int) -> str:
    """A count as documents show it: under ten only that it is so.

    >>> band(0), band(7), band(1234)
    ('0', 'fewer than 10', '1,234')
    """
    return f"{count:,}" if count == 0 or count >= 10 else "fewer than 10"


def of(model: TrainedModel) -> Figures:
    """The figures of a model, from the receipts of the deliveries that its completed runs rest on.

    Data that was prepared again after a renewal is counted once, and so is data that a child run uses again.
    """
    runs = runs_of(model)
    completed = [run for run in runs if run.state == RunState.COMPLETED]
    used = Completion.objects.filter(run__in=completed).values("receipt__delivery")
    receipts = list(
        Receipt.objects.filter(delivery__in=used).select_related("run", "delivery").order_by("pk")
    )
    found = Figures(
        model,
        runs,
        receipts,
        [],
    )
    if not runs:
        found.open.append("No run belongs to the model.")
    for run in runs:
        if run.state != RunState.COMPLETED:
            found.open.append(f"{run.reference} is {run.get_state_display()}: it is not counted.")
        elif not any(one.run_id == run.pk for one in receipts):
            found.has_all_tokens = found.has_all_content = found.has_all_redaction = False
            found.open.append(f"{run.reference} was completed without a receipt.")
    for run in completed:
        _add_manifest(found, run)
    found.subtracted = sum(
        Delivery.objects.filter(pk__in={one.delivery_id for one in receipts}).values_list(
            "subtracted", flat=True
        )
    )
    _add_receipts(found)
    return found


def _add_receipts(found: Figures) -> None:
    """Add up the receipts; one whose files were all named by earlier receipts tells of the same data again."""
    made: dict[int, list[DataSet]] = {}
    for one in DataSet.objects.filter(receipt__in=found.receipts).order_by("pk"):
        made.setdefault(one.receipt_id, []).append(one)
    named: set[str] = set()
    for receipt in found.receipts:
        files = made.get(receipt.pk, [])
        # An empty file is the same file everywhere, and holds no data.
        again = [one for one in files if one.rows and one.sha256 in named]
        found.data_sets += [one for one in files if one.sha256 not in named]
        named.update(one.sha256 for one in files)
        if again and len(again) == sum(1 for one in files if one.rows):
            continue
        if again:
            found.open.append(
                f"{receipt.reference} names {len(again)} files of earlier receipts: their rows are counted twice."
            )
        _add(found, receipt)


def _add_manifest(found: Figures, run: Run) -> None:
    for part in run.manifest.header["parts"]:
        if part["name"] in run.manifest.header["reasons"]:
            found.excluded[part["name"]] += part["members"]


def _add(found: Figures, receipt: Receipt) -> None:
    said: dict[str, Any] = predicate_of(receipt)
    found.tokens.update(said["tokens"])
    found.bytes.update(said["bytes"])
    found.categories.update(said["data_categories"])
    found.rows_in += said["rows"]["in"]
    found.rows_kept += said["rows"]["kept"]
    found.dropped.update(said["rows"]["dropped"])
    if not said["tokens"]:
        found.has_all_tokens = False
        found.open.append(f"{receipt.reference} names no tokens.")
    if content := said.get("content"):
        found.earliest = min(filter(None, [found.earliest, content["earliest"]]))
        found.latest = max(found.latest, content["latest"])
    else:
        found.has_all_content = False
        found.open.append(f"{receipt.reference} does not say how old its content is.")
    if redaction := said.get("redaction"):
        found.is_redacted = True
        found.hits.update(redaction["hits_by_kind"])
        if residual := redaction.get("residual"):
            found.sampled += residual["sampled"]
            found.left += residual["found"]
        else:
            found.open.append(f"{receipt.reference} sampled nothing after its redaction.")
    else:
        found.has_all_redaction = False
        found.open.append(f"{receipt.reference} applied no redaction.")
