"""A delivery of every member against writing the same list without a check; the gate against `GET /me`."""

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from common.identity import roles, tokens
from consent import decisions as consent
from consent.members import CANARY_PREFIX
from consent.models import AccountReference
from deliveries.made import archives, lists, making, requesting, stores
from deliveries.models import Delivery
from training_runs.models import Manifest
from training_runs.runs import verifying

WITHDRAWN = 1_000
"""Members who say no between the freeze and the deliveries."""
REQUESTS = int(os.environ.get("BENCH_REQUESTS", "300"))
"""Requests of each kind to the gate and to `GET /me`."""
MAX_ROUNDS = 3
"""A delivery is long: more rounds would tell nothing new."""


def report(rounds: int) -> None:
    """Verify the newest manifest, deliver it several times, and print the processor's seconds and the ratios."""
    manifest = Manifest.objects.select_related("run").latest("pk")
    verified = _cpu(lambda: verifying.verify(manifest))
    owner = User.objects.get(username="bench-1")
    owner.groups.add(Group.objects.get(name=roles.ML_ENGINEER))
    owner = User.objects.get(pk=owner.pk)  # its permissions are read anew
    _withdraw()
    delivery, _ = requesting.request(run=manifest.run, actor=owner)
    delivery, first = _made(delivery)
    taken = [first]
    for _ in range(min(rounds, MAX_ROUNDS) - 1):
        renewed, _ = requesting.renew(delivery=delivery, actor=owner)
        delivery, again = _made(renewed)
        taken.append(again)
    cpu, wall = (statistics.median(seconds) for seconds in zip(*taken, strict=True))
    rows = delivery.rows or 1
    million = cpu / rows * 1_000_000
    print(
        f"delivery: subtraction at a cut, list on disk, checked by set and count, ledger entry"
        f" ({rows:,} delivered, {delivery.subtracted:,} subtracted, {_size(delivery):,} bytes)"
    )
    print(f"  {'the verification before it':46} {verified[0]:8.3f} s of the processor")
    print(f"  {'the delivery':46} {cpu:8.3f} s of the worker's processor, {wall:.3f} s in all")
    print(f"  {'for 1,000,000 delivered members':46} {million:8.3f} s   (aim: at most 5)")
    bare = statistics.median(_cpu(_bare)[0] for _ in taken)
    print(
        f"  {'reading the same references, nothing else':46} {bare:8.3f} s"
        f"   delivery ÷ this = {cpu / bare:.2f}"
    )
    _report_gate(manifest, owner)


def _withdraw() -> None:
    references = AccountReference.objects.exclude(account_ref__startswith=CANARY_PREFIX)
    out = references.order_by("-member_id").values_list("account_ref", flat=True)[:WITHDRAWN]
    now = timezone.now()
    consent.record_decisions(
        [
            consent.DecisionInput(
                reference, "generative-ai", "deny", "product", f"bench-withdrawn-{number}", now
            )
            for number, reference in enumerate(out)
        ],
        actor="command:bench",
    )


def _made(delivery: Delivery) -> tuple[Delivery, tuple[float, float]]:
    taken = _cpu(lambda: making.make(delivery.pk))
    made = Delivery.objects.get(pk=delivery.pk)
    if made.rows is None or made.rows != len(archives.load(made).delivered):
        raise SystemExit(f"{made.reference} is {made.get_state_display()}: {made.end_reason}")
    return made, taken


def _size(delivery: Delivery) -> int:
    return sum(
        stores.path_of(delivery.reference, one["sha256"]).stat().st_size for one in delivery.files
    )


def _bare() -> None:
    """Costs that a list has at least through the ORM: number and reference of each member, in order."""
    rows = AccountReference.objects.order_by("member_id").values_list("member_id", "account_ref")
    for _ in rows.iterator(lists.PAGE):
        pass


def _cpu(action: Callable[[], Any]) -> tuple[float, float]:
    """Seconds of this process's processor, and of the clock on the wall."""
    cpu, wall = time.process_time(), time.perf_counter()
    action()
    return time.process_time() - cpu, time.perf_counter() - wall


def _report_gate(manifest: Manifest, owner: User) -> None:
    _, key = tokens.issue_token(
        user=owner, name="bench", scopes=["runs:read"], days=1, actor="command:bench"
    )
    client = Client(headers={"Authorization": f"Bearer {key}"})
    reference = manifest.run.reference
    addresses = {
        "GET /me": reverse("api:me"),
        "the gate, open": reverse("api:run-gate", args=[reference]),
    }
    for address in addresses.values():
        answer = client.get(address)
        if answer.status_code != 200:
            raise SystemExit(f"{address} answers {answer.status_code}: {answer.content!r}")
    taken = dict.fromkeys(addresses, 0.0)
    for _ in range(REQUESTS):
        # In turn: a slow moment of the machine hits both.
        for name, address in addresses.items():
            taken[name] += _cpu(lambda address=address: client.get(address))[0]  # type: ignore[misc]
    print(f"the gate: may this run be trained on now ({REQUESTS:,} requests of each, with a token)")
    for name, seconds in taken.items():
        ratio = seconds / taken["GET /me"]
        print(
            f"  {name:46} {seconds / REQUESTS * 1000:8.3f} ms of the processor   ÷ GET /me = {ratio:.2f}"
        )
    print("   (aim: at most 4)")
