"""Letters: what the law requires is said, what staff edit is checked, what people wrote does no harm."""

import datetime as dt
import re

import pytest
from django.core.mail import EmailMessage
from hypothesis import given
from hypothesis import strategies as st

from consent.countries import EEA
from ledger.errors import InvalidInput, NotFound
from objections.choices import Kind, LetterKind, Regime
from objections.letters import texts
from objections.letters.texts import Text

KINDS = LetterKind.values
NOTE = Text("About {{ reference }}", "Hello {{ name }},\n\n{{ reasons }}\n")


def sample(kind):
    return texts.render(texts.built_in(kind), texts.sample_values(kind))


def render(text=NOTE, **values):
    return texts.render(text, {"reference": "OBJ-1", "name": "A", "reasons": "B"} | values)


def words(text):
    return " ".join(text.body.split())


# --- The texts that come along ------------------------------------------------------------------


def test_each_kind_has_a_text_and_no_text_is_left_over():
    files = {path.stem for path in (texts.FOLDER / "en").iterdir()}

    assert files == set(KINDS) == set(texts.AVAILABLE) == set(texts.REQUIRED)


@pytest.mark.parametrize("kind", KINDS)
def test_a_built_in_text_passes_its_own_check(kind):
    text = texts.built_in(kind)

    texts.check(kind, text)

    assert texts.tidy(text) == text
    assert max(map(len, text.body.splitlines())) <= texts.WIDTH


@pytest.mark.parametrize("kind", KINDS)
def test_a_built_in_text_with_sample_values_leaves_nothing_to_fill_in(kind):
    letter = sample(kind)

    assert "{{" not in letter.subject + letter.body
    assert "OBJ-2026-000000" in letter.subject
    assert max(map(len, letter.body.splitlines())) <= texts.WIDTH


@pytest.mark.parametrize(
    ("kind", "language"), [("poem", "en"), ("refused", "xx"), ("refused", "..")]
)
def test_a_text_that_does_not_come_along_is_not_found(kind, language):
    with pytest.raises(NotFound):
        texts.built_in(kind, language)


def test_sample_values_are_those_a_letter_can_be_told():
    given_for = {kind: set(texts.sample_values(kind)) for kind in KINDS}

    assert given_for == texts.AVAILABLE
    assert set().union(*given_for.values()) == set(texts.PLACEHOLDERS)


COVERED = "This covers your account: it is on no list of accounts whose data new training may use."


@pytest.mark.parametrize(
    ("kind", "sentences"),
    [
        ("confirmation", ["You did not send it? Then you do not have to do anything."]),
        (
            "acknowledgement",
            ["Since 1 July 2026, your objection has its effect for these purposes: "
             "Generative AI, Personalisation. " + COVERED,
             "Article 18(1)(d)", "Our answer is due by 4 August 2026", "the day in this one is the one that counts"],
        ),
        (
            "identity_request",
            ["We do not need a copy of your identity card or passport",
             "the time for ours may be paused, or may start again", "Please answer by 1 August 2026.",
             "We will then write to you again and name the new day."],
        ),
        ("extension", ["You will have our answer by 1 October 2026", "Your objection keeps its effect", COVERED,
                       "We must tell you before the first period ends."]),
        (
            "upheld",
            ["Your objection is upheld for these purposes: Generative AI, Personalisation. " + COVERED,
             "This answer was due by 4 August 2026.",
             "This does not end by itself",
             "began before we recorded your objection, on 1 July 2026, are not changed"],
        ),
        (
            "partly_upheld",
            ["Your objection is upheld for these purposes: Generative AI. This does not end by itself. "
             + COVERED + " Models whose training began before we recorded your objection, "
             "on 1 July 2026, are not changed.",
             "Then that ends for: Personalisation."],
        ),
        (
            "refused",
            ["Then that ends for: Personalisation.", "complain to the Swedish Authority",
             "This answer was due by 4 August 2026.",
             "go to court"],
        ),
        ("withdrawn", ["Is this a mistake?", "You can send us a new one at any time"]),
        ("closed_unidentified", ["You can send us a new objection at any time."]),
        (
            "duplicate",
            ["this reference is closed", "It does not count against you, and nothing was weighed.",
             "complain to the Swedish Authority", "go to court"],
        ),
    ],
)  # fmt: skip
def test_a_letter_says_what_the_law_asks(kind, sentences):
    said = words(sample(kind))

    assert [sentence for sentence in sentences if sentence not in said] == []


