"""Values of the redaction list at rest: encrypted under `REDACTION_KEYS`, committed to by the entry.

Fernet (AES-128-CBC with HMAC-SHA-256, https://github.com/fernet/spec). The commitment is HMAC-SHA-256 of the values under a
salt that is encrypted with them: a guess of the values cannot be tested, and once the row is gone the commitment
says nothing. It does not depend on a key that is rotated.
"""

import hmac
import os
from collections.abc import Callable, Iterable, Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from common.text import strict_json
from ledger import canonical
from ledger.errors import RuleViolation
from objections.choices import ValueKind
from objections.models import RedactionEntry, RedactionValues
from objections.redaction.values import Value


class ValuesNotOpened(RuleViolation):
    """The values of an entry are missing, cannot be decrypted, or are not the ones it sealed."""

    code = "redaction_values_not_opened"


class KeysNotUsable(RuleViolation):
    """`REDACTION_KEYS` holds what is no Fernet key."""

    code = "redaction_keys_not_usable"


def encrypt(values: Sequence[Value]) -> tuple[str, str]:
    """The values under the first key with a new salt, and the commitment to them (hexadecimal)."""
    salt = os.urandom(32).hex()
    plain = canonical.dumps({"salt": salt, "values": _pairs(values)})
    return _keys().encrypt(plain).decode(), _commitment(salt, values)


def values_of(entry: RedactionEntry) -> list[Value]:
    """The values of a holding entry. Raises ValuesNotOpened."""
    row = getattr(entry, "values", None)
    if row is None:
        raise ValuesNotOpened(f"The values of {entry} are missing.")
    return opened(entry, row.encrypted)


def opened(entry: RedactionEntry, encrypted: str) -> list[Value]:
    """The values in a token, compared with what the entry sealed. Raises ValuesNotOpened."""
    try:
        plain = strict_json.read(_keys().decrypt(encrypted.encode()))
        salt = plain["salt"]
        values = [Value(ValueKind(kind), text) for kind, text in plain["values"]]
        sealed = _commitment(salt, values)
    except (InvalidToken, ValueError, KeyError, TypeError):
        raise ValuesNotOpened(
            f"The values of {entry} cannot be decrypted: their key is not in REDACTION_KEYS, or they were changed."
        ) from None
    if not hmac.compare_digest(sealed, entry.commitment):
        raise ValuesNotOpened(f"The values of {entry} are not the ones that were sealed.")
    return values


def _pairs(values: Iterable[Value]) -> list[list[str]]:
    return [[one.kind.value, one.text] for one in values]


def _commitment(salt: str, values: Iterable[Value]) -> str:
    return hmac.digest(bytes.fromhex(salt), canonical.dumps(_pairs(values)), "sha256").hex()


def _keys() -> MultiFernet:
    return MultiFernet(_each_key())


def _each_key() -> list[Fernet]:
    try:
        return [Fernet(key) for key in settings.REDACTION_KEYS]
    except ValueError:
        raise KeysNotUsable("REDACTION_KEYS holds what is no Fernet key.") from None


# --- Rotation -------------------------------------------------------------------------------------


def waits_for_rotation() -> int:
    """How many rows the first key does not open yet."""
    newest = _each_key()[0]
    rows = RedactionValues.objects.values_list("encrypted", flat=True)
    return sum(not _opens(newest, encrypted) for encrypted in rows.iterator(1_000))


def rotate(on_row: Callable[[], object] = lambda: None) -> int:
    """Encrypt every row under the first key; returns how many were encrypted anew. Again goes on where it stopped.

    Raises ValuesNotOpened for a row that no key opens; the rows before it are done.
    """
    keys, newest = _keys(), _each_key()[0]
    count = 0
    rows = RedactionValues.objects.select_related("redaction").order_by("pk")
    for row in rows.iterator(1_000):
        on_row()
        if _opens(newest, row.encrypted):
            continue
        opened(row.redaction, row.encrypted)
        anew = keys.rotate(row.encrypted.encode()).decode()
        # An officer may have written others meanwhile: those are under the first key already.
        same = RedactionValues.objects.filter(pk=row.pk, encrypted=row.encrypted)
        count += same.update(encrypted=anew)
    return count


def _opens(key: Fernet, encrypted: str) -> bool:
    try:
        key.decrypt(encrypted.encode())
    except InvalidToken:
        return False
    return True
