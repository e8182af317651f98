"""Refusals of deliveries, trainings and receipts, each with its stable code."""

from ledger.errors import Refusal, RuleViolation


class DeliveryDiffers(Refusal):
    """The list would not be what was frozen, minus the members who are out by its cut."""

    code = "delivery_differs"


class AccountErased(Refusal):
    """An account was erased while its list was being written: the list is made again at a later cut."""

    code = "account_erased"


class DeliveryQuota(RuleViolation):
    """The lists of the run take all the room it has."""

    code = "delivery_quota"


class NothingLeft(RuleViolation):
    """Each member of the manifest is out by now."""

    code = "nothing_left"


class RunNotInUse(RuleViolation):
    """The run's state has no use for a delivery."""

    code = "run_not_in_use"


class DeliveryNotReady(RuleViolation):
    code = "delivery_not_ready"


class LeaseOver(RuleViolation):
    """The delivery may not be used any more."""

    code = "lease_over"


class NoValidDelivery(RuleViolation):
    """The run has no delivery that may be used now."""

    code = "no_valid_delivery"


class AnswerUnknown(RuleViolation):
    """No recent answer of who has withdrawn has this digest."""

    code = "answer_unknown"


class DigestMismatch(RuleViolation):
    """Another digest than the delivered one; a finding is recorded."""

    code = "digest_mismatch"


class FactsMissing(RuleViolation):
    """A document asks for facts of a model that are not recorded."""

    code = "facts_missing"


class NoAccountMap(RuleViolation):
    """The account map was not requested, or not for a long time."""

    code = "no_account_map"


class AccountMapNotReady(RuleViolation):
    """The file of a range is being made: for the first time, or again without an erased account."""

    code = "account_map_not_ready"

    @property
    def retry_after(self) -> int:
        """Seconds."""
        return 30
