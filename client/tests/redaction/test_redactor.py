import pyarrow as pa
import pytest

from training_portal.errors import Misuse
from training_portal.redaction import ENGINE, VERSION, Hits, KnownValue, Profile, Redactor

TEXTS = [
    "mail ada@example.org or call (0170) 1234567",
    None,
    "",
    "nothing here",
    "again ada@example.org",
    "ADA@example.org and Ada Lovelace",
]


@pytest.mark.parametrize(
    "column",
    [
        pa.array(TEXTS),
        pa.array(TEXTS, pa.large_string()),
        pa.array(TEXTS).dictionary_encode(),
        pa.array(TEXTS, pa.string_view()),
        pa.array(["before", *TEXTS, "after"]).slice(1, len(TEXTS)),
        pa.chunked_array([TEXTS[:1], [], TEXTS[1:3], TEXTS[3:]], pa.string()),
    ],
    ids=["strings", "large strings", "dictionary", "views", "slice", "chunks"],
)
def test_every_form_of_a_column_comes_back_redacted_with_its_nulls(column):
    redacted, hits = Redactor().redact(column)

    assert redacted.to_pylist() == [
        "mail [email] or call [phone]",
        None,
        "",
        "nothing here",
        "again [email]",
        "[email] and Ada Lovelace",
    ]
    assert hits == Hits({"email": 3, "phone": 1}, {}, rows=3)
    assert redacted.type == (pa.large_string() if column.type == pa.large_string() else pa.string())
    assert isinstance(redacted, pa.ChunkedArray) == isinstance(column, pa.ChunkedArray)


@pytest.mark.parametrize("empty", [pa.array([], pa.string()), pa.chunked_array([], pa.string())])
def test_an_empty_column_stays_one(empty):
    redacted, hits = Redactor().redact(empty)

    assert redacted == empty
    assert hits == Hits()


@pytest.mark.parametrize(
    "column", [pa.array([1, 2]), pa.array([b"ada@example.org"]), pa.array([["a"]])]
)
def test_a_column_that_is_no_text_is_refused_with_its_type(column):
    with pytest.raises(Misuse, match=str(column.type).replace("[", r"\[")[:6]):
        Redactor().redact(column)


def test_more_rows_than_are_worked_on_at_a_time_stay_in_order(monkeypatch):
    monkeypatch.setattr("training_portal.redaction.redactor.ROWS", 7)
    texts = [f"row {n}: ada{n}@example.org" if n % 3 else f"row {n}" for n in range(50)]

    redacted, hits = Redactor().redact(pa.array(texts))

    assert redacted.to_pylist() == [f"row {n}: [email]" if n % 3 else f"row {n}" for n in range(50)]
    assert hits.by_kind == {"email": 33}


def test_with_a_key_a_value_has_one_stand_in_in_a_run_and_another_in_the_next():
    column = pa.array(["ada@example.org", "ADA@example.org", "eve@example.org"])

    one, same, other = Redactor(key=b"1" * 32).redact(column)[0].to_pylist()
    next_run = Redactor(key=b"2" * 32).redact(column)[0].to_pylist()

    assert one == same != other
    assert one not in next_run
    assert "ada" not in one


def test_one_phone_number_in_two_spellings_has_one_stand_in():
    column = pa.array(["+49 170 1234567", "+49-170-1234567"])

    one, other = Redactor(key=b"1" * 32).redact(column)[0].to_pylist()

    assert one == other


def test_a_short_key_is_refused():
    with pytest.raises(Misuse, match="At least 16 random ones"):
        Redactor(key=b"short")


def test_a_profile_decides_on_the_kinds():
    profile = Profile.read(b'name = "mail"\nversion = "1"\nkinds = ["email"]\n')

    redacted, hits = Redactor(profile).redact(pa.array(["ada@example.org, 203.0.113.7"]))

    assert redacted.to_pylist() == ["[email], 203.0.113.7"]
    assert hits.by_kind == {"email": 1}


def test_items_that_overlap_are_replaced_as_one_and_each_entry_is_counted():
    listed = [KnownValue("name", "Ada Lovelace", 17), KnownValue("handle", "ada.lovelace", 18)]

    redacted, hits = Redactor(redaction_list=listed).redact(
        pa.array(["write to ada.lovelace@example.org"])
    )

    assert redacted.to_pylist() == ["write to [email]"]
    assert hits == Hits({"email": 1}, {17: 1, 18: 1}, rows=1)


def test_a_replacement_that_stands_in_the_text_already_is_never_touched():
    text = "[email] [phone:abcdefghijkl] password: [secret] born [birth_date]"

    redacted, hits = Redactor(
        known_values=[KnownValue("handle", "email"), KnownValue("name", "phone abcdefghijkl")],
        key=b"1" * 16,
    ).redact(pa.array([text]))

    assert redacted.to_pylist() == [text]
    assert hits == Hits()


def test_a_receipt_gets_engine_profile_and_counts_and_no_entry_without_a_list():
    redactor = Redactor()
    _, hits = redactor.redact(pa.array(TEXTS))

    assert redactor.for_receipt(hits) == {
        "engine": ENGINE,
        "version": VERSION,
        "profile": Profile.load().digest,
        "hits_by_kind": {"email": 3, "phone": 1},
    }


def test_hits_add_up():
    assert Hits({"email": 1}, {3: 1}, 1) + Hits({"phone": 2, "email": 1}, {3: 2}, 2) == Hits(
        {"email": 2, "phone": 2}, {3: 3}, 3
    )
