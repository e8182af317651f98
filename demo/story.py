"""The story, told through the API: what the portal refuses, freezes, proves and explains."""

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from demo.client import Client
from demo.switching import Switching
from tools.receipts import Runner, file, statement

CATEGORIES = ["posts", "profile"]
FREEZE_SECONDS = 60

# The days on which something changed, and what.
TIMELINE = {
    dt.date(
        2024, 9, 18
    ): "default-on with a notice; EU, EEA, Switzerland and mainland China excluded",
    dt.date(2024, 9, 20): "United Kingdom excluded",
    dt.date(2024, 10, 11): "Hong Kong excluded",
    dt.date(2024, 12, 10): "Canada excluded",
    dt.date(
        2025, 11, 3
    ): "EU, EEA, Switzerland, UK, Canada, Hong Kong default-on after a new notice",
}


@dataclass
class Told:
    """A run of the story, and what the portal said of it."""

    reference: str
    rules_of: str
    manifest: dict[str, Any]
    withdrawn: dict[str, Any] = field(default_factory=dict)

    @property
    def verified(self) -> bool:
        return bool(self.manifest["verification"] == "agrees")

    @property
    def excluded(self) -> dict[str, int]:
        """How many each reason leaves out."""
        return {reason["code"]: reason["members"] for reason in self.manifest["excluded"]}


