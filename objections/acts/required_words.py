"""Words that the law requires of an officer: long enough to be a reason, and the officer's own."""

import unicodedata
from dataclasses import dataclass
from typing import Final

from ledger.errors import InvalidInput

MIN_LETTERS: Final = 40
"""Letters, as Unicode counts them, beside what the form itself says. Fewer name no ground and weigh nothing."""
MIN_DIFFERENT: Final = 8
"""Different letters: one key held down writes no reason."""


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
        "Quoted in the letter. Identification may only be requested with a reasonable doubt (GDPR Art. 12(6)).",
        "Tell the person the reason for your doubt: without a reasonable doubt you cannot request identification.",
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
        "Evidence that no genuine person made this request",
        "For the colleague who reviews it; not disclosed outside the team.",
        "Give the evidence that no genuine person made this request.",
        "evidence",
    ),
    "explanation": Asked(
        "Why it takes longer",
        "Said to the person in the notice.",
        "Tell the person why it takes longer.",
    ),
}


def check(name: str, text: str) -> None:
    """Raise InvalidInput unless the text has MIN_LETTERS letters, without the sentences of the forms themselves."""
    letters = _letters(text)
    asked = FIELDS[name]
    field = asked.field or name
    is_long = len(letters) >= MIN_LETTERS
    for said in _SAID_BY_FORMS:
        letters = letters.replace(said, "")
    if len(letters) >= MIN_LETTERS and len(set(letters)) >= MIN_DIFFERENT:
        return
    if is_long:
        raise InvalidInput(
            f"{asked.why} Write at least {MIN_LETTERS} letters in your own words, besides the text of the form.",
            field=field,
        )
    raise InvalidInput(
        f"{asked.why} Write at least {MIN_LETTERS} letters; this has {len(letters)}.", field=field
    )


def check_apart(texts: dict[str, str]) -> None:
    """Raise InvalidInput where two fields, by their names, say the same: each answers a question of its own."""
    seen: dict[str, str] = {}
    for name, text in texts.items():
        other = seen.setdefault(_letters(text), name)
        if other != name:
            raise InvalidInput(
                f"{FIELDS[name].why} This repeats the field “{FIELDS[other].label}”.", field=name
            )


def _letters(text: str) -> str:
    """The letters alone, in one case: punctuation and blanks make no other sentence."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in plain if char.isalpha())


def _sentences() -> list[str]:
    said = set()
    for asked in FIELDS.values():
        said.update([asked.label, asked.help_text, asked.why, *asked.help_text.split(". ")])
    # A short label is a word that people use in a reason. The longest first: it may hold others.
    return sorted((one for one in map(_letters, said) if len(one) >= 15), key=len, reverse=True)


_SAID_BY_FORMS: Final = _sentences()
