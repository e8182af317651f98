"""Members in from a file: what is stored, what is left out and why, and that twice is once."""

import csv
import datetime as dt
import gc
import gzip
import io
import json
import stat

import pyarrow
import pytest
from django.core.management import CommandError, call_command
from pyarrow import parquet

from common.files import exports
from consent import accounts, members
from consent.imports import importing
from consent.imports.importing import majority
from consent.imports.member_files import ImportStopped
from consent.members import Facts
from consent.models import AccountReference, Census, Member
from ledger.models import Entry
from ledger.verification import verifying
from tools.factories import add_member, decide

pytestmark = pytest.mark.django_db

HEADER = "account_ref,country,adult_on,status"
ADULT = dt.date(2008, 1, 1)


def written(tmp_path, *lines, header=HEADER, name="members.csv"):
    path = tmp_path / name
    path.write_text("\n".join([header, *lines, ""]), encoding="utf-8")
    return path


def run(path, **options):
    """The counts that are not zero, and the lines left out."""
    rejects = []
    summary = importing.import_members(path=path, actor="test", on_reject=rejects.append, **options)
    counts = {
        name: value
        for name, value in vars(summary).items()
        if value and name not in ("read", "ignored_columns")
    }
    return counts, rejects


def command(path, *options):
    """Standard output and the exit code."""
    out, code = io.StringIO(), 0
    try:
        call_command("import_members", str(path), *options, stdout=out)
    except CommandError as error:
        out.write(str(error))
        code = error.returncode
    return out.getvalue(), code


def facts(account_ref):
    return members.known([account_ref])[account_ref].facts


def everybody():
    refs = AccountReference.objects.order_by("member_id").values_list("account_ref", flat=True)
    return {ref: facts(ref) for ref in refs}


# --- What is stored -----------------------------------------------------------------------------


def test_new_members_are_numbered_sealed_and_counted_in_one_entry(tmp_path):
    path = written(tmp_path, "a1,US,2008-01-01,open", "a2,uk,,closed")

    counts, rejects = run(path)

    assert (counts, rejects) == ({"new": 2}, [])
    assert everybody() == {
        "a1": Facts("US", "", ADULT, "open"),
        "a2": Facts("GB", "uk", None, "closed"),
    }
    assert list(Entry.objects.values_list("kind", "actor_name")) == [("members.imported", "test")]
    assert list(Member.history.values_list("id", "history_type", "entry_id").order_by("id")) == [
        (1, "+", 1),
        (2, "+", 1),
    ]
    reference = AccountReference.objects.get(account_ref="a1")
    assert reference.member.reference_seal == members.seal(reference.salt, "a1")
    census = Census.objects.get()
    assert (census.total, census.complete) == (2, 1)
    assert verifying.verify_ledger().problems == []


def test_the_same_file_again_changes_nothing_and_writes_no_entry(tmp_path):
    path = written(tmp_path, *[f"a{i},US,2008-01-01,open" for i in range(25)])
    run(path, batch_size=10)
    assert Entry.objects.count() == 3

    counts, rejects = run(path, batch_size=7)

    assert (counts, rejects) == ({"unchanged": 25}, [])
    assert Entry.objects.count() == 3
    assert Member.history.count() == 25


def test_only_members_whose_facts_differ_are_changed(tmp_path):
    run(written(tmp_path, "a1,US,2008-01-01,open", "a2,US,2008-01-01,open"))

    counts, _ = run(written(tmp_path, "a1,US,2008-01-01,open", "a2,DE,,closed"))

    assert counts == {"unchanged": 1, "changed": 1}
    assert everybody() == {
        "a1": Facts("US", "", ADULT, "open"),
        "a2": Facts("DE", "", None, "closed"),
    }
    assert list(Member.history.filter(id=2).order_by("entry_id").values_list("history_type")) == [
        ("+",),
        ("~",),
    ]
    assert Census.objects.get().complete == 1
    assert verifying.verify_ledger().problems == []


def test_a_member_known_by_a_decision_only_gets_its_facts(tmp_path, product):
    decide("a1", "deny", actor=product)
    assert facts("a1") == Facts()

    counts, _ = run(written(tmp_path, "a1,US,2008-01-01,open"))

    assert counts == {"changed": 1}
    assert facts("a1") == Facts("US", "", ADULT, "open")


