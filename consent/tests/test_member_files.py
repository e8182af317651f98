"""Whatever is wrong with a file of members is said in a sentence, and never ends in a traceback."""

import gzip
import hashlib
import json
import os
import random
import threading

import pyarrow
import pytest
from django.core.management import CommandError, call_command
from pyarrow import parquet

from consent.imports import importing
from consent.imports.member_files import ImportStopped
from consent.models import Member
from consent.tests.test_importing import HEADER, command
from ledger.models import Entry

pytestmark = [pytest.mark.django_db, pytest.mark.one_engine]

LINE = "a1,US,2008-01-01,open"
CSV = f"{HEADER}\n{LINE}\na2,DE,,closed\n".encode()
OBJECT = '{"account_ref": "a1", "country": "US", "adult_on": "2008-01-01", "status": "open"}'
NDJSON = f"{OBJECT}\n{OBJECT.replace('a1', 'a2')}\n".encode()


def table(**changed):
    columns = {
        "account_ref": ["a1", "a2", "a3"],
        "country": ["US", "DE", "FR"],
        "adult_on": ["2008-01-01", "", None],
        "status": ["open", "closed", ""],
    }
    return pyarrow.table({**columns, **changed})


def packed(**changed):
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(
        table(**changed), sink, compression="NONE", use_dictionary=False, write_page_checksum=True
    )
    return sink.getvalue().to_pybytes()


def bad_utf8(values):
    return pyarrow.array(values, pyarrow.binary()).view(pyarrow.string())


def renamed(data, old, new):
    """The schema is in the footer twice (Thrift and Arrow), in equal lengths."""
    assert len(old) == len(new)
    return data.replace(old, new)


