"""Enumerations of the objection desk, and the one map of its states."""

from django.db import models


class Effect(models.TextChoices):
    """The effect of an objection on one purpose."""

    RESTRICTING = "restricting", "out while it is examined"
    UPHELD = "upheld", "out for good"
    RESTRICTION_LIFTED = "restriction_lifted", "restriction lifted"


class Outcome(models.TextChoices):
    """The decision on one purpose. UPHELD takes effect at once, every other outcome when its letter counts as delivered."""

    UPHELD = "upheld", "upheld"
    REFUSED = "refused", "refused"
    DUPLICATE = "duplicate", "closed as a duplicate"
    WITHDRAWN = "withdrawn", "withdrawn"
    UNIDENTIFIED = "unidentified", "closed without identity"


class TicketState(models.TextChoices):
    """States of a ticket. The last five are final: a closed ticket is not reopened."""

    RECEIVED = "received", "received"
    IDENTITY_CHECK = "identity_check", "identity asked for"
    IN_REVIEW = "in_review", "in review"
    EXTENDED = "extended", "extended"
    UPHELD = "upheld", "upheld"
    PARTLY_UPHELD = "partly_upheld", "partly upheld"
    REFUSED = "refused", "refused"
    WITHDRAWN = "withdrawn", "withdrawn"
    CLOSED_UNIDENTIFIED = "closed_unidentified", "closed, not identified"


_DECIDED = frozenset(
    {TicketState.UPHELD, TicketState.PARTLY_UPHELD, TicketState.REFUSED, TicketState.WITHDRAWN}
)
NEXT_STATES: dict[str, frozenset[TicketState]] = {
    TicketState.RECEIVED: frozenset(
        {TicketState.IDENTITY_CHECK, TicketState.IN_REVIEW, TicketState.WITHDRAWN}
    ),
    TicketState.IDENTITY_CHECK: frozenset(
        {TicketState.IN_REVIEW, TicketState.CLOSED_UNIDENTIFIED, TicketState.WITHDRAWN}
    ),
    TicketState.IN_REVIEW: _DECIDED | {TicketState.EXTENDED},
    TicketState.EXTENDED: _DECIDED,
    TicketState.UPHELD: frozenset(),
    TicketState.PARTLY_UPHELD: frozenset(),
    TicketState.REFUSED: frozenset(),
    TicketState.WITHDRAWN: frozenset(),
    TicketState.CLOSED_UNIDENTIFIED: frozenset(),
}
"""Every move there is; one that is not here is refused."""

AS_ABUSE = TicketState.CLOSED_UNIDENTIFIED
"""A further move of any open ticket that is set aside: closed as abuse, by two people and without a letter."""

OPEN_STATES = [state for state in TicketState if NEXT_STATES[state]]
FINAL_STATES = [state for state in TicketState if not NEXT_STATES[state]]


DUPLICATE, ABUSE = "duplicate", "abuse"
ENDINGS: dict[str, str] = {
    **{state.value: str(state.label) for state in FINAL_STATES},
    DUPLICATE: str(Outcome.DUPLICATE.label),
    ABUSE: "closed as abuse",
}
"""How tickets end, in words: the final state, except for tickets closed without an examination.

A closed duplicate has the state `refused`, and one closed as abuse `closed_unidentified`. No examination took place, so they
are counted and listed separately (`querysets.ending`, `Ticket.ending`).
"""


class FoundBy(models.TextChoices):
    """The way from an objection to an account."""

    PRODUCT = "product", "the product vouched for it"
    KEY = "key", "the account's reference"
    SPELLING = "spelling", "another spelling of the reference"
    ADDRESS = "address", "a profile's address"
    OFFICER = "officer", "an officer"
    HEIR = "heir", "an account that was merged or split"


LOOSELY = (FoundBy.SPELLING, FoundBy.ADDRESS)
"""Ways that may lead to several accounts, or to a stranger's."""


class Kind(models.TextChoices):
    """Which right the person uses."""

    OBJECTION = "objection", "objection (GDPR Art. 21)"
    RESTRICTION = "restriction", "restriction (GDPR Art. 18)"


