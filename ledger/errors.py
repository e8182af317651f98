"""One family of errors: every refusal has a stable code and a sentence for people. API and admin translate it."""

from collections.abc import Sequence
from http import HTTPStatus

RETRY_SECONDS = 5
"""The value of `Retry-After` when the portal is busy or a part of it is unavailable."""


class Refusal(Exception):
    """Something the portal refuses to do. `code` is stable; the text is for people."""

    code = "refused"
    status = 409

    def __init__(self, message: str, *, reasons: Sequence[dict[str, object]] = ()) -> None:
        super().__init__(message)
        self.reasons = list(reasons)

    @property
    def retry_after(self) -> int:
        """Seconds after which trying again may help; 0 where it does not."""
        return RETRY_SECONDS if self.status == HTTPStatus.SERVICE_UNAVAILABLE else 0


class RuleViolation(Refusal):
    """A rule of the domain says no (409)."""


class InvalidInput(Refusal):
    """The request cannot be understood; `field` names the place (400)."""

    code = "invalid"
    status = 400

    def __init__(self, message: str, *, field: str = "", code: str = "invalid") -> None:
        super().__init__(message)
        self.field = field
        self.code = code


class NotFound(Refusal):
    code = "not_found"
    status = 404


class ReadNotRecorded(Refusal):
    """A read that cannot be recorded is refused."""

    code = "read_not_recorded"
    status = 503


class ClocksDisagree(Refusal):
    """The database's clock stepped, or is not the web server's: what is not declared `despite_clocks` waits until both are right."""

    code = "clocks_disagree"
    status = 503


class BadNote(Refusal):
    """A key, a signed note or a checkpoint that is not what it should be."""

    code = "bad_note"


class ProofNotPossible(Refusal):
    """There is nothing to prove: no such entry below a checkpoint, no such tree."""

    code = "no_proof"
    status = 404


class NoSigningKey(Refusal):
    """No key to sign checkpoints with. In production a person makes it."""

    code = "no_signing_key"


class LedgerRewritten(Refusal):
    """Signed or sealed data has changed: an incident, nothing is signed."""

    code = "ledger_rewritten"


class NotCanonical(ValueError):
    """The value has no canonical form (RFC 8785 within the bounds of `ledger.canonical`)."""


class LedgerError(RuntimeError):
    """The code broke a rule of the ledger; never the user's fault."""


class NoOpenEntry(LedgerError):
    """A tracked row was about to be written outside a ledger entry."""


class AppendOnlyViolation(LedgerError):
    """An attempt to change or delete an append-only row."""


class GuardsMissing(LedgerError):
    """The database does not guard its append-only tables."""
