"""Known values and the redaction list: in which forms they are found, and when they do not count."""

import unicodedata

import pyarrow as pa
import pytest

from training_portal.errors import Misuse, NotVerified
from training_portal.redaction import KnownValue, RedactionList, Redactor

VERSION = "5f" * 32
ANSWER = {
    "list_version": VERSION,
    "until": "2026-12-26T10:00:00Z",
    "entries": 2,
    "lines": [
        {"number": 17, "kind": "name", "value": "Ada Lovelace", "needs_second": False},
        {"number": 17, "kind": "email", "value": "ada@example.org", "needs_second": False},
        {"number": 21, "kind": "name", "value": "Rose May", "needs_second": True},
        {"number": 21, "kind": "handle", "value": "rosie_88", "needs_second": False},
    ],
}


def _redacted(text, *values):
    column, hits = Redactor(redaction_list=values).redact(pa.array([text]))
    return column[0].as_py(), hits


def test_the_list_of_the_portal_is_read_applied_and_named_in_the_receipt():
    lent = RedactionList.read(ANSWER)
    redactor = Redactor(redaction_list=lent)

    column, hits = redactor.redact(
        pa.array(["Ada Lovelace wrote", "Rose May alone", "Rose May is @rosie_88", "a rose in May"])
    )

    assert column.to_pylist() == [
        "[name] wrote",
        "Rose May alone",
        "[name] is [handle]",
        "a rose in May",
    ]
    said = redactor.for_receipt(hits)
    assert said["list_version"] == VERSION
    assert said["hits_by_entry"] == {"17": 1, "21": 2}
    assert said["hits_by_kind"] == {"handle": 1, "name": 2}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"entries": 3}, "says 3 entries and has 2"),
        ({"lines": ANSWER["lines"][:2]}, "says 2 entries and has 1"),
        ({"list_version": "abc"}, "version"),
        ({"lines": [{"number": 17, "kind": "name", "value": "Ada Lovelace"}]}, "field is missing"),
        ({"lines": [ANSWER["lines"][0] | {"kind": "fax"}]}, "does not know the kind 'fax'"),
        ({"lines": [ANSWER["lines"][0] | {"value": " "}]}, "no value"),
        ({"lines": [ANSWER["lines"][0] | {"number": True}]}, "no number"),
        ({"lines": [ANSWER["lines"][0] | {"needs_second": "no"}]}, "second value"),
    ],
)
def test_a_list_that_is_not_whole_is_not_used(change, fault):
    with pytest.raises(NotVerified, match=fault):
        RedactionList.read(ANSWER | change)


@pytest.mark.parametrize(
    "text",
    [
        "José García-López",
        "JOSÉ GARCÍA-LÓPEZ",
        "jose garcia lopez",
        unicodedata.normalize("NFD", "José García-López"),
        "José\u00a0García-López",
        "José  García‑López",
        "Jo\u200bsé García-Ló\u200dpez",
        "José\nGarcía-López",
        "José_García_López",
        "García-López, José",
        "#JoséGarcíaLópez",
        "@josegarcialopez",
        "Jose GarciaLopez",
        "José García-López's",
    ],
)
def test_a_name_is_found_in_each_listed_form(text):
    left, hits = _redacted(f"and then {text} came", KnownValue("name", "José García-López", 8))

    assert hits.by_entry == {8: 1}, left
    assert "pez" not in left.lower()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Jürgen Müller", "Juergen Mueller"),
        ("Juergen Mueller", "Jürgen Müller"),
        ("Jürgen Müller", "Jurgen Muller"),
        ("Strauß, Änne", "STRAUSS ANNE"),
        ("Siobhán O'Brien", "Siobhan OBrien"),
        ("Siobhan OBrien Kelly", "Siobhan OBrien Kelly"),
        ("İbrahim Yıldız", "IBRAHIM YILDIZ"),
        ("Łukasz Wałęsa", "Lukasz Walesa"),
        ("Søren Kierkegaard", "Soren Kierkegaard"),
        ("Николай Гоголь", "НИКОЛАЙ ГОГОЛЬ"),
        ("Αριστοτέλης Ωνάσης", "Αριστοτέλης Ωνάσης"),
        ("山田太郎", "私は山田太郎です"),
        ("محمد الخوارزمي", "محمّد الخوارزمي"),
        ("Ａda Lovelace", "Ada Lovelace"),
    ],
)
def test_a_name_is_found_in_other_spellings_and_scripts(value, text):
    _, hits = _redacted(f"({text})", KnownValue("name", value, 8))

    assert hits.by_entry == {8: 1}


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("email", "ada@example.org", "ADA@Example.org"),
        ("email", "ada@example.org", "ada (at) example.org"),
        ("email", "ada@example.org", "ada at example dot org"),
        ("url", "https://www.example.org/ada", "example.org/ada"),
        ("url", "https://example.org/ada", "http://www.example.org/ada/"),
        ("handle", "ada_1815", "@ada_1815"),
        ("handle", "ada_1815", "ADA_1815"),
        ("handle", "lovelace", "@lovelace"),
        ("handle", "_ada_", "@_ada_"),
        ("handle", "_ada_", "_Ada_"),
        ("handle", "ada.", "@ada."),
    ],
)
def test_other_values_are_found_in_their_forms(kind, value, text):
    left, hits = _redacted(f"see {text}, thanks", KnownValue(kind, value, 8))

    assert hits.by_entry == {8: 1}, left
    assert "ada" not in left.lower().replace("[handle]", "")


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("name", "Ada Lovelace", "Adam Lovelace"),
        ("name", "Ada Lovelace", "Ada Lovelaces"),
        ("name", "Ada Lovelace", "so I told Ada. Lovelace replied"),
        ("name", "Ada Lovelace", "A. Lovelace"),
        ("name", "May Day", "a mayday call"),
        ("handle", "lovelace", "lovelace is a word"),
        ("handle", "_ada_", "ada"),
        ("handle", "_ada_", "x_ada_"),
        ("handle", "ada_1815", "mary-ada_1815 and ada_1815.smith"),
        ("handle", "ada_1815", "ada-1815"),
        ("url", "https://example.org/ada", "example.org/ada-smith"),
        ("url", "https://example.org/ada", "my-example.org/ada"),
    ],
)
def test_what_is_somebody_elses_stays(kind, value, text):
    left, hits = _redacted(f"see {text} here", KnownValue(kind, value, 8))

    assert hits.by_entry == {}
    assert left == f"see {text} here"


