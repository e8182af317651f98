"""Texts of letters: placeholders, the law's words for each regime, and rendering both as a letter.

The privacy team edits these texts, so they are no templates of Django: `{{ name }}` from a fixed list is all
they know, and it is replaced once. What a person wrote can therefore never become a placeholder, a header
or a line that a mail server refuses.
"""

import datetime as dt
import re
import textwrap
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from common.text.words import is_blank
from consent import countries
from ledger.errors import InvalidInput, NotFound
from objections.choices import Kind, LetterKind, Regime

FOLDER: Final = Path(__file__).resolve().parents[2] / "templates" / "letters"
LANGUAGES: Final = ("en",)
"""Languages that have a folder with all letters."""


def closest(language: str | None) -> str:
    """The language letters have for who reads pages in `language`: English where there is no other.

    >>> closest("en-gb"), closest("xx"), closest(None)
    ('en', 'en', 'en')
    """
    base = (language or "").partition("-")[0]
    return base if base in LANGUAGES else "en"


SUBJECT_LENGTH: Final = 150
BODY_LENGTH: Final = 20_000
RENDERED_SUBJECT_LENGTH: Final = 300
"""In characters; a value may make a subject longer than its template, and is cut there."""
WIDTH: Final = 72
"""Columns. A paragraph in which a value makes a line longer is folded anew."""
LINE_BYTES: Final = 900
"""RFC 5322, section 2.1.1, allows 998 octets a line; only a single word can be longer than WIDTH."""
NAMELESS: Final = "there"
"""Stands for the name of who gave none: "Hello there,"."""


@dataclass(frozen=True)
class Text:
    """A letter, or the template of one."""

    subject: str
    body: str


# --- Placeholders -------------------------------------------------------------------------------

PLACEHOLDERS: Final[dict[str, str]] = {
    "name": "the person's name, as given",
    "reference": "the ticket's reference",
    "request": "“objection” or “request for restriction”",
    "received_on": "the day of receipt",
    "purposes": "all purposes the person named, in one line",
    "restricted_on": "the day on which it was recorded: no training that began later may use the data",
    "scope": "which data our promise covers, and which training used it in between",
    "legal_basis": "the law the objection is worked under",
    "controller": "the company's name",
    "contact": "the privacy team's address",
    "authority_name": "the supervisory authority for the person's country",
    "authority": "how to complain there",
    "remedy": "the way to a court",
    "link": "the confirmation link",
    "link_expires": "until when the link works",
    "files": "what happens to the files that came with the form; nothing when none came",
    "due_on": "by when the person has our answer",
    "answer_by": "by when the person should answer an identity request",
    "timeliness": "by when our answer was due, and an apology where it is late",
    "refuse_by": "by when a refusal must have reached the person",
    "new_due_on": "by when the person has our answer now",
    "restriction_basis": "why the data stays out until we answer",
    "doubt": "why we are not sure who it is, said to the person",
    "identity_question": "what we need to know and why this and nothing more",
    "extension_reason": "why we need more time",
    "extension_basis": "what the law says about more time",
    "outcomes": "a line for each purpose: what was decided, or that it is dealt with elsewhere",
    "upheld_purposes": "the purposes the data stays out of, in one line",
    "lifted_purposes": "the purposes whose restriction ends once this letter counts as delivered, in one line",
    "ground": "the compelling ground",
    "balancing_summary": "how the ground was weighed against the person's interests",
    "reasons": "the reasons for the decision",
    "withdrawal": "what was withdrawn, when and by which message",
}

_PARAGRAPHS: Final = frozenset(
    {
        "authority", "balancing_summary", "doubt", "extension_basis", "extension_reason", "files", "ground",
        "identity_question", "outcomes", "reasons", "remedy", "restriction_basis", "scope", "timeliness",
        "withdrawal",
    }
)  # fmt: skip
"""Their values may have several lines; every other value is made one line, so that it forges no paragraph."""

_CASE = frozenset(
    {"reference", "request", "received_on", "purposes", "legal_basis", "controller", "contact"}
)
_PERSON = _CASE | {"name", "authority_name", "authority", "remedy"}
_PROMISE = {"restricted_on", "scope"}
_MEANWHILE = _PROMISE | {"due_on", "refuse_by", "restriction_basis"}
_ANSWER = {"outcomes", "upheld_purposes", "lifted_purposes"}
_NO = {"ground", "balancing_summary", "reasons"}

