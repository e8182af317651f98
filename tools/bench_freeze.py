"""A freeze against reading the ids once, against rows in a table, and against a loop over the ORM."""

import datetime as dt
import itertools
import random
from typing import Any

from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from consent import members
from consent import services as consent
from consent.choices import Status
from consent.members import Facts
from consent.models import Member
from portal import ledger, roles
from tools.timing import medians
from training_runs import services as runs
from training_runs.eligibility import EXCLUSIONS, Question, ask
from training_runs.models import Manifest, Run

# Roughly a large network's: a third of the members live where the purpose is not allowed.
_COUNTRIES = {"US": 38, "IN": 22, "BR": 8, "CA": 4, "DE": 7, "FR": 6, "IT": 5, "GB": 6, "HK": 2, "CH": 2}  # fmt: skip
_TODAY = dt.date(2026, 1, 1)


def report(count: int, rounds: int) -> None:
    """Fill the database with `count` members and print the freeze's ratios."""
    people = [User.objects.get_or_create(username=name)[0] for name in ("bench-1", "bench-2")]
    for person in people:
        person.groups.add(Group.objects.get(name=roles.PRIVACY_OFFICER))
    _fill(count, people)
    queue = [_requested_run(number, people[0]) for number in range(rounds + 1)]
    question = ask(queue[0].purpose, _TODAY, queue[0].data_categories)

    found = medians(
        rounds,
        {
            "freeze": lambda: runs.freeze(queue.pop().pk),
            "server": _copy_ids_on_the_server,
            "client": _copy_ids_to_a_client,
        },
    )
    found |= medians(1, {"rows": lambda: _insert_rows(question), "loop": lambda: _loop(question)})

    manifest = Manifest.objects.first()
    assert manifest is not None
    print(
        f"freeze: snapshot, rules, guards, archive on disk, ledger entry"
        f" ({manifest.included:,} of {manifest.population:,} included, {manifest.size:,} bytes)"
    )
    print(f"  {'the freeze':46} {found['freeze']:8.3f} s")
    for name, label in {
        "server": "COPY (SELECT id FROM member) TO '/dev/null'",
        "client": "COPY (SELECT id FROM member) to a client",
        "rows": "INSERT … SELECT of manifest rows",
        "loop": "a loop over the ORM",
    }.items():
        ratio = found["freeze"] / found[name]
        print(f"  {label:46} {found[name]:8.3f} s   freeze ÷ this = {ratio:.4f}")


def _fill(count: int, people: list[User]) -> None:
    draw = random.Random(20240918)  # noqa: S311  a synthetic population, the same each time
    codes = draw.choices(list(_COUNTRIES), list(_COUNTRIES.values()), k=count)
    for first in range(0, count, 20_000):
        with ledger.entry("bench.members", actor="command:bench"):
            members.create(
                [
                    (f"bench-{first + place}", _facts(code, draw))
                    for place, code in enumerate(codes[first : first + 20_000])
                ]
            )
    call_command(
        "load_timeline",
        until=dt.date(2024, 10, 11),
        proposed_by="bench-1",
        approved_by="bench-2",
        verbosity=0,
    )
    now = timezone.now()
    out = draw.sample(range(count), count // 20)
    for first in range(0, len(out), 10_000):
        consent.record_decisions(
            [
                consent.DecisionInput(
                    f"bench-{number}", "generative-ai", "deny", "product", f"bench-{number}", now
                )
                for number in out[first : first + 10_000]
            ],
            actor="command:bench",
        )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE)")


def _facts(code: str, draw: random.Random) -> Facts:
    chance = draw.random()
    if chance < 0.02:
        return Facts(code, "", dt.date(2030, 1, 1), Status.OPEN)
    if chance < 0.03:
        return Facts(code, "", None, Status.OPEN)
    status = Status.CLOSED if chance < 0.05 else Status.OPEN
    return Facts(code, "", dt.date(1990, 1, 1), status)


def _requested_run(number: int, owner: User) -> Run:
    run, _ = runs.register(
        tracker_run_id=f"bench-{number}",
        purpose="generative-ai",
        data_categories=["posts", "profile"],
        owner=owner,
    )
    return runs.start(run=run, actor=owner)


def _copy_ids_on_the_server() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"COPY (SELECT id FROM {Member._meta.db_table}) TO '/dev/null'")


def _copy_ids_to_a_client() -> None:
    with connection.cursor() as cursor:
        copying = cursor.copy(f"COPY (SELECT id FROM {Member._meta.db_table}) TO STDOUT")
        with copying as copy:
            for _ in copy:
                pass


def _insert_rows(question: Question) -> None:
    """The manifest as rows of a table with Django's constraints: a row a member, in or out with a reason."""
    out = [
        (exclusion.code, *_compiled(rows))
        for exclusion in EXCLUSIONS
        for rows in exclusion.members(question)
    ]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS bench_manifest_row")
        cursor.execute(
            "CREATE TABLE bench_manifest_row (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,"
            " run_id bigint NOT NULL REFERENCES training_runs_run DEFERRABLE INITIALLY DEFERRED,"
            " member_id integer NOT NULL REFERENCES consent_member DEFERRABLE INITIALLY DEFERRED,"
            " reason varchar(20) NOT NULL, UNIQUE (run_id, member_id))"
        )
        cursor.execute("CREATE INDEX ON bench_manifest_row (run_id)")
        cursor.execute("CREATE INDEX ON bench_manifest_row (member_id)")
        run_id = Run.objects.values_list("pk", flat=True).first()
        excluded = " UNION ALL ".join(
            f"SELECT '{code}', o.* FROM ({sql}) AS o" for code, sql, _ in out
        )
        cursor.execute(
            "INSERT INTO bench_manifest_row (run_id, member_id, reason)"
            " SELECT %s, m.id, coalesce(min(o.code), '') FROM consent_member m"
            f" LEFT JOIN ({excluded}) AS o (code, number) ON o.number = m.id GROUP BY m.id",
            [run_id, *itertools.chain.from_iterable(params for _, _, params in out)],
        )


def _compiled(rows: Any) -> tuple[str, tuple[Any, ...]]:
    field = "id" if rows.model is Member else "member_id"
    numbers = rows.values_list(field, flat=True).order_by()
    sql, params = numbers.query.get_compiler(connection=connection).as_sql()
    return sql, params


def _loop(question: Question) -> int:
    """What a first version would do: look at each member in turn."""
    denied = set(
        Member.objects.filter(
            consents__purpose=question.purpose, consents__choice="deny"
        ).values_list("pk", flat=True)
    )
    included = 0
    for member in Member.objects.iterator(10_000):
        included += (
            member.status == Status.OPEN
            and member.adult_on is not None
            and member.adult_on <= question.as_of
            and member.country not in question.excluded | question.uncovered | question.opt_in
            and member.country != ""
            and member.pk not in denied
        )
    return included
