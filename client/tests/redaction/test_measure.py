"""The measurement, in short: what the page promises holds on fewer texts, and the measurement can fail."""

import pyarrow as pa
import pytest

from training_portal.redaction import Profile, Redactor
from training_portal.redaction.measure import known_forms, page, scoring, speed
from training_portal.redaction.measure.__main__ import scores
from training_portal.redaction.measure.texts import (
    KINDS,
    LANGUAGES,
    WITHOUT_A_LIST,
    Text,
    items,
    negatives,
)

PER_KIND = 45


@pytest.fixture(scope="module")
def second():
    return scores(PER_KIND, seed=7)


@pytest.mark.parametrize("kind", KINDS)
def test_recall_and_precision_hold_on_the_second_generator(second, kind):
    for language in LANGUAGES:
        score = second[kind, language]
        assert score.items == PER_KIND
        assert score.recall >= 0.97, score.missed  # one item of 45 may be missed
        assert score.precision >= 0.95, score.wrong


def test_texts_are_the_same_for_the_same_seed():
    assert list(items("phone", "de", 5, 1)) == list(items("phone", "de", 5, 1))
    assert list(negatives("fr", 5, 1)) == list(negatives("fr", 5, 1))


def test_an_item_stands_where_its_text_says():
    for kind in (*KINDS, *WITHOUT_A_LIST):
        for one in items(kind, "en", 3, 1):
            assert one.text[: one.start] + one.item + one.text[one.end :] == one.text
            assert one.item.strip() == one.item != ""


def test_a_missed_item_and_a_wrong_replacement_lower_the_score():
    profile = Profile.read(b'name = "mail"\nversion = "1"\nkinds = ["email"]\n')
    text = "call 0170 1234567, not ada@example.org"
    score = scoring.score(Redactor(profile), [Text(text, "en", "phone", 5, 17)])

    assert score["phone", "en"].recall == 0.0
    assert score["email", "en"].precision == 0.0


def test_names_and_addresses_are_not_found_without_a_list():
    texts = [
        one
        for language in LANGUAGES
        for kind in WITHOUT_A_LIST
        for one in items(kind, language, 30, 3)
    ]

    found = scoring.score(Redactor(), texts)

    assert (
        max(found[kind, language].recall for kind in WITHOUT_A_LIST for language in LANGUAGES)
        <= 0.05
    )


def test_known_values_are_found_in_each_form_that_the_page_lists():
    for form, (found, asked) in known_forms.measured(20, 3).items():
        assert found / asked >= 0.98, form


def test_rows_without_an_item_are_not_even_candidates():
    column = pa.array(
        [
            text
            for text in speed.posts(3_000, 0.0, 3)
            if not any(map(str.isdigit, text)) and "/" not in text
        ]
    )

    assert len(Redactor()._candidates(column)) <= len(column) // 100


def test_the_page_has_every_figure(second):
    text = page.written(
        second=second,
        third=second,
        without=scoring.score(
            Redactor(),
            [one for la in LANGUAGES for kind in WITHOUT_A_LIST for one in items(kind, la, 2, 3)],
        ),
        negatives=225,
        known={"as it is": (199, 200)},
        ratio=speed.beside_a_copy(3_000, 3),
        dirty=speed.dirty_rows(300, 3),
        listed=speed.long_list(500, 500, 3),
        machine="2 processors",
        versions=["rules 1.0"],
    )

    assert "| as it is | 0.995 |" in text
    assert all(f"| `{kind}` | " in text for kind in KINDS)
    assert "$" not in text.replace("US$", "")