FAULTS = [
    # Ends of lines
    ("m.csv", CSV.replace(b"\n", b"\r"), "Line 1, byte 36: this is not CSV. A line ends with LF"),
    ("m.csv", CSV.replace(b"open\n", b"open\r"), "Line 2, byte 22: this is not CSV. A line ends"),
    ("m.csv", f"{HEADER}\nä1,U\rS,,open\n".encode(), "Line 2, byte 6: this is not CSV. A line"),
    ("m.csv", f"{HEADER}\r".encode() + b"x\r" * (1 << 20), "CR alone: save the file"),
    ("m.ndjson", NDJSON.replace(b"\n", b"\r"), "Line 1 is not a JSON object. Byte 84: Extra data."),
    # Quotation marks
    ("m.csv", b'"account_ref,country\n' + CSV, "Line 1, byte 1: this is not CSV. This quotation mark"),
    ("m.csv", b'"account_ref"x' + CSV[11:], "Line 1, byte 14: this is not CSV. A comma must follow"),
    ("m.csv", b'account_ref"' + CSV[11:], "does not name account_ref"),
    ("m.csv", CSV + b'"\xc3\xa4"x,DE,,open\n', "Line 4, byte 5: this is not CSV. A comma must"),
    ("m.csv", CSV + b'"b\n\n1",DE,,open\nb2,"DE,,open\n' + CSV, "Line 7, byte 4: this is not CSV. This"),
    ("m.csv", CSV + b'b1,"' + b"x" * 140_000 + b'",,open\n', "Line 4, byte 1: this is not CSV. A value"),
    ("m.csv", CSV + b'b1,"' + b"x\n" * 140_000, "Line 4, byte 1: this is not CSV. A value"),
    # Text that is none
    ("m.csv", b"\xe9" + CSV, "Line 1, byte 1: this is not UTF-8"),
    ("m.csv", CSV + b"b\xff,US,,open\n", "Line 4, byte 2: this is not UTF-8"),
    ("m.csv", CSV + b"b\xed\xa0\x80,US,,open\n", "Line 4, byte 2: this is not UTF-8"),
    ("m.ndjson", NDJSON.replace(b"a2", b"\xff2"), "Line 2, byte 18: this is not UTF-8"),
    ("m.ndjson", NDJSON.replace(b"country", b"countr\xff", 1), "Line 1, byte 30: this is not UTF-8"),
    ("m.csv", b"\0" + CSV, "Line 1, byte 1: this is UTF-16 or UTF-32"),
    ("m.csv", CSV.decode().encode("utf-32"), "Line 1, byte 1: this is UTF-16 or UTF-32"),
    # First lines of NDJSON
    *[
        ("m.ndjson", first.encode() + b"\n" + NDJSON, "Line 1 is not a JSON object. Byte 1:")
        for first in ("true", "null", "1", '"x"', "[]", "[1]", "NaN", "x")
    ],
    ("m.ndjson", b"\n\n[]\n", "Line 3 is not a JSON object. Byte 1:"),
    ("m.ndjson", b"[" * 100_000, "Line 1 is not a JSON object."),
    ("m.ndjson", b'{"a":' * 100_000, "Line 1 is not a JSON object."),
    ("m.ndjson", b'{"account_ref": "a", "account_ref": "b"}', "a name twice"),
    ("m.ndjson", b'{"account_ref": "a"', "Line 1 is not a JSON object. Byte 20:"),
    ("m.ndjson", b'{"\\udc80": 1}', "Line 1 is not a JSON object."),
    ("m.ndjson", b"{}\n", "The first object does not name account_ref"),
    ("m.ndjson", b"\n\n", "Line 1 is not a JSON object."),
    # Another kind of file than its name says
    ("m.csv", gzip.compress(CSV), "this is a gzip file: name it .gz"),
    ("m.csv.gz", CSV, "The gzip file is damaged"),
    ("m.csv.gz", gzip.compress(packed()), "this is a Parquet file"),
    ("m.csv", b"PK\x03\x04" + CSV, "zip file or a spreadsheet"),
    ("m.ndjson", packed(), "this is a Parquet file"),
    ("m.parquet", CSV, "damaged or not Parquet"),
    ("m.parquet", gzip.compress(packed()), "damaged or not Parquet"),
    ("m.parquet", b"PARE" + packed()[4:], "encrypted Parquet"),
    ("m.parquet.gz", gzip.compress(packed()), "A file is .csv"),
    # gzip
    ("m.csv.gz", gzip.compress(CSV)[:-1], "gzip file is damaged or was cut off"),
    ("m.csv.gz", gzip.compress(CSV)[:-8] + b"12345678", "gzip file is damaged or was cut off"),
    ("m.csv.gz", gzip.compress(CSV) + b"rubbish", "gzip file is damaged or was cut off"),
    # Parquet
    ("m.parquet", packed()[:-1], "damaged or not Parquet"),
    ("m.parquet", packed()[: len(packed()) // 2], "damaged or not Parquet"),
    ("m.parquet", packed()[:4] + packed()[-8:], "damaged or not Parquet"),
    ("m.parquet", renamed(packed(), b"country", b"countr\xff"), "arquet"),
    ("m.parquet", packed(account_ref=bad_utf8([b"a", b"b", b"\xff"])), "Row 3, column account_ref"),
    ("m.parquet", packed(country=bad_utf8([b"US", b"\xe9", None])), "Row 2, column country"),
    ("m.parquet", packed(account_ref=[["a"], ["b"], ["c"]]), "account_ref is of type list"),
    ("m.parquet", packed(status=[{"a": "b"}] * 3), "status is of type struct"),
    ("m.parquet", packed(account_ref=pyarrow.array([1, 2, 3]).cast(pyarrow.decimal128(20))), "decimal"),
    ("m.parquet", packed(adult_on=pyarrow.array([0, 1, 2], pyarrow.timestamp("us"))), "timestamp"),
    ("m.parquet", packed(country=pyarrow.array([b"US"] * 3)), "country is of type binary"),
    ("m.parquet", packed(status=pyarrow.array([1, 1, 2]).dictionary_encode()), "of type int64"),
    ("m.parquet", packed(birth_date=[""] * 3), "names both adult_on and birth_date"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "sentence"), FAULTS, ids=range(len(FAULTS)))
def test_a_fault_is_a_sentence_that_says_where_it_is(tmp_path, name, content, sentence):
    (tmp_path / name).write_bytes(content)

    words, code = command(tmp_path / name)

    assert sentence in words
    assert "Nothing was imported." in words
    assert code == 1
    assert not Member.objects.exists()


@pytest.mark.parametrize(
    "names", [["account_ref"] * 2, ["Status", "status"], ["\xa0country", "country"]]
)
def test_a_column_that_comes_twice_is_refused(tmp_path, names):
    path = tmp_path / "m.csv"
    path.write_text(f"{HEADER},{names[0]}\n")

    assert f"names {names[1]} more than once" in command(path)[0]


def test_a_parquet_column_that_comes_twice_is_refused(tmp_path):
    arrays = [*table().columns, table().column("status")]
    parquet.write_table(
        pyarrow.Table.from_arrays(arrays, [*table().column_names, "status"]), tmp_path / "m.parquet"
    )

    assert "names status more than once" in command(tmp_path / "m.parquet")[0]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("m.csv", CSV.replace(b"\n", b"\r\n")),
        ("m.csv", b"\xef\xbb\xbf" + CSV.replace(b",", b'","').replace(b"\n", b'"\n"')[:-1].join([b'"', b""])),
        ("m.ndjson", b"\xef\xbb\xbf\r\n" + NDJSON.replace(b"\n", b"\r\n")),
        ("m.csv.gz", gzip.compress(CSV[:40]) + gzip.compress(CSV[40:])),
        ("m.parquet", packed()),
        ("m.parquet", packed(country=pyarrow.array(["US", "DE", "FR"]).dictionary_encode())),
        ("m.parquet", packed(account_ref=pyarrow.array(["a1", "a2", "a3"], pyarrow.large_string()))),
        ("m.parquet", packed(account_ref=pyarrow.array(["a1", "a2", "a3"], pyarrow.string_view()))),
        ("m.parquet", packed(adult_on=pyarrow.array([None] * 3, pyarrow.null()))),
        ("m.parquet", packed(adult_on=pyarrow.array([13879, None, None], pyarrow.date32()))),
        ("m.parquet", packed(more=[{"account_ref": "x"}] * 3)),
        ("m.parquet", packed(**{"country.x": ["a", "b", "c"]})),
    ],
)  # fmt: skip
def test_what_programs_write_is_read(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)

    words, code = command(tmp_path / name)

    assert (code, words.splitlines()[0].split(", ")[1]) == (
        0,
        "new: 3" if "parq" in name else "new: 2",
    )


