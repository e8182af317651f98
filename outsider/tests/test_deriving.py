"""The third way: manifests derived from the exported entries alone, by code that shares nothing with the portal."""

import datetime as dt
import itertools
import json
import random
import struct
from contextlib import suppress

import pytest
from pyroaring import BitMap

from consent import countries
from consent.choices import Purpose, ReviewVerdict, RuleKind
from consent.models import Notice
from consent.rulebook import notices, proposing, rules
from ledger.errors import Refusal
from outsider import verify
from tools import factories, sample_export
from tools.campaign import let_a_member_in, with_true_roots
from tools.sample_export import CODES
from training_runs.manifests import archives, container, manifest_file
from training_runs.tests.test_manifest_format_document import SETS


def history_of(lines):
    history = verify.History()
    for line in lines:
        history.add(json.loads(line))
    return history


# Numbers of 32 bits are no members, and such a set takes half a gigabyte.
SMALL_SETS = {name: numbers for name, numbers in SETS.items() if max(numbers, default=0) < 2**20}


def set_of(numbers):
    """The set as verify.py has it: a whole number whose bit n says whether n is in."""
    block = bytearray(max(numbers, default=0) // 8 + 1)
    for number in numbers:
        block[number // 8] |= 1 << number % 8
    return int.from_bytes(block, "little")


@pytest.mark.parametrize("numbers", SMALL_SETS.values(), ids=SMALL_SETS.keys())
def test_a_part_is_read_as_the_portal_writes_it(numbers):
    part = container.portable(BitMap(sorted(numbers)))

    assert verify.set_from(part, 2**20) == set_of(numbers)


def test_a_part_in_another_form_is_refused():
    """The same set, not as short as it can be: two archives would have two digests for one answer."""
    numbers = range(1, 300)
    part = struct.pack("<IIHHI299H", 12346, 1, 0, 298, 16, *numbers)
    assert BitMap.deserialize(part) == BitMap(numbers)

    with pytest.raises(ValueError, match="its form"):
        verify.set_from(part, 300)


def test_a_damaged_part_is_refused_or_says_something_else():
    rng = random.Random(1)
    for name, numbers in SMALL_SETS.items():
        part = container.portable(BitMap(sorted(numbers)))
        true = verify.set_from(part, 2**20)
        for _ in range(30):
            data = bytearray(part)
            data[rng.randrange(len(data))] ^= rng.randrange(1, 256)
            try:
                assert verify.set_from(bytes(data), 2**20) != true, name
            except (ValueError, struct.error):
                continue
        for cut in (1, len(part) // 2):
            with pytest.raises((ValueError, struct.error)):
                verify.set_from(part[:-cut], 2**20)


def test_every_leaf_of_the_members_tree_is_the_one_made_member_by_member(made):
    for run, data in made.sample.archives.items():
        archive = verify.archive_from(data, run)
        assert verify.members_leaves(archive) == made.sample.members[run]


@pytest.mark.parametrize("population", [0, 1, 127, 128, 129, 256])
def test_a_members_tree_of_any_population_has_its_leaves(population):
    everybody = BitMap(range(1, population + 1))
    facts = {
        "as_of": "2026-01-01T00:00:00.000000Z", "days": {}, "consents": {}, "cut": 1, "data_categories": [], "ledger_root": "", "notices": [],
        "parent": None, "policies": {}, "purpose": "x", "region_rules": [], "run": "TR-2026-000001",
        "reasons": {code: {} for code in CODES[:-1]},
    }  # fmt: skip
    odd = BitMap(number for number in everybody if number % 2)
    out = {code: odd if code in ("minor", "opted_out") else BitMap() for code in CODES[:-1]}
    _, data = manifest_file.build(facts, population, everybody - odd, out)

    leaves = verify.members_leaves(verify.archive_from(data, "it"))

    assert len(leaves) == (population + 127) // 128 + 1
    assert leaves == sample_export.members_leaves("TR-2026-000001", data)


# --- Rules and notices, in any order of proposals and reviews --------------------------------------------

DAYS = [dt.date(2024, 9, 18) + dt.timedelta(days=200 * number) for number in range(4)]
PLACES = ["US", "DE", "FR", "BR"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("seed", range(6))
def test_rules_and_notices_hold_as_the_portal_says(officer, second_officer, seed):
    """Tightening and loosening, approved late, rejected or never: the two readings must agree on every day."""
    rng = random.Random(seed)
    waiting = []
    for number in range(40):
        if rng.random() < 0.3 and waiting:
            verdict = rng.choice([ReviewVerdict.APPROVED] * 4 + [ReviewVerdict.REJECTED])
            proposal = waiting.pop(rng.randrange(len(waiting)))
            proposing.review(proposal=proposal, verdict=verdict, actor=second_officer, reason="x")
        elif rng.random() < 0.15:
            _withdraw_notice(rng, officer)
        elif rng.random() < 0.7:
            waiting += _propose_rule(rng, officer)
        else:
            waiting += _propose_notice(rng, officer, number)

    history = history_of(sample_export.lines_of_the_database())

    for day, purpose in itertools.product([*DAYS, dt.date(2030, 1, 1)], Purpose.values):
        held = history.rules_in_force(purpose, day.isoformat())
        expected = rules.rules_in_force(purpose, day)
        assert {country: rows[-1]["id"] for country, rows in held.items()} == {
            country: row.pk for country, row in expected.items()
        }
        found = history.notices_in_force(purpose, day.isoformat())
        assert {row["version"] for row in found} == {
            row.version for row in rules.notices_in_force(day) if purpose in row.purposes
        }


def _propose_rule(rng, officer):
    try:
        row = proposing.propose_rule(
            purpose=rng.choice(Purpose.values),
            countries=countries.expand(rng.sample(PLACES, rng.randrange(1, 4))),
            rule=rng.choice(RuleKind.values),
            effective_from=rng.choice(DAYS),
            source="test",
            actor=officer,
        )
    except Refusal:
        return []
    return [row] if row.needs_approval else []


def _propose_notice(rng, officer, number):
    try:
        row = proposing.propose_notice(
            version=f"v{number}",
            purposes=rng.sample(Purpose.values, 2),
            data_categories=["posts"],
            countries=countries.expand(rng.sample(PLACES, 2)),
            published_on=DAYS[0] - factories.NOTICE_PERIOD,
            texts=factories.TEXTS,
            in_force_from=rng.choice(DAYS),
            source="test",
            supersedes=rng.choice([None, *Notice.objects.all()]),
            actor=officer,
        )
    except Refusal:
        return []
    return [row]


def _withdraw_notice(rng, officer):
    known = list(Notice.objects.all())
    if known:
        with suppress(Refusal):
            notices.withdraw(
                notice=rng.choice(known),
                withdrawn_from=rng.choice(DAYS),
                source="test",
                actor=officer,
            )


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("seed", range(3))
def test_a_world_of_chance_is_derived_to_the_same_sets(
    officer, second_officer, engineer, product, seed
):
    rng = random.Random(seed)
    factories.open_world(officer, second_officer)
    factories.allow(
        officer, second_officer, codes=["DE"], rule=RuleKind.OPT_IN, effective_from=DAYS[1]
    )
    factories.allow(officer, second_officer, codes=["FR"], rule=RuleKind.EXCLUDED)
    for number in range(30):
        factories.add_member(
            f"acc-{number}",
            country=rng.choice(["US", "DE", "FR", ""]),
            adult_on=rng.choice([dt.date(1990, 1, 1), dt.date(2035, 1, 1), None]),
            status=rng.choice(["open", "open", "open", "closed"]),
        )
    same = dt.datetime(2025, 6, 1, 23, 59, tzinfo=dt.UTC)
    for _ in range(60):
        signal = {"channel": "signal", "privacy_signal": True}
        factories.decide(
            f"acc-{rng.randrange(30)}",
            rng.choice(["allow", "deny"]) if (is_setting := rng.random() < 0.8) else "deny",
            actor=product,
            at=rng.choice([same, same - dt.timedelta(days=rng.randrange(400)), None]),
            **({} if is_setting else signal),
        )
    manifest = factories.freeze(engineer)

    history = history_of(sample_export.lines_of_the_database()[: manifest.cut])

    archive = verify.archive_from(archives.load(manifest.digest), "it")
    derived = history.derive(manifest.run_id, list(archive.sets), None, archive.header)

    assert derived.sets == archive.sets
    assert {name: archive.header[name] for name in derived.header} == derived.header


# --- The command ------------------------------------------------------------------------------------------


def run(capsys, *arguments):
    code = verify.main(["derive", *map(str, arguments)])
    said = capsys.readouterr()
    return code, said.out + said.err


def test_one_run_or_all_are_derived(export, capsys):
    assert run(capsys, export)[1].count("the sets are those of the archive") == 4
    assert run(capsys, export, "--run", "TR-2026-000002")[1].count("the sets are") == 1
    assert run(capsys, export, "--run", "TR-2026-000009")[0] == 2


def test_a_member_at_an_entry(export, capsys, made):
    (erasure,) = (
        number for number, line in enumerate(made.sample.lines, 1)
        if json.loads(line)["kind"] == "member.erased" and "Art. 17" in line.decode()
    )  # fmt: skip
    member = int(json.loads(made.sample.lines[erasure - 1])["subject"].split(":")[1])

    before = run(capsys, export, "--cut", erasure - 1, "--member", member)
    after = run(capsys, export, "--cut", erasure, "--member", member)

    assert f"member {member} has the country US" in before[1]
    assert "the account is open" in before[1]
    assert "the account is erased" in after[1]


def test_choices_and_objections_are_told(export, capsys):
    assert "the choice on generative-ai is allow" in run(capsys, export, "--member", 1)[1]
    assert (
        "an objection to generative-ai has the effect restricting"
        in run(capsys, export, "--member", 2)[1]
    )
    assert (
        "an objection to generative-ai has the effect restriction_lifted"
        in run(capsys, export, "--member", 6)[1]
    )
    assert "there is no member 4711" in run(capsys, export, "--member", 4711)[1]
    assert run(capsys, export, "--member", 1, "--cut", 10_000)[0] == 2


def test_a_manifest_that_does_not_follow_is_named(made, tmp_path, capsys):
    """All of it sealed and signed by the real key: only deriving can say that member was let in."""
    sample = with_true_roots(let_a_member_in(random.Random(3), made.sample, "TR-2026-000003"))
    sample_export.write(sample.files(), tmp_path)

    code, said = run(capsys, tmp_path, "--run", "TR-2026-000003")

    assert code == 1
    cut = verify.archive_from(made.sample.archives["TR-2026-000003"], "it").header["cut"]
    assert (
        f"TR-2026-000003: the archive and the entries 1 to {cut} do not agree on who is in" in said
    )
