"""Recall of the listed forms of known values: names by Faker, each in each form."""

import unicodedata
from collections.abc import Callable
from typing import Final

import pyarrow as pa

from training_portal.redaction.known import KnownValue
from training_portal.redaction.measure.texts import LANGUAGES, SECOND, Values
from training_portal.redaction.redactor import Redactor


def _backward(name: str) -> str:
    first, last = name.split(" ", 1)
    return f"{last}, {first}"


def _initial(name: str) -> str:
    first, last = name.split(" ", 1)
    return f"{first[0]}. {last}"


def _without_marks(name: str) -> str:
    return "".join(
        one for one in unicodedata.normalize("NFD", name) if unicodedata.category(one) != "Mn"
    )


def _spelled(name: str) -> str:
    for letter, letters in (
        ("ä", "ae"),
        ("ö", "oe"),
        ("ü", "ue"),
        ("Ä", "Ae"),
        ("Ö", "Oe"),
        ("Ü", "Ue"),
        ("ß", "ss"),
    ):
        name = name.replace(letter, letters)
    return name


FORMS: Final[dict[str, Callable[[str], str]]] = {
    "as it is": str,
    "small letters": str.lower,
    "capitals": str.upper,
    "decomposed (NFD)": lambda name: unicodedata.normalize("NFD", name),
    "without marks": _without_marks,
    "umlauts as two letters": _spelled,
    "possessive": lambda name: f"{name}'s",
    "two blanks": lambda name: name.replace(" ", "  "),
    "no-break space": lambda name: name.replace(" ", "\u00a0"),
    "zero-width characters": lambda name: name[:2] + "\u200b" + name[2:],
    "over two lines": lambda name: name.replace(" ", "\n"),
    "underscores or dots": lambda name: name.replace(" ", "_"),
    "without apostrophes and hyphens": lambda name: name.replace("'", "").replace("-", ""),
    "backward": _backward,
    "hashtag": lambda name: "#" + name.replace(" ", "").replace("'", "").replace("-", ""),
    "initial, with a second value near": _initial,
}
"""Of a name, as the page lists them."""
_OTHERS: Final = {
    "e-mail address": ("email", str.upper),
    "e-mail address, spelled out": ("email", lambda value: value.replace("@", " (at) ")),
    "handle": ("handle", lambda value: f"@{value}"),
    "profile address, without https": ("url", lambda value: value.removeprefix("https://www.")),
}


def measured(count: int, seed: int) -> dict[str, tuple[int, int]]:
    """Found and asked, by form, over all languages."""
    makers = [
        Values(locale, seed + n) for n, locales in enumerate(SECOND.values()) for locale in locales
    ]
    names = [makers[n % len(makers)].name() for n in range(count * len(LANGUAGES))]
    result = {}
    for form, write in FORMS.items():
        needs_handle = "initial" in form
        texts = [
            f"and then {write(name)} came, {f'@person_{n}' if needs_handle else 'they said'}"
            for n, name in enumerate(names)
        ]
        listed = [KnownValue("name", name, n + 1) for n, name in enumerate(names)]
        listed += [KnownValue("handle", f"person_{n}", n + 1) for n in range(len(names))]
        result[form] = (_found(listed, texts, "[name]"), len(texts))
    for form, (kind, write) in _OTHERS.items():
        values = [_value(makers[n % len(makers)], kind) for n in range(len(names))]
        texts = [f"see {write(value)}, thanks" for value in values]
        listed = [KnownValue(kind, value, n + 1) for n, value in enumerate(values)]
        result[form] = (_found(listed, texts, ""), len(texts))
    return result


def _value(maker: Values, kind: str) -> str:
    if kind == "email":
        return maker.email().lower()
    return (
        f"https://www.{maker.fake.domain_name()}/{maker.fake.user_name()}"
        if kind == "url"
        else str(maker.fake.user_name())
    )


def _found(listed: list[KnownValue], texts: list[str], mark: str) -> int:
    """Texts in which the value of their own entry was found, without a pattern's help where names are asked for."""
    redactor = Redactor(redaction_list=listed)
    found = 0
    for n, text in enumerate(texts, start=1):
        column, hits = redactor.redact(pa.array([text]))
        found += n in hits.by_entry and mark in column[0].as_py()
    return found