@pytest.mark.parametrize("value", ["+12000-01-01", "-0001-01-01"])
def test_days_outside_of_every_calendar_are_left_out(tmp_path, value):
    days = {"+12000-01-01": 3_663_632, "-0001-01-01": -719_893}
    parquet.write_table(
        table(adult_on=pyarrow.array([days[value], None, None], pyarrow.date32())),
        tmp_path / "m.parquet",
    )

    words, code = command(tmp_path / "m.parquet")

    assert code == 3
    assert "new: 2," in words


# --- What is no file ----------------------------------------------------------------------------


def test_what_is_no_ordinary_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "m.csv")
    answers = []
    asking = threading.Thread(
        target=lambda: answers.append(_stopped(tmp_path / "m.csv")), daemon=True
    )

    asking.start()
    asking.join(5)

    assert answers == ["This is no ordinary file; name one. Nothing was imported."]


def _stopped(path):
    with pytest.raises(ImportStopped) as stopped:
        importing.import_members(path=path, actor="test", dry_run=True)
    return str(stopped.value)


@pytest.mark.parametrize("name", ["", ".", "/", "a\0.csv", "x" * 300 + ".csv", "m"])
def test_a_name_that_names_no_file_is_refused(tmp_path, name):
    words, code = command(name and f"{tmp_path}/{name}")

    assert code == 1
    assert "Nothing was imported." in words


def test_the_file_itself_is_no_place_for_rejects(tmp_path):
    (tmp_path / "m.csv").write_bytes(CSV + b"bad\n")

    words, code = command(tmp_path / "m.csv", "--rejects", str(tmp_path / "." / "m.csv"))

    assert code == 1
    assert "names the file of members itself" in words
    assert (tmp_path / "m.csv").read_bytes() == CSV + b"bad\n"


def test_an_import_that_cannot_list_what_it_leaves_out_says_how_far_it_came(tmp_path):
    (tmp_path / "m.csv").write_bytes(CSV + b"bad\n")

    words, code = command(tmp_path / "m.csv", "--rejects", str(tmp_path))

    assert code == 1
    assert "The rejects file cannot be written" in words
    assert "The first 3 lines are imported" in words


# --- Damage that reads well ---------------------------------------------------------------------


def test_a_parquet_page_without_its_checksum_is_refused(tmp_path):
    """One bit turns US into UR: every reader without the checksum takes it."""
    whole = packed()
    path = tmp_path / "m.parquet"
    path.write_bytes(whole.replace(b"\2\0\0\0US", b"\2\0\0\0UR", 1))

    words, code = command(path)

    assert code == 1
    assert "From row 1 on the Parquet file is damaged: a page does not have its checksum." in words
    assert not Member.objects.exists()


