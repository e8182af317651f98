"""The canonical key of an account reference: the one spelling under which every door finds an account.

The product's file, its settings, a letter and a form may spell one reference in several ways that look alike. The
key is unique, looked up and suppressed; the exact text of the product's file is kept beside it, because data sets are
joined on it.
"""

import re
import unicodedata

MAX_LENGTH = 100
"""Characters of a reference, and of its key."""
_MAX_READ = 1_000
# White_Space of the Unicode character database, and the empty Braille cell, which looks the same.
_BLANKS = re.compile("[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u2800\u3000]+")
# Default_Ignorable_Code_Point (UAX #44), which a reader does not see, and the annotation characters.
_UNSEEN = re.compile(
    "[\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)
# Tab and line breaks are blanks. Surrogates are no characters: no database takes them.
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
_UNFIT_FOR_A_FILE = frozenset({"Cc", "Cs", "Co", "Cn", "Zl", "Zp"})


def key_of(account_ref: str) -> str:
    r"""The reference in NFC, its blanks trimmed and collapsed, without what cannot be seen; case counts.

    A key is its own key. Control characters stay: `consent.accounts.check_account_ref` refuses them.

    >>> key_of("caf\N{LATIN SMALL LETTER E}\N{COMBINING ACUTE ACCENT}\N{NO-BREAK SPACE}  7 ")
    'café 7'
    """
    if account_ref.isascii() and account_ref.isprintable() and " " not in account_ref:
        return account_ref
    if len(account_ref) > _MAX_READ:
        # No account has it, and NFC may take long: the caller refuses it by its length.
        return account_ref
    seen = _BLANKS.sub(" ", _UNSEEN.sub("", account_ref)).strip(" ")
    # Removing a character may bring a letter and its accent together, so NFC comes last.
    return unicodedata.normalize("NFC", seen)


MAX_FOLDED = 200
"""Characters of a folding that are compared: normalising may lengthen a reference."""


def folding_of(account_ref: str) -> str:
    r"""The reference in NFKC, without case and blanks: what people and programs confuse has one folding.

    It finds candidates for an objection, and never an account for a decision: two accounts may share it.

    >>> folding_of(" ACC-\N{FULLWIDTH DIGIT SEVEN} ")
    'acc-7'
    """
    key = key_of(account_ref)
    if key.isascii():
        return key.lower().replace(" ", "")[:MAX_FOLDED]
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", key).casefold())
    return _BLANKS.sub("", folded)[:MAX_FOLDED]


def folding_to_keep(key: str) -> str | None:
    """The folding of a key, kept beside it only where it is another text: an import writes most keys once."""
    if key.isascii() and key.lower() == key and " " not in key:
        return None
    folded = folding_of(key)
    return None if folded == key else folded


def without_controls(text: str) -> str:
    """The text without control characters: what a person typed is not refused over one."""
    return _CONTROLS.sub("", text)


def has_controls(text: str) -> bool:
    return _CONTROLS.search(text) is not None


def is_fit_for_a_file(account_ref: str) -> bool:
    """Whether the product's file may spell a reference so: lists carry it on as it is.

    Any blank and any unseen character is; control characters, line breaks, and code points without a meaning that
    everybody shares (unassigned and private ones) are not.
    """
    return account_ref.isprintable() or not any(
        unicodedata.category(letter) in _UNFIT_FOR_A_FILE for letter in account_ref
    )