AVAILABLE: Final[dict[str, frozenset[str]]] = {
    # The address is unconfirmed: a stranger's text, the name included, is not sent there.
    LetterKind.CONFIRMATION: _CASE | {"link", "link_expires", "files"},
    LetterKind.ACKNOWLEDGEMENT: _PERSON | _MEANWHILE | {"files"},
    LetterKind.IDENTITY_REQUEST: _PERSON
    | {"restriction_basis", "doubt", "identity_question", "answer_by"},
    LetterKind.EXTENSION: _PERSON
    | _MEANWHILE
    | {"new_due_on", "extension_reason", "extension_basis"},
    LetterKind.UPHELD: _PERSON | _PROMISE | {"outcomes", "upheld_purposes", "timeliness"},
    LetterKind.PARTLY_UPHELD: _PERSON | _PROMISE | _ANSWER | _NO | {"timeliness"},
    LetterKind.REFUSED: _PERSON | _NO | {"outcomes", "lifted_purposes", "timeliness"},
    LetterKind.WITHDRAWN: _PERSON | {"withdrawal", "lifted_purposes"},
    LetterKind.CLOSED_UNIDENTIFIED: _PERSON | {"reasons", "lifted_purposes", "timeliness"},
    # It may be from a stranger who named a member's account: it mentions no other ticket.
    LetterKind.DUPLICATE: _PERSON,
}
"""Placeholders available to a kind of letter: its renderer has a value for each."""

_COMPLAINT = "authority_name authority remedy"
REQUIRED: Final[dict[str, frozenset[str]]] = {
    kind: frozenset(names.split()) | {"reference", "contact"}
    for kind, names in {
        LetterKind.CONFIRMATION: "link link_expires files",
        # GDPR Art. 18(1)(d), 12(3)
        LetterKind.ACKNOWLEDGEMENT: "received_on restricted_on purposes scope restriction_basis due_on",
        # Art. 12(6), 5(1)(c)
        LetterKind.IDENTITY_REQUEST: "purposes restriction_basis doubt identity_question answer_by",
        # Art. 12(3)
        LetterKind.EXTENSION: "purposes restriction_basis extension_reason new_due_on",
        # Art. 21(1), 12(3)
        LetterKind.UPHELD: "outcomes upheld_purposes scope restricted_on",
        # Art. 21(1), 12(4), 18(3)
        LetterKind.PARTLY_UPHELD: "outcomes upheld_purposes scope restricted_on lifted_purposes "
        "ground balancing_summary reasons timeliness " + _COMPLAINT,
        LetterKind.REFUSED: "outcomes lifted_purposes ground balancing_summary reasons timeliness "
        + _COMPLAINT,
        # Art. 18(3)
        LetterKind.WITHDRAWN: "withdrawal lifted_purposes",
        # Art. 12(2), 12(4), 18(3)
        LetterKind.CLOSED_UNIDENTIFIED: "reasons lifted_purposes timeliness " + _COMPLAINT,
        # Art. 12(4)
        LetterKind.DUPLICATE: _COMPLAINT,
    }.items()
}
"""Placeholders that the law requires in a kind of letter: its body may not lose them."""

# --- Files ----------------------------------------------------------------------------------------

FILES_WAIT: Final = (
    "The files that came with it wait apart until you confirm. We delete them after {day}, unless you confirm or we"
    " need them to decide on what you asked for. It still counts."
)
FILES_REFUSED: Final = (
    "We could not take the files that came with it. What you asked for counts without them. To send them, write to"
    " {contact} and name the reference."
)

# --- The law's words ----------------------------------------------------------------------------

REQUEST_WORDS: Final[dict[str, str]] = {
    Kind.OBJECTION: "objection",
    Kind.RESTRICTION: "request for restriction",
}
"""The wording of `request`."""

