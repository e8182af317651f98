"""The page about receipts: its example is a receipt, and its words are those of the code."""

import re
from pathlib import Path

import pytest
from django.conf import settings

from common.text import strict_json
from deliveries.receipts import envelopes, statements

PAGE = (Path(settings.BASE_DIR) / "docs/reference/receipt-format.md").read_text()


def example():
    return strict_json.read(re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)[1])


def test_the_example_is_a_receipt():
    body = statements.Predicate(data=example())

    assert body.is_valid(), body.errors


def test_the_example_has_every_field():
    assert set(example()) == set(statements.Predicate().fields) - {"checkpoint"}


@pytest.mark.parametrize("words", [statements.REASONS, statements.MODALITIES])
def test_the_page_has_the_words_of_the_code(words):
    assert ", ".join(f"`{one}`" for one in words) in PAGE


def test_the_page_has_the_names_of_the_formats():
    for name in (statements.STATEMENT, statements.PREDICATE, envelopes.PAYLOAD_TYPE):
        assert name in PAGE