def test_an_erased_account_stays_out_and_is_counted(tmp_path):
    add_member("gone")
    accounts.erase_member(account_ref="gone", actor="test", reason="asked for")

    counts, _ = run(written(tmp_path, "gone,US,2008-01-01,open", "a1,US,2008-01-01,open"))

    assert counts == {"erased": 1, "new": 1}
    assert list(AccountReference.objects.values_list("account_ref", flat=True)) == ["a1"]


def test_unknown_age_and_country_are_stored_as_unknown_not_refused(tmp_path):
    path = written(
        tmp_path,
        "a1,,2008-01-01,open",
        "a2,ZZ,2008-01-01,open",
        "a3,United States of America,2008-01-01,open",
        "a4,US,,open",
        "a5,US,2008-01-01,",
    )

    counts, rejects = run(path)

    assert (counts, rejects) == ({"new": 5, "incomplete": 5}, [])
    assert list(everybody().values()) == [
        Facts("", "", ADULT, "open"),
        Facts("", "ZZ", ADULT, "open"),
        Facts("", "United States of Ame", ADULT, "open"),
        Facts("US", "", None, "open"),
        Facts("US", "", ADULT, "unknown"),
    ]
    assert Member.objects.complete().count() == 0


@pytest.mark.parametrize(
    ("born", "adult"),
    [
        ("2008-02-29", "2026-03-01"),
        ("2008-02-28", "2026-02-28"),
        ("1990-06-15", "2008-06-15"),
        ("1900-01-01", "1918-01-01"),
    ],
)
def test_a_birth_date_becomes_the_date_of_majority_and_is_not_kept(tmp_path, born, adult):
    run(written(tmp_path, f"a1,US,{born},open", header="account_ref,country,birth_date,status"))

    assert majority(dt.date.fromisoformat(born)) == dt.date.fromisoformat(adult)
    assert facts("a1").adult_on == dt.date.fromisoformat(adult)
    assert born not in str(list(Member.history.values_list()))


# --- Lines that are left out --------------------------------------------------------------------

TOMORROW = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("x,US,2008-02-30,open", "adult_on", "2008-02-30"),
        ("x,US,20080201,open", "adult_on", "20080201"),
        ("x,US,2008-W05-1,open", "adult_on", "2008-W05-1"),
        ("x,US,01/02/2008,open", "adult_on", "01/02/2008"),
        ("x,US,1917-12-31,open", "adult_on", "1917-12-31"),
        ("x,US,9999-01-01,open", "adult_on", "9999-01-01"),
        (f"x,US,{majority(TOMORROW) + dt.timedelta(days=2)},open", "adult_on", None),
        ("x,US,2008-01-01,erased", "status", "erased"),
        ("x,US,2008-01-01,active", "status", "active"),
        ("x,U\x00S,2008-01-01,open", "country", "U\x00S"),
        (",US,2008-01-01,open", "account_ref", ""),
        (" \u200b,US,2008-01-01,open", "account_ref", ""),
        ("x\x00y,US,2008-01-01,open", "account_ref", ""),
        (f"{'x' * 101},US,2008-01-01,open", "account_ref", ""),
        ("canary:minor,US,2008-01-01,open", "account_ref", ""),
        (" can\u200bary:minor,US,2008-01-01,open", "account_ref", ""),
        ("x,US,2008-01-01", "", "3 values"),
        ("x,US,2008-01-01,open,more", "", "5 values"),
    ],
)
def test_a_line_that_cannot_be_understood_is_left_out_and_named(tmp_path, line, field, value):
    path = written(tmp_path, "a1,US,2008-01-01,open", line, "a2,US,2008-01-01,open")

    counts, (reject,) = run(path)

    assert counts == {"new": 2, "rejected": 1}
    assert (reject.line, reject.field) == (3, field)
    assert reject.value == (line.split(",")[2] if value is None else value)
    assert list(everybody()) == ["a1", "a2"]


@pytest.mark.parametrize("born", ["1899-12-31", str(TOMORROW + dt.timedelta(days=1))])
def test_a_birth_before_1900_or_after_tomorrow_is_left_out(tmp_path, born):
    header = "account_ref,country,birth_date,status"

    counts, (reject,) = run(written(tmp_path, f"a1,US,{born},open", header=header))

    assert counts == {"rejected": 1}
    assert (reject.field, reject.value) == ("birth_date", born)
    assert Entry.objects.count() == 0