# What is carried out is a list of accounts: that is all a letter may promise, and the scope says it.
@pytest.mark.parametrize("kind", KINDS)
def test_a_letter_promises_nothing_that_is_not_carried_out(kind):
    text = words(texts.built_in(kind))

    said = re.findall(r"request }} has its effect|keeps its effect|is upheld for", text)
    assert len(said) == text.count("{{ scope }}")
    assert not re.search(r"training (?:may|will) use|affiliate|data about you|for good", text)


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_for_restriction_is_not_called_an_objection(kind):
    text = texts.built_in(kind)

    assert "objection" not in text.subject + text.body


def test_a_duplicates_letter_tells_of_no_other_ticket():
    assert not re.search(
        "another|other|second|same|account", words(sample("duplicate")).split("complain")[0]
    )


def test_the_confirmation_carries_no_words_of_a_stranger():
    text = texts.built_in("confirmation")

    with pytest.raises(InvalidInput, match=r"does not know {{ name }}"):
        texts.check("confirmation", Text(text.subject, text.body + "{{ name }}"))


@pytest.mark.parametrize("regime", Regime.values)
def test_each_regime_has_words_of_its_own_for_the_same_placeholders(regime):
    legal = texts.LEGAL_WORDS[regime]

    assert set(legal) == {
        "legal_basis",
        "restriction_basis",
        "extension_basis",
        "authority",
        "remedy",
    }
    for kind in KINDS:
        values = texts.sample_values(kind) | legal
        letter = texts.render(texts.built_in(kind), values)
        cites_eu_law = re.search(r"(?<!UK )GDPR", words(letter)) is not None
        names_a_law = kind not in ("confirmation", "withdrawn")
        assert cites_eu_law is (names_a_law and regime == Regime.EU)


def test_each_kind_of_request_has_a_word():
    assert set(texts.REQUEST_WORDS) == set(Kind.values)


# --- Authorities --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("country", "regime", "says"),
    [
        ("SE", "eu", "the Swedish Authority for Privacy Protection (IMY)"),
        ("EL", "eu", "the Hellenic Data Protection Authority in Greece"),
        ("RE", "eu", "the French data protection authority (CNIL)"),
        ("AX", "eu", "the Office of the Data Protection Ombudsman in Finland"),
        ("SJ", "eu", "the Norwegian Data Protection Authority (Datatilsynet)"),
        ("DE", "eu", "the data protection authority of the German state (Land) where you live"),
        ("GB", "uk", "the UK's data protection regulator (ICO, ico.org.uk)"),
        ("", "uk", "the UK's data protection regulator (ICO, ico.org.uk)"),
        ("JE", "uk", "the Jersey Office of the Information Commissioner (JOIC)"),
        ("CH", "ch", "the Federal Data Protection and Information Commissioner (FDPIC)"),
        (
            "US",
            "us-ca",
            "the California Privacy Protection Agency (CPPA) or the California Attorney General",
        ),
        ("BR", "eu", "the Data Protection Commission (DPC) in Ireland (www.dataprotection.ie)"),
        ("US", "eu", "the Data Protection Commission (DPC) in Ireland (www.dataprotection.ie)"),
        ("", "eu", "the Data Protection Commission (DPC) in Ireland (www.dataprotection.ie)"),
    ],
)
def test_the_authority_is_the_one_of_the_persons_country(country, regime, says):
    assert texts.authority_for(country, regime) == says


def test_each_country_of_the_eea_has_an_authority_of_its_own():
    found = {texts.authority_for(country, "eu") for country in EEA}

    assert len(found) == len(EEA) == 30
    assert texts.authority_for("", "eu") not in found


@pytest.mark.parametrize(
    ("day", "says"),
    [(dt.date(2026, 8, 4), "4 August 2026"), (dt.date(2028, 2, 29), "29 February 2028")],
)
def test_a_date_is_written_in_words(day, says):
    assert texts.date_in_words(day) == says


