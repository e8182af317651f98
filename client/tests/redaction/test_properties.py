"""What holds for every text: triggers miss nothing, a second run changes nothing, and nothing is lost around the items."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from training_portal.redaction import KnownValue, Redactor
from training_portal.redaction.kinds import RULES
from training_portal.redaction.redactor import either
from training_portal.redaction.replacing import STAND_IN

SLOW = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
PIECES = [
    "ada@example.org", "@ada_1815", "@ada@social.example", "jane (at) example (dot) org", "jane at example dot org",
    "+49 170 1234567", "(0170) 1234567", "(415) 555-0132 x12", "0049 30 901820", "01 42 68 53 00", "4155550132",
    "DE89 3704 0044 0532 0130 00", "GB29NWBK60161331926819", "4111 1111 1111 1111", "378282246310005",
    "203.0.113.7", "2001:db8::7", "00:1B:44:11:3A:B7", "001b.4411.3ab7", "https://x.com/ada_l", "https://social.example/@ada",
    "u/ada_l", "ada#1815", "insta: ada.l", "536-90-4399", "536904399", "AB 12 34 56 C", "185057800608491", "1 85 05 78 006 084 91",
    "756.9217.0769.85", "65929970489", "15070649C103", "15 070649 C 103", "1237010180", "Passport no. C01X00T47", "3 March 1975", "03.03.75",
    "1975-03-03", "born", "née le", "Geburtstag", "DOB", "SSN", "Steuer-ID", "NIR", "Tel.", "call", "ıs", "ſ", "K", "İ", "password: hunter2!",
    "mot de passe est Soleil#75", "AKIAIOSFODNN7EXAMPLE", "postgres://ada:s3cret@db.example/app", "Ada Lovelace", "A. Lovelace", "lovelace",
    "Rose May", "[email]", "[phone:abcdefghijkl]", "[", "]", ":", ".", "-", "/", "(", ")", "@", "+", "0", "7", "12", "\u00a0", "\n", "'", "é", "中", "\u200b", "\u0301",
]  # fmt: skip
TEXTS = st.lists(
    st.one_of(st.sampled_from(PIECES), st.sampled_from([" ", " ", "  "]), st.text(max_size=4)),
    max_size=12,
).map("".join)


def _finds(expression, text):
    return pc.match_substring_regex(pa.array([text]), expression)[0].as_py()


def _writable(text):
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@SLOW
@given(data=st.data())
def test_the_trigger_finds_whatever_the_pattern_finds(rule, data):
    text = data.draw(
        st.one_of(st.tuples(TEXTS, st.from_regex(rule.pattern), TEXTS).map("".join), TEXTS).filter(
            _writable
        )
    )

    for span in rule.find(text):
        assert _finds(rule.trigger, text), (span, text)
        assert _finds(rule.glance or rule.trigger, text), (span, text)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_trigger_finds_each_example_as_the_pattern_does(rule):
    texts = [
        text
        for piece in PIECES
        for text in (piece, f"so: {piece}, and", f"born, SSN, NIR: {piece}")
    ]
    found = [text for text in texts if any(rule.find(text))]

    for expression in (rule.trigger, rule.glance or rule.trigger):
        assert all(pc.match_substring_regex(pa.array(found, pa.string()), expression).to_pylist())


KNOWN = [
    KnownValue("name", "Ada Lovelace", 17),
    KnownValue("handle", "ada_1815", 17),
    KnownValue("name", "Rose May", 21, needs_second=True),
    KnownValue("email", "ada@example.org", 21),
    KnownValue("handle", "email", 22),
    KnownValue("handle", "abcdefghijkl", 22),
]


@settings(max_examples=250, deadline=None)
@given(
    st.lists(st.one_of(TEXTS.filter(_writable), st.none()), min_size=1, max_size=4), st.booleans()
)
def test_redacting_twice_changes_nothing(texts, with_key):
    redactor = Redactor(redaction_list=KNOWN, key=b"1" * 16 if with_key else None)

    once, _ = redactor.redact(pa.array(texts, pa.string()))
    twice, hits = redactor.redact(once)

    assert twice == once
    assert hits.by_kind == {}


@settings(max_examples=120, deadline=None)
@given(TEXTS.filter(_writable))
def test_all_that_is_no_item_stays_in_its_order(text):
    redacted, hits = Redactor(redaction_list=KNOWN).redact(pa.array([text]))

    left = redacted[0].as_py()
    at = 0
    for part in STAND_IN.split(left):
        at = text.find(part, at)
        assert at >= 0, (text, left)
        at += len(part)
    assert bool(hits.by_kind) == (left != text)


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXTS.filter(_writable), min_size=2, max_size=5))
def test_a_text_is_redacted_alike_whatever_stands_beside_it(texts):
    redactor = Redactor(redaction_list=KNOWN)

    together, hits = redactor.redact(pa.array(texts))

    apart = [redactor.redact(pa.array([text])) for text in texts]
    assert together.to_pylist() == [column[0].as_py() for column, _ in apart]
    assert hits == sum((one for _, one in apart[1:]), apart[0][1])


def test_all_glances_in_one_find_what_each_finds_alone():
    expression = either(rule.glance or rule.trigger for rule in RULES)

    for piece in PIECES:
        alone = any(_finds(rule.glance or rule.trigger, piece) for rule in RULES)
        assert _finds(expression, piece) == alone, piece