@pytest.mark.parametrize("batch_size", [1, 2, 100])
@pytest.mark.parametrize("dry_run", [True, False])
def test_an_account_twice_keeps_the_stricter_facts_whatever_the_batch_size(
    tmp_path, batch_size, dry_run
):
    add_member("known", "US", ADULT, "open")
    path = written(
        tmp_path,
        "a1,US,2008-01-01,open",
        "known,FR,2008-01-01,open",
        "a1,US,2008-01-01,open",
        "a1,DE,2008-01-01,open",
        "known,FR,2008-01-01,open",
        "known,US,2008-01-01,open",
    )

    counts, rejects = run(path, batch_size=batch_size, dry_run=dry_run)

    assert counts == {"new": 1, "changed": 1, "repeated": 2, "rejected": 2, "incomplete": 2}
    assert [(reject.line, reject.field, reject.value) for reject in rejects] == [
        (5, "account_ref", ""),
        (7, "account_ref", ""),
    ]
    if not dry_run:
        assert {ref: known.country for ref, known in everybody().items()} == {"known": "", "a1": ""}
        again, _ = run(path, batch_size=batch_size)
        assert again == {"unchanged": 2, "repeated": 2, "rejected": 2}


@pytest.mark.parametrize("dry_run", [True, False])
def test_an_account_twice_among_unknown_ones_is_one_account(tmp_path, dry_run):
    path = written(tmp_path, "a1,US,2008-01-01,open", "a2,US,,open", "a1,US,2008-01-01,open")

    assert run(path, dry_run=dry_run) == ({"new": 2, "repeated": 1, "incomplete": 1}, [])


def test_the_search_for_cycles_goes_on_after_an_import_even_a_failed_one(tmp_path):
    run(written(tmp_path, "a1,US,2008-01-01,open"))
    assert gc.isenabled()

    with pytest.raises(ImportStopped):
        run(tmp_path / "none.csv")
    assert gc.isenabled()


def test_line_numbers_are_right_after_values_over_several_lines(tmp_path):
    path = written(
        tmp_path,
        'a1,US,2008-01-01,open,"two\nlines"',
        "",
        "a2,US,never,open,x",
        header=f"{HEADER},remark",
    )

    _, (reject,) = run(path)

    assert reject.line == 5


def test_a_dry_run_counts_the_same_and_writes_nothing(tmp_path):
    add_member("known")
    add_member("gone")
    accounts.erase_member(account_ref="gone", actor="test", reason="asked for")
    entries = Entry.objects.count()
    path = written(
        tmp_path,
        "a1,US,2008-01-01,open",
        "known,DE,2008-01-01,open",
        "gone,US,2008-01-01,open",
        "a2,US,bad,open",
        "a1,US,2008-01-01,open",
    )

    dry = run(path, dry_run=True, batch_size=2)

    assert Entry.objects.count() == entries
    assert list(everybody()) == ["known"]
    assert dry == run(path, batch_size=2)


# --- Kinds of files -----------------------------------------------------------------------------

ROWS = [("a1", "US", "2008-01-01", "open"), ("a2", "DE", None, "closed")]
NAMES = HEADER.split(",")


def as_csv(path):
    text = "\r\n".join([HEADER, *(",".join(v or "" for v in row) for row in ROWS)])
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())


def as_csv_gz(path):
    with gzip.open(path, "wt", newline="") as file:
        csv.writer(file).writerows([NAMES, *ROWS])


def as_ndjson(path):
    path.write_text("\n".join(json.dumps(dict(zip(NAMES, row, strict=True))) for row in ROWS))


def as_ndjson_gz(path):
    lines = "\n".join(json.dumps(dict(zip(NAMES, row, strict=True))) for row in ROWS)
    path.write_bytes(gzip.compress(lines.encode()))


def as_parquet(path, dates=False):
    columns = dict(zip(NAMES, zip(*ROWS, strict=True), strict=True))
    table = pyarrow.table({name: pyarrow.array(values) for name, values in columns.items()})
    if dates:
        day = table["adult_on"].cast(pyarrow.date32())
        table = table.set_column(2, "adult_on", day)
        table = table.set_column(1, "country", table["country"].dictionary_encode())
    parquet.write_table(table, path)