LEGAL_WORDS: Final[dict[str, dict[str, str]]] = {
    Regime.EU: {
        "legal_basis": "Articles 18 and 21 of the General Data Protection Regulation (GDPR)",
        "restriction_basis": (
            "Article 18 of the GDPR (for an objection, Article 18(1)(d)) protects you in this way "
            "while we examine it."
        ),
        "extension_basis": (
            "Article 12(3) of the GDPR allows up to two further months where that is necessary, "
            "because a request is complex or because one person has sent many. We must tell you "
            "before the first period ends. We do so with this letter."
        ),
        "authority": (
            "In the European Economic Area you may choose instead the authority of the country "
            "where you live or work, or where you think the law was broken (Article 77 of the "
            "GDPR). All of them are listed at www.edpb.europa.eu. In our case the Irish one "
            "(www.dataprotection.ie) takes the lead."
        ),
        "remedy": (
            "You can also go to court, in the country where we are established or, in the European "
            "Economic Area, in the one where you live (Article 79 of the GDPR)."
        ),
    },
    Regime.UK: {
        "legal_basis": "Articles 18 and 21 of the UK GDPR",
        "restriction_basis": (
            "Article 18 of the UK GDPR (for an objection, Article 18(1)(d)) protects you in this "
            "way while we examine it."
        ),
        # Art. 12A came with the Data (Use and Access) Act 2025, section 76.
        "extension_basis": (
            "The UK GDPR (Articles 12 and 12A) allows up to two further months where that is "
            "necessary, because a request is complex or because one person has sent many. We must "
            "tell you before the first period ends. We do so with this letter."
        ),
        "authority": (
            "It may ask you to complain to us first. You can do that at any time: write to us, and "
            "say that it is a complaint."
        ),
        "remedy": (
            "You can also go to court. It can order us to do what the law asks (Article 79 of the "
            "UK GDPR; section 167 of the Data Protection Act 2018)."
        ),
    },
    Regime.CH: {
        "legal_basis": "Article 30 of the Swiss Federal Act on Data Protection (FADP)",
        "restriction_basis": (
            "We do so for everybody who asks. Under the Swiss Data Protection Act (Articles 30 and "
            "31), data may be used against a person's express wish only with a justification."
        ),
        "extension_basis": (
            "The Swiss Data Protection Act names no day by which this must be answered. We "
            "set ourselves 30 days, and tell you when we cannot keep them."
        ),
        "authority": (
            "You find out how at www.edoeb.admin.ch. The Commissioner decides whether to open an "
            "investigation (Article 49 of the FADP)."
        ),
        "remedy": (
            "You can also go to a civil court. It can forbid us to use your data (Article 32 of the "
            "FADP)."
        ),
    },
    Regime.US_CA: {
        "legal_basis": "the California Consumer Privacy Act (CCPA)",
        "restriction_basis": "We do so for everybody who asks.",
        # An opt-out has 15 business days and no more (California Code of Regulations, title 11, § 7026).
        "extension_basis": (
            "Your request has its effect already. The longer time is for our answer only."
        ),
        "authority": "Both take complaints on their websites, cppa.ca.gov and oag.ca.gov.",
        "remedy": (
            "You can also go to court where the law gives you that right. The CCPA itself gives it "
            "for certain data breaches only (California Civil Code, section 1798.150)."
        ),
    },
}
"""For each regime the placeholders whose words are the law's."""

