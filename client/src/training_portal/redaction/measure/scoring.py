"""Recall and precision of the rules on texts with known items."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import pyarrow as pa

from training_portal.redaction.measure.texts import Text
from training_portal.redaction.redactor import Redactor


@dataclass
class Score:
    """Of one kind in one language."""

    items: int = 0
    found: int = 0
    """Items of which no letter and no digit stays."""
    marked: int = 0
    """Replacements of the kind, in all texts of the language."""
    rightly: int = 0
    """Those that overlap an item, of whatever kind."""
    missed: list[str] = field(default_factory=list, repr=False)
    wrong: list[str] = field(default_factory=list, repr=False)

    @property
    def recall(self) -> float:
        return self.found / self.items if self.items else 0.0

    @property
    def precision(self) -> float:
        return self.rightly / self.marked if self.marked else 1.0


def score(redactor: Redactor, texts: Iterable[Text]) -> dict[tuple[str, str], Score]:
    """Scores by kind and language."""
    texts = list(texts)
    spans = redactor.find(pa.array([one.text for one in texts]))
    scores: dict[tuple[str, str], Score] = {}
    for one, found in zip(texts, spans, strict=True):
        covered: Counter[int] = Counter()
        for start, end, kind in found:
            covered.update(range(start, end))
            mark = scores.setdefault((kind, one.language), Score())
            mark.marked += 1
            if one.kind and start < one.end and one.start < end:
                mark.rightly += 1
            else:
                mark.wrong.append(one.text)
        if one.kind:
            mark = scores.setdefault((one.kind, one.language), Score())
            mark.items += 1
            places = [at for at in range(one.start, one.end) if one.text[at].isalnum()]
            if all(covered[at] for at in places):
                mark.found += 1
            else:
                mark.missed.append(one.text)
    return scores
