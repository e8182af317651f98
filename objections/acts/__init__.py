"""The acts of officers on a ticket: one module each, which says everything about its act.

Buttons, pages, addresses, the actions for many tickets, the kinds of entries and the tests' matrix follow from the
lists here. An act is done by its `do`: `acts.extend.do(ticket=…, ground=…, explanation=…, version=…, actor=…)`.
"""

from ledger.registry import EntryKind
from objections.acts import (
    approve_abuse,
    ask_identity,
    assign,
    attach,
    begin_review,
    choose,
    close_abuse,
    close_unidentified,
    confirm_address,
    correct_address,
    correct_country,
    correct_match,
    correct_receipt,
    decide,
    erase,
    extend,
    go_on_without_identity,
    keep_files,
    link,
    match,
    no_account,
    note,
    record_identity,
    release,
    review,
    review_erasure,
    take,
    uphold,
    withdraw,
)
from objections.acts.act import Act

__all__ = [
    "approve_abuse",
    "ask_identity",
    "assign",
    "attach",
    "begin_review",
    "choose",
    "close_abuse",
    "close_unidentified",
    "confirm_address",
    "correct_address",
    "correct_country",
    "correct_match",
    "correct_receipt",
    "decide",
    "erase",
    "extend",
    "go_on_without_identity",
    "keep_files",
    "link",
    "match",
    "no_account",
    "note",
    "record_identity",
    "release",
    "review",
    "review_erasure",
    "take",
    "uphold",
    "withdraw",
]

FORWARD: list[Act] = [
    release.ACT,
    close_abuse.ACT,
    review.ACT,
    review_erasure.ACT,
    begin_review.ACT,
    decide.ACT,
    record_identity.ACT,
    go_on_without_identity.ACT,
    ask_identity.ACT,
    extend.ACT,
    withdraw.ACT,
    close_unidentified.ACT,
]
"""The acts that bring an answer nearer, in the order of their buttons."""

AROUND: list[Act] = [
    take.ACT,
    assign.ACT,
    note.ACT,
    attach.ACT,
    keep_files.ACT,
    choose.ACT,
    match.ACT,
    correct_match.ACT,
    no_account.ACT,
    link.ACT,
    confirm_address.ACT,
    correct_address.ACT,
    correct_receipt.ACT,
    correct_country.ACT,
    erase.ACT,
]
"""The acts beside the way, likewise."""

WITH_PAGE = [*FORWARD, *AROUND]

FOR_MANY: list[Act] = [
    take.ACT,
    assign.ACT,
    begin_review.ACT,
    uphold.ACT,
    release.ACT,
    close_abuse.ACT,
    approve_abuse.ACT,
]
"""The acts that are done to many tickets in one go, in the order of the list of actions."""

KINDS: list[EntryKind] = [kind for act in WITH_PAGE for kind in act.kinds]
"""Every kind of entry that an act of an officer makes; the app declares them to the ledger when it starts."""