def as_parquet_with_dates(path):
    as_parquet(path, dates=True)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("m.csv", as_csv),
        ("m.CSV.gz", as_csv_gz),
        ("m.ndjson", as_ndjson),
        ("m.jsonl.gz", as_ndjson_gz),
        ("m.parquet", as_parquet),
        ("m2.parquet", as_parquet_with_dates),
    ],
)
def test_every_kind_of_file_gives_the_same_members(tmp_path, name, write):
    write(tmp_path / name)

    counts, rejects = run(tmp_path / name)

    assert (counts, rejects) == ({"new": 2}, [])
    assert everybody() == {
        "a1": Facts("US", "", ADULT, "open"),
        "a2": Facts("DE", "", None, "closed"),
    }


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("not json", ""),
        ("[]", ""),
        ('{"account_ref": 7, "country": "US", "adult_on": null, "status": "open"}', "account_ref"),
        ('{"account_ref": "x", "country": "US", "adult_on": null}', "status"),
        ('{"account_ref": "\\ud800", "country": "", "adult_on": "", "status": ""}', ""),
        (
            '{"account_ref": "x", "country": "", "adult_on": "", "status": "closed", "status": "open"}',
            "",
        ),
        ('{"account_ref": "x", "country": "", "adult_on": NaN, "status": "open"}', ""),
        ('{"account_ref": "x", "country": "", "adult_on": 1e999, "status": "open"}', ""),
        ("[" * 100_000, ""),
    ],
)
def test_an_ndjson_line_that_is_wrong_is_left_out(tmp_path, line, field):
    path = tmp_path / "m.ndjson"
    as_ndjson(path)
    path.write_text(path.read_text() + "\n" + line)

    counts, (reject,) = run(path)

    assert counts == {"new": 2, "rejected": 1}
    assert (reject.line, reject.field, reject.value) == (3, field, "")


# --- Files that cannot be read ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.csv", b"", "The file is empty."),
        ("m.txt", b"x", "A file is .csv, .csv.gz, .ndjson, .ndjson.gz or .parquet."),
        ("m.csv", HEADER.encode("utf-16"), "UTF-16 or UTF-32. Save the file as UTF-8."),
        ("m.csv", HEADER.encode("utf-16-le"), "UTF-16 or UTF-32. Save the file as UTF-8."),
        ("m.csv", f"{HEADER}\na1,US,,open\nb\xe9,US,,open".encode("latin-1"), "Line 3, byte 2: "),
        ("m.csv", b"account_ref,country,status\n", "does not name adult_on (or birth_date)"),
        ("m.csv", b"a1,US,2008-01-01,open\n", "does not name account_ref, country, status"),
        ("m.csv", HEADER.replace(",", ";").encode(), "columns separated by commas"),
        ("m.csv", f"{HEADER},country\n".encode(), "names country more than once"),
        ("m.csv", f"{HEADER},birth_date\n".encode(), "names both adult_on and birth_date"),
        ("m.csv", f'{HEADER}\n"a1,US'.encode(), "not CSV"),
        ("m.csv", f"{HEADER}\n".encode() + b"x" * (3 << 20), "longer than 1 MiB"),
        ("m.csv.gz", b"not gzip at all", "gzip file is damaged"),
        ("m.csv.gz", gzip.compress(HEADER.encode() * 9)[:-12], "gzip file is damaged"),
        ("m.ndjson", b"[1]", "Line 1 is not a JSON object."),
        ("m.ndjson", b"account_ref,country\n", "Line 1 is not a JSON object."),
        ("m.ndjson", b'{"account_ref": "a"}', "The first object does not name country"),
        ("m.parquet", b"PAR1 but no more", "Parquet file is damaged or not Parquet."),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_a_reason(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)

    words, code = command(tmp_path / name)

    assert message in words
    assert "Nothing was imported." in words
    assert code == 1
    assert "a1" not in words
    assert Entry.objects.count() == 0


def test_a_directory_and_a_missing_file_are_refused(tmp_path):
    (tmp_path / "d.csv").mkdir()

    assert "This is a directory" in command(tmp_path / "d.csv")[0]
    assert "No such file" in command(tmp_path / "none.csv")[0]