_AUTHORITIES: Final = {
    "AT": "the Austrian Data Protection Authority (Datenschutzbehörde)",
    "BE": "the Belgian Data Protection Authority (APD-GBA)",
    "BG": "the Bulgarian Commission for Personal Data Protection",
    "HR": "the Croatian Personal Data Protection Agency (AZOP)",
    "CY": "the Commissioner for Personal Data Protection in Cyprus",
    "CZ": "the Czech Office for Personal Data Protection (ÚOOÚ)",
    # Companies are supervised by the Länder; the federal commissioner is for federal bodies and telecoms.
    "DE": "the data protection authority of the German state (Land) where you live",
    "DK": "the Danish Data Protection Agency (Datatilsynet)",
    "EE": "the Estonian Data Protection Inspectorate (Andmekaitse Inspektsioon)",
    "ES": "the Spanish Data Protection Agency (AEPD)",
    "FI": "the Office of the Data Protection Ombudsman in Finland",
    "FR": "the French data protection authority (CNIL)",
    "GR": "the Hellenic Data Protection Authority in Greece",
    "HU": "the Hungarian National Authority for Data Protection and Freedom of Information (NAIH)",
    "IE": "the Data Protection Commission (DPC) in Ireland",
    "IT": "the Italian Data Protection Authority (Garante per la protezione dei dati personali)",
    "LT": "the State Data Protection Inspectorate (VDAI) in Lithuania",
    "LU": "the National Commission for Data Protection (CNPD) in Luxembourg",
    "LV": "the Data State Inspectorate (DVI) in Latvia",
    "MT": "the Information and Data Protection Commissioner (IDPC) in Malta",
    "NL": "the Dutch Data Protection Authority (Autoriteit Persoonsgegevens)",
    "PL": "the President of the Personal Data Protection Office (UODO) in Poland",
    "PT": "the Portuguese Data Protection Authority (CNPD)",
    "RO": "the National Supervisory Authority for Personal Data Processing (ANSPDCP) in Romania",
    "SE": "the Swedish Authority for Privacy Protection (IMY)",
    "SI": "the Information Commissioner in Slovenia",
    "SK": "the Office for Personal Data Protection of the Slovak Republic",
    "IS": "the Icelandic Data Protection Authority (Persónuvernd)",
    "LI": "the Data Protection Authority of Liechtenstein (Datenschutzstelle)",
    "NO": "the Norwegian Data Protection Authority (Datatilsynet)",
    "CH": "the Federal Data Protection and Information Commissioner (FDPIC)",
    # The Data (Use and Access) Act 2025 turns the Commissioner's Office into a Commission: right for both.
    "GB": "the UK's data protection regulator (ICO, ico.org.uk)",
    # They go with the United Kingdom in our rules, and have authorities of their own.
    "GG": "the Office of the Data Protection Authority (ODPA) in Guernsey",
    "GI": "the Gibraltar Regulatory Authority (GRA)",
    "IM": "the Isle of Man Information Commissioner",
    "JE": "the Jersey Office of the Information Commissioner (JOIC)",
}
_CALIFORNIA: Final = (
    "the California Privacy Protection Agency (CPPA) or the California Attorney General"
)
_STATE_OF: Final = {
    territory: state for state, all_of in countries.TERRITORIES.items() for territory in all_of
}
_BY_REGIME: Final[dict[str, str]] = {
    # Art. 77 is about member states: who lives in none has the lead authority's.
    Regime.EU: "the Data Protection Commission (DPC) in Ireland (www.dataprotection.ie)",
    Regime.UK: _AUTHORITIES["GB"],
    Regime.CH: _AUTHORITIES["CH"],
    Regime.US_CA: _CALIFORNIA,
}


def authority_for(country: str, regime: str) -> str:
    """The supervisory authority a person may complain to, as words that follow "complain to".

    >>> authority_for("SE", "eu")
    'the Swedish Authority for Privacy Protection (IMY)'
    >>> authority_for("BR", "eu")
    'the Data Protection Commission (DPC) in Ireland (www.dataprotection.ie)'
    """
    if regime == Regime.US_CA:
        return _CALIFORNIA
    code = countries.normalise(country)
    if code not in _AUTHORITIES:
        code = _STATE_OF.get(code, code)
    return _AUTHORITIES.get(code) or _BY_REGIME[regime]


_MONTHS = (
    "January February March April May June July August September October November December"
).split()


def date_in_words(day: dt.date) -> str:
    """
    >>> date_in_words(dt.date(2026, 8, 4))
    '4 August 2026'
    """
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


# --- Texts --------------------------------------------------------------------------------------


@cache
def built_in(kind: str, language: str = "en") -> Text:
    """The built-in text, version 0. Raises NotFound for a kind or language without one."""
    if kind not in AVAILABLE or language not in LANGUAGES:
        raise NotFound("There is no such letter.")
    first, _, body = (
        (FOLDER / language / f"{kind}.txt").read_text(encoding="utf-8").partition("\n\n")
    )
    return Text(subject=first.removeprefix("Subject: "), body=body)


def tidy(text: Text) -> Text:
    """The text as it is kept: a form's line ends and blanks at line ends are no change to a letter."""
    lines = text.body.replace("\r\n", "\n").split("\n")
    return Text(
        subject=text.subject.strip(),
        body="\n".join(line.rstrip(" \t") for line in lines).strip("\n") + "\n",
    )


_PLACEHOLDER = re.compile(r"\{\{[ \t]*([a-z_]+)[ \t]*\}\}")
_BIDI = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
# Control characters but \t and \n, single surrogates (no UTF-8), and marks that turn the reading direction.
_REMOVED = {*range(0x20), *range(0x7F, 0xA0), *range(0xD800, 0xE000), *_BIDI} - {0x09, 0x0A}
_CLEANING: Final[dict[int, str | None]] = {
    **dict.fromkeys(_REMOVED),
    **dict.fromkeys([0x0B, 0x0C, 0x85, 0x2028, 0x2029], "\n"),
}


