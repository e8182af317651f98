from portal.errors import RuleViolation


class AlreadySettled(RuleViolation):
    """A settled objection is not settled again; a new objection opens a new ticket."""

    code = "already_settled"