# --- What staff may save ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subject", "body", "field", "says"),
    [
        ("", "…", "subject", "The subject is empty"),
        (" \t", "…", "subject", "The subject is empty"),
        ("x" * 151, "…", "subject", "at most 150"),
        ("one\ntwo", "…", "subject", "The subject is one line"),
        ("one\r", "…", "subject", "The subject is one line"),
        ("one\u2028two", "…", "subject", "The subject is one line"),
        ("About {{ shoe_size }}", "…", "subject", "does not know {{ shoe_size }}"),
        ("About \u202eit", "…", "subject", r"cannot be seen \(U\+202E\)"),
        ("About it", "", "body", "The body is empty"),
        ("About it", " \n\n ", "body", "The body is empty"),
        ("About it", "… " + "x" * 20_000, "body", "at most 20,000"),
        ("About it", "NUL\n\x00\n…", "body", r"Line 2 of the body .* \(U\+0000\)"),
        ("About it", "… lone \r return", "body", r"\(U\+000D\)"),
        ("About it", "… \ud800", "body", r"\(U\+D800\)"),
        ("About it", "… {{ link }}", "body", "does not know {{ link }}. It knows {{ authority }}"),
        ("About it", "… {{ name.first }}", "body", "“{{” stands where no placeholder is"),
        ("About it", "… {{ name|upper }}", "body", "“{{” stands where no placeholder is"),
        ("About it", "… name }}", "body", "“}}” stands where no placeholder is"),
        ("About it", "… {% include 'x' %}", "body", "“{%” stands where no placeholder is"),
    ],
)
def test_a_text_that_could_not_be_sent_is_refused(subject, body, field, says):
    whole = texts.built_in("refused").body

    with pytest.raises(InvalidInput, match=says) as refusal:
        texts.check("refused", Text(subject, body.replace("…", whole)))

    assert refusal.value.field == field


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in KINDS for name in texts.REQUIRED[kind]]
)
def test_a_letter_may_not_lose_what_the_law_asks_it_to_say(kind, name):
    text = texts.built_in(kind)
    poorer = Text(text.subject + f" {{{{ {name} }}}}", text.body.replace(f"{{{{ {name} }}}}", ""))

    with pytest.raises(InvalidInput, match=f"must say {{{{ {name} }}}}") as refusal:
        texts.check(kind, poorer)

    assert refusal.value.field == "body"


@pytest.mark.parametrize(
    ("kind", "also"),
    [
        ("confirmation", "link link_expires files"),
        ("acknowledgement", "received_on restricted_on purposes scope restriction_basis due_on"),
        ("identity_request", "purposes restriction_basis doubt identity_question answer_by"),
        ("extension", "purposes restriction_basis extension_reason new_due_on"),
        ("upheld", "outcomes upheld_purposes scope restricted_on"),
        (
            "partly_upheld",
            "outcomes upheld_purposes scope restricted_on lifted_purposes ground balancing_summary "
            "reasons timeliness authority_name authority remedy",
        ),
        (
            "refused",
            "outcomes lifted_purposes ground balancing_summary reasons timeliness authority_name "
            "authority remedy",
        ),
        ("withdrawn", "withdrawal lifted_purposes"),
        (
            "closed_unidentified",
            "reasons lifted_purposes timeliness authority_name authority remedy",
        ),
        ("duplicate", "authority_name authority remedy"),
    ],
)
def test_what_a_letter_must_say(kind, also):
    required = texts.REQUIRED[kind]

    assert required == {"reference", "contact", *also.split()}
    assert required <= texts.AVAILABLE[kind]


def test_a_forms_line_ends_are_no_change_to_a_text():
    text = texts.built_in("refused")
    sent = Text(f" {text.subject} ", text.body.replace("\n", "  \r\n") + "\r\n\r\n")

    texts.check("refused", sent)

    assert texts.tidy(sent) == text


# --- What people wrote --------------------------------------------------------------------------


def test_a_value_is_filled_in_once():
    letter = render(name="{{ reasons }}", reasons="{{ name }}")

    assert letter.body == "Hello {{ reasons }},\n\n{{ name }}\n"


@pytest.mark.parametrize("missing", ["reference", "reasons"])
@pytest.mark.parametrize("blank", [None, "", " \n", "\x00", "\u202e\u200b"])
def test_a_letter_with_a_gap_is_not_made(missing, blank):
    values = {"reference": "OBJ-1", "name": "A", "reasons": "B", missing: blank}

    with pytest.raises(KeyError, match=missing):
        texts.render(NOTE, {name: value for name, value in values.items() if value is not None})


@pytest.mark.parametrize("name", ["", "  ", "\u202e\u200b", "\x00"])
def test_who_gave_no_name_is_greeted_all_the_same(name):
    assert render(name=name).body == "Hello there,\n\nB\n"