def check(kind: str, text: Text) -> None:
    """Refuse a text that could not be sent, or that says less than the law requires.

    Raises InvalidInput with `field` "subject" or "body" and a sentence for the person who wrote it.
    """
    if len(text.subject.splitlines()) > 1 or text.subject.endswith(("\r", "\n")):
        raise InvalidInput("The subject is one line: take the line break out.", field="subject")
    _check_part(kind, text.subject, field="subject", length=SUBJECT_LENGTH)
    body = text.body.replace("\r\n", "\n")
    _check_part(kind, body, field="body", length=BODY_LENGTH)
    if lost := REQUIRED[kind] - _names(body):
        raise InvalidInput(
            f"This letter must say {_listed(lost)}. Put back what is missing.", field="body"
        )


def _check_part(kind: str, content: str, *, field: str, length: int) -> None:
    if not content.strip():
        raise InvalidInput(f"The {field} is empty: write one.", field=field)
    if len(content) > length:
        raise InvalidInput(
            f"The {field} has {len(content):,} characters; at most {length:,} are allowed.",
            field=field,
        )
    for number, line in enumerate(content.split("\n"), start=1):
        if hidden := [char for char in line if ord(char) in _CLEANING]:
            raise InvalidInput(
                f"Line {number} of the {field} has a character that cannot be seen "
                f"(U+{ord(hidden[0]):04X}): delete it.",
                field=field,
            )
    if unknown := _names(content) - AVAILABLE[kind]:
        raise InvalidInput(
            f"This letter does not know {_listed(unknown)}. It knows {_listed(AVAILABLE[kind])}.",
            field=field,
        )
    rest = _PLACEHOLDER.sub("", content)
    if broken := next((mark for mark in ("{{", "}}", "{%") if mark in rest), None):
        raise InvalidInput(
            f"“{broken}” stands where no placeholder is. A placeholder is written like "
            "{{ reference }}; nothing else is filled in.",
            field=field,
        )


def _names(content: str) -> set[str]:
    return set(_PLACEHOLDER.findall(content))


def _listed(names: Collection[str]) -> str:
    return ", ".join(f"{{{{ {name} }}}}" for name in sorted(names))


def render(text: Text, values: Mapping[str, str]) -> Text:
    """The letter: each placeholder replaced once, harmless in a mail whatever the values hold.

    The subject is one line of at most RENDERED_SUBJECT_LENGTH characters. No line of the body is longer than
    LINE_BYTES bytes of UTF-8. Raises KeyError naming the placeholders without a value: a letter with a gap,
    for example without its reasons, must not be sent. Only `name` and `files` may be blank.
    """
    used = {name: _clean(values.get(name, "")) for name in _names(text.subject + text.body)}
    if "name" in used and "name" in values and is_blank(used["name"]):
        used["name"] = NAMELESS
    if "files" in used and "files" in values and is_blank(used["files"]):
        del used["files"]
        text = Text(text.subject, _without("files", text.body))
    if missing := sorted(name for name, value in used.items() if is_blank(value)):
        raise KeyError(", ".join(missing))
    lines = {name: _one_line(value) for name, value in used.items()}
    parts = {name: used[name].strip("\n") for name in _PARAGRAPHS & used.keys()}
    subject = _one_line(_clean(_filled(text.subject, lines)))
    if len(subject) > RENDERED_SUBJECT_LENGTH:
        subject = subject[: RENDERED_SUBJECT_LENGTH - 1] + "…"
    return Text(subject=subject, body=_folded(_clean(_filled(text.body, lines | parts))))


def _without(name: str, body: str) -> str:
    """The body without a placeholder that has nothing to say, and without the empty lines around it."""
    return re.sub(r"\n*\{\{[ \t]*" + name + r"[ \t]*\}\}\n*", "\n\n", body)


def _filled(template: str, values: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda found: values[found[1]], template)


def _clean(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_CLEANING)


def _one_line(text: str) -> str:
    return " ".join(text.split())


_ITEM = re.compile(r"(?:[-*•]|[0-9]{1,3}[.)]) ")


