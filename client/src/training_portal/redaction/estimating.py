"""An estimate of what redaction missed: Presidio, as a second opinion, over a sample of what came out.

Presidio reads some 400 texts a second, so it is no engine for a data set. Its opinion is one of patterns too, unless a
language model for names is given to it.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import pyarrow as pa

from training_portal.errors import Misuse
from training_portal.redaction.replacing import STAND_IN

ENTITIES: Final = (
    "EMAIL_ADDRESS", "PHONE_NUMBER", "IBAN_CODE", "CREDIT_CARD", "IP_ADDRESS", "US_SSN", "UK_NHS", "PERSON", "LOCATION",
)  # fmt: skip
"""The kinds that Presidio is asked for, as far as its recognizers know them."""
MIN_SCORE: Final = 0.35


@dataclass(frozen=True)
class Residual:
    """The texts of a sample in which a second tool still finds something after redaction, in counts."""

    sampled: int
    found: int

    def for_receipt(self) -> dict[str, int]:
        """The field `residual` of a receipt's `redaction`."""
        return {"sampled": self.sampled, "found": self.found}


def estimate(
    column: pa.Array | pa.ChunkedArray,
    *,
    sample: int = 1_000,
    seed: int = 0,
    language: str = "en",
    analyzer: Any = None,
) -> Residual:
    """Ask Presidio about a sample of a redacted column.

    :param sample: texts that are drawn, fewer where the column has fewer; nulls are none.
    :param analyzer: an `AnalyzerEngine` of your own, with a model for names in your language. Without one, Presidio works
        with its patterns, without a model, and without any download.
    Raises Misuse where Presidio is not installed.
    """
    engine = analyzer if analyzer is not None else _analyzer(language)
    rows = [row for row, is_there in enumerate(column.is_valid().to_pylist()) if is_there]
    drawn = sorted(random.Random(seed).sample(rows, min(sample, len(rows))))  # noqa: S311 - a sample, no secret
    texts = [STAND_IN.sub(" ", column[row].as_py()) for row in drawn]
    return Residual(len(texts), sum(_has_something(engine, text, language) for text in texts))


def _has_something(engine: Any, text: str, language: str) -> bool:
    known: Sequence[str] = engine.get_supported_entities(language)
    asked = [entity for entity in ENTITIES if entity in known]
    return bool(
        engine.analyze(text=text, language=language, entities=asked, score_threshold=MIN_SCORE)
    )


def _analyzer(language: str) -> Any:
    try:
        spacy, tldextract = import_module("spacy"), import_module("tldextract")
        presidio = import_module("presidio_analyzer")
        engines = import_module("presidio_analyzer.nlp_engine")
    except ImportError:
        raise Misuse(
            "An estimate of what was missed needs Presidio, which is not installed.",
            "Run: pip install presidio-analyzer",
        ) from None
    # Without this, the first address in a text would be looked up on the network.
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    engine = engines.SpacyNlpEngine(models=[{"lang_code": language, "model_name": "blank"}])
    engine.nlp = {language: spacy.blank(language)}
    return presidio.AnalyzerEngine(nlp_engine=engine, supported_languages=[language])
