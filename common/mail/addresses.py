"""E-mail addresses as people have them: also those with letters of their own script (RFC 6531, RFC 5890)."""

import re
import unicodedata

import idna
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

MAX_OCTETS = 254
"""Of an address in UTF-8 (RFC 5321, section 4.5.3.1.3)."""
_MAX_LOCAL_OCTETS = 64
# RFC 5322, section 3.2.3, and RFC 6532, section 3.2: dots stand between letters.
_ATOM = r"[\w!#$%&'*+/=?^`{|}~\x80-\U0010ffff-]+"
_LOCAL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
# What IDNA reads as the dot between labels (RFC 3490, section 3.1), and the at-sign of Asian keyboards.
_DOTS = str.maketrans({"。": ".", "．": ".", "｡": ".", "＠": "@"})


class NoAddress(ValueError):
    """The text is no e-mail address that a letter could go to."""


def normal(text: str) -> str:
    """The address in the one form that is kept: NFC, small letters, the domain in its own script.

    A domain is the same whether it came as letters or as `xn--…`. Raises NoAddress.
    """
    address = unicodedata.normalize("NFC", text).strip().translate(_DOTS)
    local, at, domain = address.rpartition("@")
    if not at or not address.isprintable() or len(address.encode()) > MAX_OCTETS:
        raise NoAddress("An e-mail address, like name@example.org.")
    if local.isascii() and domain.isascii() and "xn--" not in domain.lower():
        try:
            validate_email(address)
        except ValidationError as error:
            raise NoAddress("An e-mail address, like name@example.org.") from error
        return address.lower()
    if not local.isascii() and (
        not _LOCAL.fullmatch(local) or len(local.encode()) > _MAX_LOCAL_OCTETS
    ):
        raise NoAddress("The part before the @ is not one of an e-mail address.")
    ascii_domain = _to_ascii(domain)
    try:
        # Dots, lengths, quotation marks and the last label are judged by one rule for all addresses.
        validate_email(f"{local if local.isascii() else 'x'}@{ascii_domain}")
        shown = idna.decode(ascii_domain)
    except (ValidationError, idna.IDNAError, UnicodeError) as error:
        raise NoAddress("An e-mail address, like name@example.org.") from error
    return unicodedata.normalize("NFC", f"{local.lower()}@{shown}")


def for_envelope(address: str) -> str:
    """The address as mail servers take it: the domain in ASCII. Raises NoAddress.

    The part before the @ stays as it is: where it is not ASCII, the server must offer SMTPUTF8.
    """
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain if domain.isascii() else _to_ascii(domain)}"


def _to_ascii(domain: str) -> str:
    try:
        # IDNA 2008: ß and ss are two domains, and a letter goes to the right one.
        return idna.encode(domain, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError) as error:
        raise NoAddress("There can be no such domain.") from error