def _folded(body: str) -> str:
    """The body with paragraphs folded anew where a line is too long.

    Lines that are indented or begin a list's item stay lines of their own.
    """
    paragraphs: list[list[str]] = []
    goes_on = False
    for line in (line.rstrip() for line in body.split("\n")):
        is_apart = not line or line[0].isspace()
        if goes_on and not is_apart and not _ITEM.match(line):
            paragraphs[-1].append(line)
        else:
            paragraphs.append([line])
        goes_on = not is_apart
    lines = [line for paragraph in paragraphs for line in _wrapped(paragraph)]
    return "\n".join(piece for line in lines for piece in _cut(line)).strip("\n") + "\n"


def _wrapped(lines: list[str]) -> list[str]:
    if max(map(len, lines)) <= WIDTH:
        return lines
    words = " ".join(lines).lstrip()
    indent = " " * min(len(lines[0]) - len(lines[0].lstrip()), 8)
    return textwrap.wrap(
        words,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + ("  " if _ITEM.match(words) else ""),
        break_long_words=False,  # a link must stay whole
        break_on_hyphens=False,
    )


def _cut(line: str) -> Iterator[str]:
    """The line in pieces of at most LINE_BYTES bytes, never inside a character."""
    rest = line.encode()
    while len(rest) > LINE_BYTES:
        end = LINE_BYTES
        while rest[end] & 0xC0 == 0x80:  # in the middle of a character
            end -= 1
        yield rest[:end].decode()
        rest = rest[end:]
    yield rest.decode()


# --- Made-up data for previews ------------------------------------------------------------------

_SAMPLES: Final[dict[str, str]] = {
    "name": "Sample Person",
    "reference": "OBJ-2026-000000",
    "request": REQUEST_WORDS[Kind.OBJECTION],
    "received_on": date_in_words(dt.date(2026, 7, 1)),
    "purposes": "Generative AI, Personalisation",
    "restricted_on": date_in_words(dt.date(2026, 7, 1)),
    "scope": "This covers your account: it is on no list of accounts whose data new training may use.",
    "controller": "Example Network Ireland",
    "contact": "privacy@example.org",
    "authority_name": authority_for("SE", Regime.EU),
    "link": "https://portal.example.org/objection/confirm/this-is-a-sample",
    "link_expires": date_in_words(dt.date(2026, 7, 8)),
    "files": FILES_WAIT.format(day=date_in_words(dt.date(2026, 7, 8))),
    "due_on": date_in_words(dt.date(2026, 8, 4)),
    "answer_by": date_in_words(dt.date(2026, 8, 1)),
    "timeliness": "This answer was due by 4 August 2026.",
    "refuse_by": date_in_words(dt.date(2026, 8, 4)),
    "new_due_on": date_in_words(dt.date(2026, 10, 1)),
    "doubt": "SAMPLE: The address you wrote from is not the one the account has.",
    "identity_question": (
        "SAMPLE: Please write to us from the address the account has. That is enough for us to know "
        "that the account is yours."
    ),
    "extension_reason": (
        "SAMPLE: Your request is complex, because it concerns four accounts of three people."
    ),
    "outcomes": "- Generative AI: upheld\n- Personalisation: refused",
    "upheld_purposes": "Generative AI",
    "lifted_purposes": "Personalisation",
    "ground": "SAMPLE: Without this training, members are shown notices meant for other members.",
    "balancing_summary": (
        "SAMPLE: We looked at which data is used, what you told us about your situation, and what "
        "would happen without your data."
    ),
    "reasons": "SAMPLE: The first reason.\n\nSAMPLE: The second reason.",
    "withdrawal": "SAMPLE: Your e-mail of 3 July 2026, in which you take back your whole objection.",
    **LEGAL_WORDS[Regime.EU],
}


_BOTH = _SAMPLES["purposes"]
_SAMPLES_FOR: Final[dict[str, dict[str, str]]] = {
    LetterKind.UPHELD: {
        "outcomes": "- Generative AI: upheld\n- Personalisation: upheld",
        "upheld_purposes": _BOTH,
    },
    LetterKind.REFUSED: {
        "purposes": "Personalisation",
        "outcomes": "- Personalisation: refused",
    },
    LetterKind.WITHDRAWN: {"lifted_purposes": _BOTH},
    LetterKind.CLOSED_UNIDENTIFIED: {"lifted_purposes": _BOTH},
}


def sample_values(kind: str) -> dict[str, str]:
    """Made-up values for all a letter of the kind can be told: for previews, and seen to be samples."""
    samples = _SAMPLES | _SAMPLES_FOR.get(kind, {})
    return {name: samples[name] for name in PLACEHOLDERS if name in AVAILABLE[kind]}