def test_parquet_columns_of_another_type_or_missing_are_refused(tmp_path):
    path = tmp_path / "m.parquet"
    parquet.write_table(
        pyarrow.table({"account_ref": [1], "country": ["US"], "adult_on": [""], "status": [""]}),
        path,
    )
    assert "account_ref is of type int64: it must be text." in command(path)[0]

    parquet.write_table(pyarrow.table({"account_ref": ["a"]}), path)
    assert "The Parquet schema does not name country, status" in command(path)[0]


@pytest.mark.parametrize("name", ["m.csv", "m.csv.gz"])
def test_what_was_imported_before_the_damage_stays_and_the_file_can_go_on(tmp_path, name):
    lines = [HEADER, *(f"acc-{i},US,2008-01-01,open" for i in range(60_000))]
    whole = "\n".join(lines).encode()
    path = tmp_path / name
    if name.endswith("gz"):
        packed = gzip.compress(whole)
        path.write_bytes(packed[: len(packed) * 9 // 10])
    else:
        at = whole.index(b"acc-58000,")
        path.write_bytes(whole[:at] + b"\xff" + whole[at:])

    words, code = command(path, "--batch-size", "10000")

    imported = Member.objects.count()
    assert code == 1
    assert imported in (30_000, 40_000, 50_000)
    assert f"The first {imported:,} lines are imported and nothing after them" in words
    # One entry more where two accounts share a hash of the first look, and so are written last.
    assert Entry.objects.count() - imported // 10_000 in (0, 1)

    path.write_bytes(gzip.compress(whole) if name.endswith("gz") else whole)
    # More than a fifth of the accounts are new, as in no ordinary file.
    words, code = command(path, "--batch-size", "10000", "--expect-new", "30000")

    assert code == 0
    assert f"new: {60_000 - imported:,}, changed: 0, unchanged: {imported:,}" in words


# --- The command --------------------------------------------------------------------------------


def test_rejects_go_to_a_private_file_without_account_refs(tmp_path):
    path = written(tmp_path, "secret-ref,US,=1+1,open", "\tbad,US,,open", "a1,US,,open")
    rejects = tmp_path / "members.csv.rejects.csv"
    rejects.write_text("of an earlier import")
    rejects.chmod(0o644)

    words, code = command(path)

    assert code == 3
    assert "2 lines were left out" in words
    assert stat.S_IMODE(rejects.stat().st_mode) == 0o600
    rows = list(csv.reader(rejects.open()))
    assert [row[:3] for row in rows] == [
        ["line", "field", "value"],
        ["2", "adult_on", "'=1+1"],
        ["3", "account_ref", ""],
    ]
    assert "secret-ref" not in rejects.read_text() + words


@pytest.mark.parametrize("formula", [" =1+1", "＝1+1", "－1", "a;=1+1", "\t=1", '"=1', "\u2060@x"])
def test_no_cell_of_the_rejects_file_is_a_formula(tmp_path, formula):
    path = tmp_path / "members.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([HEADER.split(","), ["a", "US", formula, "open"]])

    assert command(path)[1] == 3

    ((value,),) = [row[2:3] for row in csv.reader((tmp_path / "members.csv.rejects.csv").open())][
        1:
    ]
    assert value == exports.as_cell(formula)
    assert value.lstrip(" ").startswith("'") or ";'=" in value


def test_without_rejects_there_is_no_file_and_the_counts_are_told(tmp_path):
    path = written(tmp_path, "a1,US,,open,x", header=f"{HEADER},remark")

    words, code = command(path)

    assert code == 0
    assert words.splitlines() == [
        "read: 1, new: 1, changed: 0, unchanged: 0, repeated: 0, erased: 0, rejected: 0",
        "Out until more is known (country, age or status): 1",
        "Columns not read: 1",
    ]
    assert list(tmp_path.iterdir()) == [path]


def test_the_ledger_holds_no_reference_and_names_the_command(tmp_path):
    command(written(tmp_path, "secret-ref,US,,open"))

    entry = Entry.objects.get()
    assert (entry.actor_name, entry.subject, entry.reason) == ("command:import_members", "", "")
    assert "secret-ref" not in str(list(Member.history.values_list()))
