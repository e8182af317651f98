from ledger.errors import RuleViolation


class WhyNot(str):
    """Why something cannot be done, in a sentence, with the error that says so where it is tried all the same."""

    error: type[RuleViolation]

    def __new__(cls, sentence: str, error: type[RuleViolation]) -> "WhyNot":
        one = super().__new__(cls, sentence)
        one.error = error
        return one


def refuse(sentence: str) -> None:
    """Raise the sentence of a rule, as its own error if it has one, else as NotAllowedHere; an empty one allows."""
    if sentence:
        error = sentence.error if isinstance(sentence, WhyNot) else NotAllowedHere
        raise error(sentence)


class AlreadySettled(RuleViolation):
    """A settled objection is not settled again; a new objection opens a new ticket."""

    code = "already_settled"


class ForbiddenMove(RuleViolation):
    """The map of states has no such move."""

    code = "forbidden_move"


class NotAllowedHere(RuleViolation):
    """A rule of the law forbids this act on this ticket; the sentence names it."""

    code = "not_allowed_here"


class CannotBeRefused(RuleViolation):
    """An objection to this purpose is upheld without weighing (GDPR Art. 21(2), and the company's word)."""

    code = "cannot_be_refused"


class NeedsSecondPerson(RuleViolation):
    """The proposer may not approve their own proposal."""

    code = "needs_second_person"


class AlreadyProposed(RuleViolation):
    """Something waits for a second person; it is approved or sent back before anything else is decided."""

    code = "already_proposed"


class EvidenceHeld(RuleViolation):
    """The decision can still be contested: its evidence is kept until the day that the sentence names."""

    code = "evidence_held"


class LetterNotSent(RuleViolation):
    """Something depends on a letter that has not reached the person."""

    code = "letter_not_sent"


class PersonalDataErased(RuleViolation):
    """The personal data of the ticket is erased: no letter can be sent any more."""

    code = "data_erased"


class TicketIdReused(RuleViolation):
    """The same channel and source id came with another body."""

    code = "source_id_reused"
    status = 422


class FormUsed(RuleViolation):
    """A page of the form is sent once: another objection needs a page of its own."""

    code = "form_used"


class LinkExpired(RuleViolation):
    """A confirmation link that is too old, or was altered."""

    code = "link_expired"
    status = 410
