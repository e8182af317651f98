from importlib.util import find_spec

import pyarrow as pa
import pytest

from training_portal.errors import Misuse
from training_portal.redaction import Redactor, estimate

TEXTS = pa.array(
    ["mail ada@example.org", None, "nothing", "call +1 415-555-0132", "[email] wrote"] * 30
)


class _FindsAtSigns:
    """An engine of one's own, in the shape of Presidio's."""

    def __init__(self):
        self.asked = []

    def get_supported_entities(self, language):
        return ["EMAIL_ADDRESS"]

    def analyze(self, *, text, language, entities, score_threshold):
        self.asked.append((text, language, tuple(entities)))
        return ["found"] if "@" in text else []


def test_a_sample_is_drawn_from_what_is_no_null_and_always_the_same():
    one, other = _FindsAtSigns(), _FindsAtSigns()

    first = estimate(TEXTS, sample=40, seed=5, analyzer=one)
    second = estimate(
        pa.chunked_array([TEXTS.slice(0, 70), TEXTS.slice(70)]), sample=40, seed=5, analyzer=other
    )

    assert first == second
    assert one.asked == other.asked
    assert first.sampled == len(one.asked) == 40
    assert first.found == sum("@" in text for text, _, _ in one.asked) > 0


def test_a_column_that_is_shorter_than_the_sample_is_asked_as_a_whole():
    assert estimate(TEXTS, analyzer=_FindsAtSigns()).for_receipt() == {"sampled": 120, "found": 30}


def test_replacements_are_not_shown_to_the_second_engine():
    engine = _FindsAtSigns()

    estimate(pa.array(["[email] wrote", "[phone:abcdefghijkl]"]), analyzer=engine, language="de")

    assert engine.asked == [("  wrote", "de", ("EMAIL_ADDRESS",)), (" ", "de", ("EMAIL_ADDRESS",))]


@pytest.mark.skipif(find_spec("presidio_analyzer") is not None, reason="Presidio is installed")
def test_without_presidio_the_call_says_what_to_install():
    with pytest.raises(Misuse, match="pip install presidio-analyzer"):
        estimate(TEXTS)


@pytest.mark.skipif(
    find_spec("presidio_analyzer") is None, reason="Presidio is not installed: some 300 MB"
)
def test_presidio_itself_finds_less_after_redaction():
    redacted, _ = Redactor().redact(TEXTS)

    assert estimate(TEXTS).found == 60
    assert estimate(redacted).found == 0
