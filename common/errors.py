"""The refusals of pages, endpoints and processes, in the family of `ledger.errors`."""

from ledger.errors import Refusal, RuleViolation


class StaleEdit(RuleViolation):
    code = "stale_edit"


class SenderUnknown(Refusal):
    """The proxies' settings do not say where a request comes from (503)."""

    code = "sender_unknown"
    status = 503


class MustWait(Refusal):
    """Too many failed sign-ins; `seconds` says after how long the next one is looked at (429)."""

    code = "must_wait"
    status = 429

    def __init__(self, seconds: int) -> None:
        unit = "second" if seconds == 1 else "seconds"
        super().__init__(f"Too many failed sign-ins. Wait {seconds} {unit}, then try again.")
        self.seconds = seconds

    @property
    def retry_after(self) -> int:
        return self.seconds


class TooManyRows(Refusal):
    """More than a file takes."""

    code = "too_many_rows"


class NotStartable(RuntimeError):
    """The settings must be put right before the portal may start; the text says how."""