class Channel(models.TextChoices):
    """The way a ticket reached us."""

    FORM = "form", "the portal's form"
    PRODUCT = "product", "the product"
    EMAIL = "email", "e-mail, keyed in by staff"
    PAPER = "paper", "paper, keyed in by staff"


UNPROVEN = (Channel.FORM, Channel.PRODUCT)
"""Channels on which staff did not see the sender: unless the product vouches for them, we ask to confirm the address."""


class Regime(models.TextChoices):
    """The law that sets the clock."""

    EU = "eu", "EU (GDPR)"
    UK = "uk", "United Kingdom (UK GDPR)"
    US_CA = "us-ca", "California (CCPA)"
    CH = "ch", "Switzerland (FADP)"


class ExtensionReason(models.TextChoices):
    """The only grounds for taking longer (GDPR Art. 12(3)); a backlog is none."""

    COMPLEXITY = "complexity", "the request is complex"
    NUMBER = "number", "the number of requests by this person"


class LetterKind(models.TextChoices):
    CONFIRMATION = "confirmation", "confirmation link"
    ACKNOWLEDGEMENT = "acknowledgement", "acknowledgement"
    IDENTITY_REQUEST = "identity_request", "identity request"
    EXTENSION = "extension", "extension notice"
    UPHELD = "upheld", "outcome: upheld"
    PARTLY_UPHELD = "partly_upheld", "outcome: partly upheld"
    REFUSED = "refused", "outcome: refused"
    WITHDRAWN = "withdrawn", "outcome: withdrawn"
    CLOSED_UNIDENTIFIED = "closed_unidentified", "outcome: closed, not identified"
    DUPLICATE = "duplicate", "outcome: closed as a duplicate"


OUTCOME_LETTERS = frozenset(
    {
        LetterKind.UPHELD,
        LetterKind.PARTLY_UPHELD,
        LetterKind.REFUSED,
        LetterKind.WITHDRAWN,
        LetterKind.CLOSED_UNIDENTIFIED,
        LetterKind.DUPLICATE,
    }
)
"""The letters that answer a ticket."""


class LetterState(models.TextChoices):
    WAITING = "waiting", "waiting to be sent"
    SENT = "sent", "sent"
    FAILED = "failed", "could not be sent"
    CANCELLED = "cancelled", "not sent any more"


class Delivery(models.TextChoices):
    EMAIL = "email", "e-mail"
    POST = "post", "post"


class ChangeVerdict(models.TextChoices):
    """The second person's word on what a first one proposed."""

    APPROVED = "approved", "approved"
    RETURNED = "returned", "sent back"


class ChangeKind(models.TextChoices):
    """Changes that need two people, besides the outcomes of tickets."""

    LETTER_TEXT = "letter_text", "text of letters"
    ERASURE = "erasure", "erasure of a ticket's words"


class NoteKind(models.TextChoices):
    """Words staff keep with a ticket. They may name people, so they are erased with it."""

    NOTE = "note", "internal note"
    DOUBT = "doubt", "why identity is in doubt"
    IDENTITY = "identity", "how identity was answered"
    GROUND = "ground", "compelling ground"
    BALANCING = "balancing", "balancing"
    REASONS = "reasons", "reasons for the person"
    EVIDENCE = "evidence", "evidence"


class RedactionState(models.TextChoices):
    """The state of an entry of the redaction list."""

    HOLDING = "holding", "holding"
    ENDED = "ended", "ended"


NEXT_REDACTION_STATES: dict[str, frozenset[RedactionState]] = {
    RedactionState.HOLDING: frozenset({RedactionState.ENDED}),
    # A letter came back: the restriction it ended holds again.
    RedactionState.ENDED: frozenset({RedactionState.HOLDING}),
}
"""Every move of an entry of the redaction list."""


class ValueKind(models.TextChoices):
    """The kind of a value of the redaction list."""

    NAME = "name", "name"
    HANDLE = "handle", "handle"
    EMAIL = "email", "e-mail address"
    URL = "url", "profile address"