ROSE = (KnownValue("name", "Rose May", 21, needs_second=True), KnownValue("handle", "rosie_88", 21))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Rose May", "Rose May"),
        ("Rose May and Rose May", "Rose May and Rose May"),
        ("Rose May, @rosie_88", "[name], [handle]"),
        (f"Rose May {'x ' * 90}@rosie_88", f"[name] {'x ' * 90}[handle]"),
        (f"Rose May {'x ' * 120}@rosie_88", f"Rose May {'x ' * 120}[handle]"),
        (f"@rosie_88 {'x ' * 90}Rose May", f"[handle] {'x ' * 90}[name]"),
        (f"@rosie_88 {'x ' * 120}Rose May", f"[handle] {'x ' * 120}Rose May"),
        ("R. May, @rosie_88", "[name], [handle]"),
    ],
)
def test_a_weak_value_counts_only_near_another_value_of_its_entry(text, left):
    assert _redacted(text, *ROSE)[0] == left


def test_a_value_at_the_same_place_is_no_second_one():
    address = KnownValue("url", "https://example.org/rose-may", 21)

    left, hits = _redacted("see example.org/rose-may there", ROSE[0], address)

    assert left == "see [url] there"
    assert hits.by_entry == {21: 1}


def test_another_persons_value_is_no_second_one():
    text = "Rose May met Ada Lovelace"

    left, hits = _redacted(text, *ROSE, KnownValue("name", "Ada Lovelace", 17))

    assert left == "Rose May met [name]"
    assert hits.by_entry == {17: 1}


def test_an_initial_counts_near_the_whole_name():
    left, _ = _redacted(
        "Ada Lovelace wrote. A. Lovelace signed.", KnownValue("name", "Ada Lovelace", 17)
    )

    assert left == "[name] wrote. [name] signed."


def test_a_value_never_reaches_over_two_rows():
    column = pa.array(["told Ada", "Lovelace replied", "über Ada", "Lovelace ä"])

    redacted, _ = Redactor(known_values=[KnownValue("name", "Ada Lovelace")]).redact(column)

    assert redacted == column


def test_two_entries_with_one_name_are_both_counted_and_it_is_replaced_once():
    _, hits = _redacted(
        "Ada Lovelace",
        KnownValue("name", "Ada Lovelace", 17),
        KnownValue("name", "ada lovelace", 18),
    )

    assert hits.by_entry == {17: 1, 18: 1}
    assert hits.by_kind == {"name": 1}


def test_long_values_with_the_same_beginning_are_told_apart():
    values = [
        KnownValue("name", f"Maximiliana Konstantina {last}", n)
        for n, last in enumerate(("Berg", "Berger", "Thal"), 1)
    ]

    _, hits = _redacted("Maximiliana Konstantina Berger", *values)

    assert hits.by_entry == {2: 1}


def test_no_value_shows_in_what_is_logged():
    lent = RedactionList.read(ANSWER)

    assert "Lovelace" not in repr(lent) + repr(lent.values[0]) + repr(Redactor(redaction_list=lent))


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        (lambda: KnownValue("fax", "1"), "no kind 'fax'"),
        (lambda: KnownValue("name", "Rose May", needs_second=True), "names no entry"),
    ],
)
def test_a_known_value_with_a_fault_is_refused(call, fault):
    with pytest.raises(Misuse, match=fault):
        call()
