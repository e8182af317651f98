"""Whatever stops the client, as one family: a sentence that says what is wrong, one that says what to do, an exit code.

Pipelines act on the exit code of the command line:

    0  done
    2  usage: the call, the settings or the input is wrong; the same call fails again
    3  refused by the portal, by a rule: `code` is the portal's, stable
    4  verification failed: something is not what was signed or sealed; stop, and tell people
    5  the lease is over, or members have withdrawn: renew the delivery, or take the members out
    6  try again: the portal, the network or a worker is not there just now
"""

from typing import Any, ClassVar


class PortalError(Exception):
    """Base of what the client raises. `problem` and `remedy` are whole sentences, without personal data."""

    exit_code: ClassVar[int] = 2
    code: str = "usage"
    """A stable word for programs; of a refusal, the portal's own code."""

    def __init__(self, problem: str, remedy: str = "", *, code: str = "") -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy
        if code:
            self.code = code

    def __str__(self) -> str:
        return f"{self.problem} {self.remedy}".rstrip()

    def as_json(self) -> dict[str, Any]:
        """The fields that `--json` prints."""
        return {
            "error": self.code,
            "problem": self.problem,
            "remedy": self.remedy,
            "exit_code": self.exit_code,
        }


class Misuse(PortalError):
    """The call, the settings or the input is wrong: a missing token, a column of another type, a full disk."""


class Refused(PortalError):
    """The portal refuses, by a rule or by a right that the token lacks."""

    exit_code = 3
    code = "refused"

    def __init__(self, problem: str, remedy: str = "", *, code: str = "", status: int = 0) -> None:
        super().__init__(problem, remedy, code=code)
        self.status = status
        """The HTTP status, 0 where the refusal is a state and no answer."""


class NotVerified(PortalError):
    """A signature, a digest, a count or a set is not what it has to be. Nothing was used."""

    exit_code = 4
    code = "not_verified"

    def __init__(self, problem: str, remedy: str = "", *, code: str = "") -> None:
        super().__init__(
            problem,
            remedy or "Use nothing of it, keep it as it is, and tell the portal's people.",
            code=code,
        )


class LeaseOver(PortalError):
    """The delivery may not be used any more."""

    exit_code = 5
    code = "lease_over"


class Withdrawn(PortalError):
    """Members have withdrawn since the data set was made."""

    exit_code = 5
    code = "withdrawn"


class TryAgain(PortalError):
    """Nothing is wrong that would not pass: the network, a busy portal, a worker that is not there yet."""

    exit_code = 6
    code = "try_again"

    def __init__(
        self, problem: str, remedy: str = "", *, code: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(problem, remedy or "Try again in some minutes.", code=code)
        self.retry_after = retry_after
        """Seconds after which the portal asks to be asked again."""