@pytest.mark.parametrize(
    ("value", "subject"),
    [
        ("1\r\nBcc: everybody@example.org", "About 1 Bcc: everybody@example.org"),
        ("1\nX: y", "About 1 X: y"),
        ("1\x0b2\x0c3\x1c\x854\u20285\u20296", "About 1 2 3 4 5 6"),
        ("a\x00b\x7f", "About ab"),
        ("\u202eevil\u2066\u200f", "About evil"),
        ("x" * 100_000, "About " + "x" * 293 + "…"),
    ],
)
def test_a_subject_is_one_short_line_whatever_it_is_told(value, subject):
    letter = render(reference=value)

    assert letter.subject == subject
    mail = EmailMessage(letter.subject, letter.body, "a@example.org", ["b@example.org"]).message()
    assert sorted(name for name in mail if name in ("Bcc", "X", "Subject")) == ["Subject"]


def test_a_value_of_one_line_forges_no_paragraph():
    letter = render(name="Ann,\r\n\r\nYour objection is refused.\n\nDear Bob")

    assert letter.body == "Hello Ann, Your objection is refused. Dear Bob,\n\nB\n"


@pytest.mark.parametrize(
    ("reasons", "body"),
    [
        ("a\r\nb\rc", "a\nb\nc"),
        ("a\x00\x07\x1b[31mb", "a[31mb"),
        ("\u202aa\u202eb\u2069\u200e\u061c", "ab"),
        ("a\u2028b\u2029c", "a\nb\nc"),
        ("a\tb", "a\tb"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("a\ud800b", "ab"),
        ("\n\na\n\nb\n\n", "a\n\nb"),
        ("مرحبا 你好 👩‍👩‍👧", "مرحبا 你好 👩‍👩‍👧"),
    ],
)
def test_hostile_characters_are_taken_out_of_a_body_and_others_stay(reasons, body):
    assert render(reasons=reasons).body == f"Hello A,\n\n{body}\n"


@pytest.mark.parametrize("char", ["x", "é", "你", "👩"])
def test_a_word_of_100_kb_is_cut_into_lines_and_loses_nothing(char):
    word = char * (100_000 // len(char.encode()))

    lines = render(reasons=word).body.split("\n")[2:]

    assert "".join(lines) == word
    assert max(len(line.encode()) for line in lines) == 900


def test_long_prose_is_folded_and_lists_and_links_stay_as_they_are():
    link = "https://example.org/" + "x" * 200
    text = Text(
        "{{ reference }}",
        "We write to you, {{ name }}, about this.\nIt matters.\n\n    {{ reference }}\n\n"
        "Reference: 1\nDay: 2\n\n- {{ reasons }}\n- two\n",
    )

    letter = render(text, name="Ann " * 11, reasons="word " * 20, reference=link)

    assert letter.body == (
        "We write to you, Ann Ann Ann Ann Ann Ann Ann Ann Ann Ann Ann, about\nthis. It matters.\n\n"
        f"    {link}\n\n"
        "Reference: 1\nDay: 2\n\n"
        f"- {'word ' * 14}".rstrip()
        + f"\n  {'word ' * 6}".rstrip()
        + "\n- two\n"
    )


# Whatever Unicode has, with more of what is dangerous.
hostile = st.text(
    st.one_of(st.characters(), st.sampled_from("\r\n\t \x00\x0b\x85\u2028\u202e{}- 你👩"))
)
longer = st.builds(lambda part, times: part * times, hostile, st.integers(1, 2_000))


@given(subject=hostile, body=hostile, name=longer, reasons=longer)
def test_no_value_breaks_a_subject_or_makes_a_line_too_long(subject, body, name, reasons):
    text = Text(f"S{subject} {{{{ name }}}}", f"{body}\n{{{{ name }}}}: {{{{ reasons }}}}")

    try:
        letter = render(text, name=name, reasons=reasons + ".")
    except KeyError:  # the drawn text itself may hold a placeholder without a value
        assert "{{" in subject + body
        return

    assert len(letter.subject.splitlines()) == 1
    assert len(letter.subject) <= 300
    assert max(len(line) for line in letter.body.encode().split(b"\n")) <= 998
    assert set(letter.body) & set("\x00\r\x0b\x85\u2028\u2029\u202e\ud800") == set()