def test_batches_before_the_damaged_page_stay_and_are_counted(tmp_path):
    path = tmp_path / "m.parquet"
    rows = pyarrow.table(
        {
            "account_ref": [f"a{n}" for n in range(300)],
            "country": ["US"] * 299 + ["FR"],
            "adult_on": [""] * 300,
            "status": ["open"] * 300,
        }
    )
    parquet.write_table(
        rows, path, compression="NONE", use_dictionary=False, write_page_checksum=True,
        row_group_size=100,
    )  # fmt: skip
    path.write_bytes(path.read_bytes().replace(b"\2\0\0\0FR", b"\2\0\0\0FS", 1))

    words, code = command(path, "--batch-size", "100")

    assert code == 1
    assert "From row 201 on the Parquet file is damaged" in words
    assert "The first 200 lines are imported and nothing after them" in words
    assert Member.objects.count() == 200


# --- What the sender says of the file -----------------------------------------------------------

SENT = [
    ("m.csv", CSV + b"\n\nbad\n", 3),
    ("m.csv.gz", gzip.compress(CSV), 2),
    ("m.ndjson", b"\n" + NDJSON + b"\n[]\n", 3),
    ("m.parquet", packed(), 3),
]


@pytest.mark.parametrize(("name", "content", "rows"), SENT)
def test_the_file_the_sender_describes_is_imported(tmp_path, name, content, rows):
    (tmp_path / name).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()

    words, code = command(tmp_path / name, "--sha256", digest.upper(), "--rows", str(rows))

    assert code in (0, 3)
    assert f"read: {rows}," in words


@pytest.mark.parametrize(("name", "content", "rows"), SENT)
def test_another_file_than_the_sender_describes_is_refused_before_anything_is_written(
    tmp_path, name, content, rows
):
    (tmp_path / name).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()

    for options, sentence in [
        (("--sha256", "0" * 64), f"SHA-256 is {digest}, and {'0' * 64} was expected"),
        (("--rows", str(rows + 1)), f"has {rows} rows, and {rows + 1} were expected"),
        (("--rows", "0"), f"has {rows} rows, and 0 were expected"),
        (("--sha256", digest, "--rows", str(rows - 1)), f"and {rows - 1} were expected"),
    ]:
        words, code = command(tmp_path / name, "--batch-size", "1", *options)

        assert sentence in words
        assert "Nothing was imported." in words
        assert code == 1
    assert not Entry.objects.exists()


@pytest.mark.parametrize(
    "options", [("--sha256", "abc"), ("--sha256", "g" * 64), ("--rows", "-1"), ("--rows", "many")]
)
def test_a_description_that_cannot_be_is_refused(tmp_path, options):
    (tmp_path / "m.csv").write_bytes(CSV)

    with pytest.raises(CommandError):
        call_command("import_members", str(tmp_path / "m.csv"), *options)
    assert not Entry.objects.exists()


# --- Mutations ----------------------------------------------------------------------------------


def mutated(data, dice):
    """One to three small changes of the kind that transfers, editors and programs make."""
    data = bytearray(data)
    for _ in range(dice.randint(1, 3)):
        place = dice.randrange(len(data) + 1)
        bits = [b"", b"\r", b"\n", b'"', b"\0", b"\xff", b"{", b"[", b",", b"true", b"\xed\xa0\x80"]
        match dice.randrange(5):
            case 0 if place < len(data):
                data[place] ^= 1 << dice.randrange(8)
            case 1:
                data[place:place] = dice.choice(bits) * dice.choice([1, 1, 2, 70])
            case 2:
                del data[place : place + dice.randrange(40)]
            case 3:
                data[place : place + 4] = dice.randbytes(4)
            case 4:
                other = dice.randrange(len(data) + 1)
                data[place:place] = data[other : other + dice.randrange(40)]
    return bytes(data)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["m.csv", "m.ndjson", "m.csv.gz", "m.parquet"])
def test_no_change_to_a_file_ends_in_a_traceback(tmp_path, name, seed):
    dice = random.Random(f"{name} {seed}")
    whole = {
        "m.csv": b"\n".join([CSV, b'"b,1",US,"",open', b"b2,,,closed\r"]),
        "m.ndjson": NDJSON + json.dumps({**json.loads(OBJECT), "account_ref": "é"}).encode(),
        "m.csv.gz": gzip.compress(CSV * 3, mtime=0),
        "m.parquet": packed(),
    }[name]
    codes = set()

    for _ in range(60):
        (tmp_path / name).write_bytes(mutated(whole, dice) or b"\n")
        words, code = command(tmp_path / name, "--dry-run")
        assert words
        codes.add(code)

    assert codes <= {0, 1, 3}
    assert 1 in codes
