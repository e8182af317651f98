"""The guard of account references: one goes inside its member's erasure only, and each that goes is counted.

One that a file of the product has named stays as that file spells it.

Without the reference the next ordinary import would take the account for a new one, and let in a member on *deny*.
"""

from ledger.append_only import OwnGuard, Trigger, add_guard

UNTIL_ERASED = "kept until its member is erased"
_ERASED = (
    "EXISTS (SELECT 1 FROM consent_member m JOIN consent_suppression s ON s.member_id = m.id"
    " WHERE m.id = OLD.member_id AND m.status = 'erased')"
)
# The key finds the member: renamed, it would make a stranger of the account. The text is what lists of accounts give
# out; a file may replace it once, when it names an account that only decisions have named.
_MOVED = (
    "NEW.member_id <> OLD.member_id OR NEW.account_key <> OLD.account_key"
    " OR COALESCE(NEW.account_folded, '') <> COALESCE(OLD.account_folded, '')"
    " OR (OLD.is_confirmed AND (NEW.account_ref <> OLD.account_ref OR NEW.salt <> OLD.salt"
    " OR NOT NEW.is_confirmed))"
)
_COUNT_GONE = "UPDATE consent_census SET live_references = live_references - 1"


def _refusing(name: str, condition: str, answer: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF {condition} THEN
        RAISE EXCEPTION '% is {UNTIL_ERASED}', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN {answer};
END $$
"""


def _counting(name: str, count: str) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {count};
    RETURN NULL;
END $$
"""


_REFUSE = f"SELECT RAISE(ABORT, 'consent_accountreference is {UNTIL_ERASED}')"

add_guard(
    UNTIL_ERASED,
    OwnGuard(
        triggers=[
            Trigger(
                "goes_with_erasure",
                "BEFORE DELETE",
                "consent_keep_reference",
                f"WHEN NOT {_ERASED} BEGIN {_REFUSE}; END",
            ),
            Trigger(
                "stays",
                "BEFORE UPDATE",
                "consent_hold_reference",
                f"WHEN {_MOVED} BEGIN {_REFUSE}; END",
            ),
            Trigger(
                "counts_gone",
                "AFTER DELETE",
                "consent_count_reference",
                f"BEGIN {_COUNT_GONE}; END",
                only_counts=True,
            ),
        ],
        functions=[
            _refusing("consent_keep_reference", f"NOT {_ERASED}", "OLD"),
            _refusing("consent_hold_reference", _MOVED, "NEW"),
            _counting("consent_count_reference", _COUNT_GONE),
        ],
    ),
)