class Story:
    def __init__(
        self,
        *,
        product: Client,
        trainer: Client,
        switching: Switching,
        onlooker: str,
        leaver: str,
        load_rules: Callable[[dt.date], None],
        say: Callable[[str], object],
    ) -> None:
        self.runs: list[Told] = []
        self._product = product
        self._trainer = trainer
        self._switching = switching
        # The account of a member who has no reason to be out, and does not switch at random.
        self._onlooker = onlooker
        self._leaver = leaver
        self._load_rules = load_rules
        self._say = say

    def tell(self) -> None:
        """All of it. Raises UnexpectedAnswer where the portal does something else."""
        self.refused_without_notice()
        self._say("\nMembers begin to switch the setting off and on, and go on doing so.")
        self._switching.start()
        for day, change in TIMELINE.items():
            self._say(f"\n{day}: {change}.")
            self._load_rules(day)
            told = self.frozen(self.register(f"llm-{day}"), f"{day}")
            if len(self.runs) == 1:
                self.explained_before_and_after(told)
        self._say("\nFine-tuning the last model: the same data again is a run of its own.")
        parent = self.runs[-1]
        self.frozen(self.register("llm-fine-tuning", parent=parent.reference), "child of the last")
        self.used_and_completed(parent)
        self._switching.stop()
        self._say(
            f"\n{self._switching.acknowledged:,} decisions were recorded in the course of the story."
        )
        for told in self.runs:
            told.withdrawn = self._trainer.get(f"runs/{told.reference}/withdrawn").json

    # --- Steps ------------------------------------------------------------------------------------

    def register(self, tracker_run_id: str, *, parent: str | None = None) -> str:
        body = {
            "tracker_run_id": tracker_run_id,
            "purpose": "generative-ai",
            "data_categories": CATEGORIES,
            "title": tracker_run_id.replace("llm-", "Language model, "),
        }
        if parent:
            body["parent"] = parent
        reference: str = self._trainer.post("runs", body, expect=201).json["reference"]
        return reference

    def refused_without_notice(self) -> None:
        reference = self.register("llm-too-early")
        answer = self._trainer.post(f"runs/{reference}/start", expect=409)
        problem = answer.json
        codes = ", ".join(reason["code"] for reason in problem["reasons"])
        self._say(f"\nBefore any notice: {reference} is refused (409 {problem['code']}: {codes}).")
        self._say(f"  {problem['detail']}")

    def frozen(self, reference: str, rules_of: str) -> Told:
        """Start a run and wait until the worker has frozen and verified its manifest."""
        before = self._switching.acknowledged
        unmatched = self._trainer.get(f"runs/{reference}").json["unmatched_objections"]
        accepted = {"accept_unmatched": True} if unmatched["needs_acceptance"] else {}
        if accepted:
            self._say(
                f"{unmatched['count']} open objections reach no account yet, the oldest since"
                f" {unmatched['oldest_received_at'][:10]}: the start of {reference} accepts it."
            )
        self._trainer.post(f"runs/{reference}/start", accepted, expect=202)
        until = time.monotonic() + FREEZE_SECONDS
        while not self._is_verified(reference):
            if time.monotonic() > until:
                raise TimeoutError(f"{reference} was not frozen and verified: see serve.log.")
            time.sleep(0.1)
        told = Told(reference, rules_of, self._manifest(reference))
        self.runs.append(told)
        meanwhile = self._switching.acknowledged - before
        self._say(
            f"{reference} is frozen: {told.manifest['included']:,} members are in;"
            f" {meanwhile:,} decisions came in meanwhile."
        )
        return told

    def explained_before_and_after(self, told: Told) -> None:
        """One member asks twice: before and after switching the setting off."""
        self._say("One member asks why:")
        self._explain(told)
        self._product.post(
            "decisions",
            {
                "account_ref": self._onlooker,
                "purpose": "generative-ai",
                "choice": "deny",
                "channel": "product",
                "source_id": "demo-the-one-who-asked",
                "decided_at": dt.datetime.now(dt.UTC).isoformat(),
            },
            expect=201,
        )
        self._say("  … and switches the setting off:")
        self._explain(told)

    def used_and_completed(self, told: Told) -> None:
        """A delivery, a training on it, a member who leaves meanwhile, a receipt, the end."""
        delivery = self._delivered(told)
        self._trainer.post(f"runs/{told.reference}/training", {"delivery": delivery["reference"]})
        self._trainer.post(f"runs/{told.reference}/heartbeat", {"is_reading": True})
        self._say(f"{told.reference} is in training on {delivery['reference']}.")
        self._withdrawn_meanwhile(told)
        receipt = self._receipt(told, delivery)
        done = self._trainer.post(f"runs/{told.reference}/complete").json
        self._say(
            f"{told.reference} is completed on {receipt['reference']}, with {len(done['findings'])} findings."
        )
        self._check_derived(delivery["reference"])

    def _check_derived(self, reference: str) -> None:
        """Wait until the worker has derived a delivery a second way, and tell the outcome."""
        until = time.monotonic() + FREEZE_SECONDS
        while (one := self._trainer.get(f"deliveries/{reference}").json)[
            "verification"
        ] == "pending":
            if time.monotonic() > until:
                raise TimeoutError(f"{reference} was not verified: see serve.log.")
            time.sleep(0.1)
        if one["verification"] != "agrees":
            raise ValueError(f"History gives another {reference}.")
        self._say(f"  {reference} is derived once more, from history alone: the same bytes.")

    def _delivered(self, told: Told) -> dict[str, Any]:
        """The delivery of a run, downloaded and compared with its digest."""
        path = f"runs/{told.reference}/deliveries"
        reference = self._trainer.post(path, expect=202).json["reference"]
        until = time.monotonic() + FREEZE_SECONDS
        while (one := self._trainer.get(f"deliveries/{reference}").json)["state"] == "requested":
            if time.monotonic() > until:
                raise TimeoutError(f"{reference} was not made: see serve.log.")
            time.sleep(0.1)
        if one["state"] != "delivered":
            raise ValueError(f"{reference} is {one['state']}: {one['end_reason']}")
        file = one["files"][0]
        data = self._trainer.get(f"deliveries/{reference}/files/{file['name']}").body
        if sha256(data).hexdigest() != file["sha256"]:
            raise ValueError(f"The list of {reference} does not have its digest.")
        self._say(
            f"{reference}: {one['rows']:,} accounts delivered, {one['subtracted']:,} of the manifest subtracted; the"
            f" list has {len(data):,} bytes, SHA-256 as sealed."
        )
        return dict(one)

    def _withdrawn_meanwhile(self, told: Told) -> None:
        """A member switches off during the training, and the training says that it knows."""
        self._product.post(
            "decisions",
            {
                "account_ref": self._leaver,
                "purpose": "generative-ai",
                "choice": "deny",
                "channel": "product",
                "source_id": "demo-the-one-who-left",
                "decided_at": dt.datetime.now(dt.UTC).isoformat(),
            },
            expect=201,
        )
        path = f"runs/{told.reference}/withdrawn"
        said = self._trainer.get(f"{path}?page_size=1").json
        self._trainer.post(f"{path}/acknowledgements", {"digest": said["digest"]})
        self._say(
            f"  A member switches the setting off; the training acknowledges {said['withdrawn']:,} withdrawals since the"
            " freeze."
        )

    def _receipt(self, told: Told, delivery: dict[str, Any]) -> dict[str, Any]:
        """The signed word of the preparation, under a key that the trainer registers."""
        runner = Runner()
        challenge = self._trainer.post("me/keys/challenges").json["challenge"]
        self._trainer.post("me/keys", runner.answer(challenge, "demo runner"), expect=201)
        now = dt.datetime.now(dt.UTC).isoformat().replace("+00:00", "Z")
        envelope = runner.sign(
            statement(
                self._trainer.get(f"runs/{told.reference}").json,
                delivery,
                inputs=[file("raw/posts.parquet", b"the demo's raw posts", 1_000)],
                outputs=[file("clean/posts.parquet", b"the demo's clean posts", 930)],
                dropped={"excluded": 60, "unknown_member": 10},
                started_at=now,
                ended_at=now,
                redaction={
                    "engine": "sample-redaction",
                    "version": "1.0",
                    "hits_by_kind": {"email": 12, "phone": 5},
                    "residual": {"sampled": 100, "found": 0},
                },
                content={"earliest": "2019-01-01", "latest": "2026-09-30"},
            )
        )
        receipt: dict[str, Any] = self._trainer.post(
            f"runs/{told.reference}/receipts", envelope, expect=201
        ).json
        self._say(
            f"  {receipt['reference']}: {receipt['rows_kept']:,} of {receipt['rows_in']:,} rows were kept, as the runner"
            " signs."
        )
        return receipt

    def _explain(self, told: Told) -> None:
        answer = self._trainer.post(
            f"runs/{told.reference}/explanation", {"account_ref": self._onlooker}
        )
        for sentence in answer.json["sentences"]:
            self._say(f"  {sentence}")

    def _is_verified(self, reference: str) -> bool:
        """Whether the check that follows every freeze is done, whatever it found."""
        manifest = self._trainer.get(f"runs/{reference}").json["manifest"]
        return manifest is not None and manifest["verification"] != "pending"

    def _manifest(self, reference: str) -> dict[str, Any]:
        manifest: dict[str, Any] = self._trainer.get(f"runs/{reference}/manifest").json
        return manifest


# --- The table ----------------------------------------------------------------------------------

# What stands above a reason's column; one that is missing here shows its code.
SHORT = {
    "country_unknown": "no country",
    "opted_out": "opted out",
    "no_notice": "no notice",
    "not_opted_in": "not opted in",
    "objection_open": "objecting",
    "objection_upheld": "objected",
    "not_in_parent": "not in parent",
}


def table(runs: list[Told]) -> list[str]:
    """A line per run, a column per reason that left out more than its one test account."""
    reasons = [
        code
        for code in dict.fromkeys(code for told in runs for code in told.excluded)
        if any(told.excluded.get(code, 0) > 1 for told in runs)
    ]
    head = ["run", "rules of", "in", *(SHORT.get(code, code) for code in reasons)]
    rows = [[*head, "withdrawn since", "freeze", "verified"]]
    for told in runs:
        excluded = told.excluded
        rows.append(
            [
                told.reference,
                told.rules_of,
                f"{told.manifest['included']:,}",
                *(f"{excluded[code]:,}" if code in excluded else "-" for code in reasons),
                f"{told.withdrawn['withdrawn']:,}",
                f"{float(told.manifest['seconds']):.2f} s",
                "yes" if told.verified else "NO",
            ]
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
