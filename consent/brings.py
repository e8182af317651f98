"""Members, choices, rules and notices: what this app brings to the portal."""

from common.identity.roles import AUDITOR, ML_ENGINEER, PRIVACY_OFFICER, PRODUCT
from common.registry import Brings
from ledger.registry import EntryKind, ReadKind

_RULES = [
    "consent.view_notice", "consent.view_regionrule", "consent.view_policy", "consent.view_review",
    "consent.view_agerule",
    "consent.view_noticedelivery", "consent.view_noticewithdrawal",
]  # fmt: skip
_CHOICES = [
    "consent.view_member",
    "consent.view_decision",
    "consent.view_consent",
    "consent.view_accountchange",
]

BRINGS = Brings(
    entries=[
        EntryKind("age_rule.approved", "Age of a country approved by a second person"),
        EntryKind("age_rule.proposed", "Age of a country proposed", despite_clocks=True),
        EntryKind("age_rule.rejected", "Age of a country rejected by a second person", despite_clocks=True),
        # An *allow* is refused by `consent.decisions` while the clocks disagree; an opt-out is taken.
        EntryKind("consent.decision", "Decision recorded", despite_clocks=True),
        EntryKind("consent.decisions", "Decisions recorded, in a batch", despite_clocks=True),
        EntryKind("account.merged", "Account merged into another one", despite_clocks=True),
        EntryKind("account.split", "Accounts split off from another one", despite_clocks=True),
        EntryKind("member.erased", "Member's data erased", despite_clocks=True),
        EntryKind("members.imported", "Members imported"),
        EntryKind("notice.approved", "Notice approved by a second person"),
        EntryKind("notice.delivery_recorded", "Delivery of a notice recorded"),
        EntryKind("notice.proposed", "Notice proposed", despite_clocks=True),
        EntryKind("notice.rejected", "Notice rejected by a second person", despite_clocks=True),
        EntryKind("notice.withdrawn", "Notice withdrawn", despite_clocks=True),
        EntryKind("policy.approved", "Policy approved by a second person"),
        EntryKind("policy.proposed", "Policy proposed", despite_clocks=True),
        EntryKind("policy.rejected", "Policy rejected by a second person", despite_clocks=True),
        EntryKind("rule.approved", "Region rule approved by a second person"),
        EntryKind("rule.proposed", "Region rule proposed", despite_clocks=True),
        EntryKind("rule.rejected", "Region rule rejected by a second person", despite_clocks=True),
    ],
    reads=[
        ReadKind("accountchange.listed", "List of merges and splits of accounts"),
        ReadKind("accountchange.read", "Page of a merge or a split of accounts"),
        ReadKind("consent.listed", "List of choices"),
        ReadKind("consent.read", "Page of a choice"),
        ReadKind("decision.listed", "List of decisions"),
        ReadKind("decision.read", "Page of a decision"),
        ReadKind("export.decision", "List of decisions, as a file"),
        ReadKind("export.member", "List of members, as a file"),
        ReadKind("member.consent_receipts", "Consent receipts of a member"),
        ReadKind("member.history_read", "History of a member"),
        ReadKind("member.listed", "List of members"),
        ReadKind("member.read", "Record of a member"),
        ReadKind("member.setting_link", "Link to a member's setting page"),
        ReadKind("member.standing", "Standing of a member"),
    ],
    scopes={
        "accounts:write": "Say that accounts were merged or split.",
        "decisions:write": "Record what members decided.",
        "members:read": "Ask where a member stands, and why a member is in or out of a run.",
        "notices:write": "Record how and when a notice was delivered.",
        "rules:read": "Read region rules and notices.",
    },
    permissions={
        PRIVACY_OFFICER: [
            *_RULES, "consent.add_notice", "consent.add_regionrule", "consent.add_policy", "consent.add_agerule", "consent.add_review",
            "consent.add_noticedelivery", "consent.add_noticewithdrawal",
            "consent.add_decision", *_CHOICES, "consent.view_accountreference",
        ],
        ML_ENGINEER: _RULES,
        AUDITOR: [*_RULES, *_CHOICES],
        # The product's own service: it tells us what members decide and shows them where they stand.
        PRODUCT: [
            "consent.record_decision", "consent.record_accountchange", "consent.view_standing", "consent.add_noticedelivery",
        ],
    },
    checks={
        "choices follow from decisions": "consent.verification.consent_is_its_decisions",
        "the census is a count": "consent.verification.census_is_a_count",
        "account references are the sealed ones": "consent.verification.references_are_sealed",
        "every member has a reference or was erased": "consent.members.lost_references",
        "notices are their texts": "consent.verification.notices_are_their_texts",
        "erased accounts are suppressed": "consent.verification.erased_are_suppressed",
    },
    points={
        "consent.effect_on_members":
            "Called with a purpose, a day, data categories, the countries concerned, and the book of rules without and with"
            " a proposed row, in a snapshot; returns the `consent.rulebook.effects.Effect` on members.",
        "consent.account_changed":
            "Called with member numbers, in the entry that merges or splits accounts: what these members refuse comes to"
            " more accounts.",
        "consent.objected_purposes":
            "Called with a member: the purposes that an objection of the member restricts or keeps out.",
        "consent.member_created":
            "Called with account keys and member numbers, thousands in one call, in the entry that creates them. It must"
            " cost an import next to nothing.",
        "consent.member_erased":
            "Called with the member, in the entry that erases the account: erases personal data that the app keeps.",
        "consent.kept_after_erasure":
            "Called with a member: a sentence for each thing that is kept although the account is erased, with its end.",
        "consent.references_spelt":
            "Called with member numbers whose references a file of the product spells, in the entry that seals them. It"
            " must cost an import next to nothing.",
    },
)  # fmt: skip
