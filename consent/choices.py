"""Enumerations of consent, as the database and the API write them."""

from dataclasses import dataclass

from django.db import models


class Purpose(models.TextChoices):
    """A purpose of training."""

    GENERATIVE_AI = "generative-ai", "Generative AI"
    PERSONALISATION = "personalisation", "Personalisation"
    SAFETY = "safety", "Moderation and safety"


class Control(models.TextChoices):
    """How a member keeps out of a purpose."""

    SETTING = "setting", "a setting"
    OBJECTION = "objection", "an objection"


class ObjectionMode(models.TextChoices):
    """Whether an objection must be upheld, or is weighed against compelling grounds (GDPR Art. 21(1))."""

    UNCONDITIONAL = "unconditional", "upheld without weighing"
    BALANCING = "balancing", "weighed"


@dataclass(frozen=True)
class PurposeFacts:
    legal_basis: str
    control: Control
    objection_mode: ObjectionMode


LEGITIMATE_INTEREST = "GDPR Art. 6(1)(f), legitimate interest"
CONSENT_BASIS = "GDPR Art. 6(1)(a), consent"
PURPOSES: dict[str, PurposeFacts] = {
    Purpose.GENERATIVE_AI: PurposeFacts(
        LEGITIMATE_INTEREST, Control.SETTING, ObjectionMode.UNCONDITIONAL
    ),
    Purpose.PERSONALISATION: PurposeFacts(
        LEGITIMATE_INTEREST, Control.OBJECTION, ObjectionMode.BALANCING
    ),
    Purpose.SAFETY: PurposeFacts(LEGITIMATE_INTEREST, Control.OBJECTION, ObjectionMode.BALANCING),
}


class Choice(models.TextChoices):
    ALLOW = "allow", "allow"
    DENY = "deny", "deny"


class Channel(models.TextChoices):
    """The way a decision reached us."""

    PRODUCT = "product", "the product's setting"
    SETTING_PAGE = "setting-page", "the portal's setting page"
    STAFF = "staff", "staff, on the member's behalf"
    SIGNAL = "signal", "a privacy signal of the browser"
    INHERITED = "inherited", "an account that was merged or split"


class AccountChangeKind(models.TextChoices):
    """Changes of accounts that the product sends."""

    MERGED = "merged", "merged into another account"
    SPLIT = "split", "split off into another account"


class Status(models.TextChoices):
    """The state of an account; UNKNOWN until an import has told us."""

    UNKNOWN = "unknown", "unknown"
    OPEN = "open", "open"
    CLOSED = "closed", "closed"
    ERASED = "erased", "erased"


class RuleKind(models.TextChoices):
    """A purpose's permission in a country, by law or by the company's word."""

    DEFAULT_ON = "default-on", "default-on"
    OPT_IN = "opt-in", "opt-in"
    EXCLUDED = "excluded", "excluded"


STRICTNESS = {RuleKind.DEFAULT_ON: 0, RuleKind.OPT_IN: 1, RuleKind.EXCLUDED: 2}


class DataCategory(models.TextChoices):
    """Kinds of member data a run may declare. What may never be used has no word here."""

    PROFILE = "profile", "Profile"
    POSTS = "posts", "Posts and articles"
    FEEDBACK = "feedback", "Feedback"
    LANGUAGE = "language-preference", "Language preference"
    USAGE = "usage-frequency", "Frequency of use"
    GENERATIVE_INPUTS = "generative-inputs", "Inputs to generative features"
    JOBS = "job-data", "Job-related data"
    GROUPS = "group-activity", "Group activity"


class PolicyKind(models.TextChoices):
    """A number that the controller sets by a dated row, within what the law leaves open."""

    LEASE_DAYS = "lease-days", "days a delivery may be used"
    OF_AGE = "use-from-of-age", "no content from before a member came of age"
    MOVED = "use-from-moved", "no content from before a member moved to an allowed country"
    YES = "use-from-yes", "no content from before a member's yes that follows a no"
    UNMATCHED_DAYS = "unmatched-days", "days an objection may reach no account before a start asks"
    EMAIL_DELIVERED = "delivered-by-email", "days until an e-mail counts as delivered"
    POST_DELIVERED = "delivered-by-post", "days until a letter by post counts as delivered"
    NOTICE_DAYS = "notice-days", "days between a notice's publication and its force"


@dataclass(frozen=True)
class PolicyFacts:
    default: int
    lowest: int
    highest: int
    is_stricter_when_higher: bool
    is_by_country: bool = False
    """Whether a row may name a country; no row of such a policy names a purpose."""


POLICIES: dict[str, PolicyFacts] = {
    PolicyKind.LEASE_DAYS: PolicyFacts(30, 1, 90, is_stricter_when_higher=False),
    # 1 is on, 0 is off.
    PolicyKind.OF_AGE: PolicyFacts(1, 0, 1, is_stricter_when_higher=True),
    PolicyKind.MOVED: PolicyFacts(1, 0, 1, is_stricter_when_higher=True),
    PolicyKind.YES: PolicyFacts(1, 0, 1, is_stricter_when_higher=True),
    PolicyKind.UNMATCHED_DAYS: PolicyFacts(7, 0, 30, is_stricter_when_higher=False),
    # An e-mail is received when it enters the system that its address names (Electronic Commerce Act 2000, Ireland,
    # s. 21(2)): that cannot be told from its sending.
    PolicyKind.EMAIL_DELIVERED: PolicyFacts(
        0, 0, 90, is_stricter_when_higher=True, is_by_country=True
    ),
    # The strictest that we know: a month for letters to other countries (Abgabenordnung § 122(2) no. 2). Others are
    # shorter: California, CCP § 1013(a), 20 days abroad; CPR 6.26 (England and Wales) two days.
    PolicyKind.POST_DELIVERED: PolicyFacts(
        31, 1, 90, is_stricter_when_higher=True, is_by_country=True
    ),
    PolicyKind.NOTICE_DAYS: PolicyFacts(
        30, 0, 366, is_stricter_when_higher=True, is_by_country=True
    ),
}
BY_COUNTRY = [kind for kind, facts in POLICIES.items() if facts.is_by_country]
"""Policies whose rows may name a country."""


class NoticeChannel(models.TextChoices):
    """A way in which a notice was delivered to members."""

    E_MAIL = "e-mail", "e-mail"
    BANNER = "banner", "a banner in the product"
    PRODUCT_PAGE = "product-page", "a page of the product"
    MESSAGE = "message", "a message in the product"
    POST = "post", "a letter by post"


class ReviewVerdict(models.TextChoices):
    """The second person's word on a proposal."""

    APPROVED = "approved", "approved"
    REJECTED = "rejected", "rejected"
