"""Words that the law requires of an officer: long enough to be a reason, and the officer's own."""

import unicodedata
from dataclasses import dataclass
from typing import Final

from portal.errors import InvalidInput

MIN_LETTERS: Final = 40
"""Letters, as Unicode counts them. Fewer name no ground and weigh nothing."""


@dataclass(frozen=True)
class Asked:
    """A field of required words, as its form asks for it and as a refusal of it says."""

    label: str
    help_text: str
    why: str
    field: str = ""
    """Its name in the form, where that is not its name here."""


FIELDS: Final[dict[str, Asked]] = {
    "ground": Asked(
        "The compelling ground",
        "To refuse: what overrides the person's interests, rights and freedoms (GDPR Art. 21(1))."
        " Said to the person.",
        "Name the compelling ground that overrides the person's interests (GDPR Art. 21(1)).",
    ),
    "balancing": Asked(
        "Balancing",
        "To refuse: how you weighed it against what the person says. Said to the person.",
        "Weigh it against what the person says (GDPR Art. 21(1)).",
    ),
    "reasons": Asked(
        "The reasons",
        "To refuse: why, as the person will read it (GDPR Art. 12(4)).",
        "Give the reasons the person will read (GDPR Art. 12(4)).",
    ),
    "doubt": Asked(
        "What makes you doubt who it is",
        "Said to the person in the letter. Without a reasonable doubt nobody is asked (GDPR Art. 12(6)).",
        "Say to the person what makes you doubt: without a reasonable doubt nobody is asked.",
    ),
    "question": Asked(
        "What you need to know",
        "Said to the person. Ask for no more than settles the doubt; no identity card where a word will do.",
        "Say what you need from the person, and no more than that.",
    ),
    "withdrawal": Asked(
        "By which message the person withdrew",
        "What came, when and from where. Said to the person. Silence is no withdrawal.",
        "Say by which message the person withdrew: silence is no withdrawal.",
        "evidence",
    ),
    "unidentified": Asked(
        "What was asked and what came back",
        "Said to the person, as the reason for closing the ticket.",
        "Say what was asked and what came back.",
        "evidence",
    ),
    "abuse": Asked(
        "What makes you sure that nobody asks for this",
        "For the colleague who reviews it; nobody outside reads it.",
        "Say what makes you sure that nobody asks for this.",
        "evidence",
    ),
    "explanation": Asked(
        "Why it takes longer",
        "Said to the person in the notice.",
        "Tell the person why it takes longer.",
    ),
}


def check(name: str, text: str) -> None:
    """Raise InvalidInput unless the text has MIN_LETTERS letters and is not what the form itself says."""
    letters = _letters(text)
    asked = FIELDS[name]
    field = asked.field or name
    if len(letters) < MIN_LETTERS:
        raise InvalidInput(
            f"{asked.why} Write at least {MIN_LETTERS} letters; this has {len(letters)}.",
            field=field,
        )
    if letters in _SAID_BY_FORMS:
        raise InvalidInput(
            f"{asked.why} This repeats what the form asks: write it in words of your own.",
            field=field,
        )


def _letters(text: str) -> str:
    """The letters alone, in one case: punctuation and blanks make no other sentence."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in plain if char.isalpha())


def _sentences() -> frozenset[str]:
    said = set()
    for asked in FIELDS.values():
        parts = [asked.label, asked.help_text, asked.why]
        said.update([*parts, *asked.help_text.split(". "), " ".join(parts[:2])])
    return frozenset(map(_letters, said))


_SAID_BY_FORMS: Final = _sentences()
