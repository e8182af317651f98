"""Consent receipts: what a member consented to, when, under which notice, and what became of it.

The fields are those of ISO/IEC TS 27560:2023, as JSON-LD whose terms are those of the W3C Data Privacy Vocabulary (DPV
2.3). Only an act under an opt-in rule, under a notice that was in force, is a consent. A setting that is on by default
and was left alone, or left on, is none: there is a standing for it and no record.
"""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.urls import reverse

from common import registry
from consent import members
from consent.choices import PURPOSES, Channel, Choice, Control, DataCategory, Purpose, RuleKind
from consent.counting import Counted
from consent.errors import AccountErased
from consent.models import Decision, Member, Notice
from consent.rulebook import days, rules
from ledger import clock

SCHEMA_VERSION = "ISO/IEC TS 27560:2023"
CONTEXT = {
    "dpv": "https://w3id.org/dpv#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
    "ai": "https://w3id.org/dpv/ai#",
    "dct": "http://purl.org/dc/terms/",
    "receipts": "dpv:hasRecordOfActivity",
    "record": "dpv:hasRecordOfActivity",
    "standings": "dpv:hasStatus",
    "opt_outs": "dpv:hasRecordOfActivity",
    "schema_version": "dct:conformsTo",
    "receipt_id": "@id",
    "record_id": "@id",
    "pii_principal_id": "dpv:hasDataSubject",
    "party_identification": "dpv:hasEntity",
    "party_id": "dct:identifier",
    "party_name": "dpv:hasName",
    "party_contact": "dpv:hasContact",
    "party_role": {"@id": "dpv:hasRole", "@type": "@vocab"},
    "privacy_notice": "dpv:hasNotice",
    "notice_version": "dct:hasVersion",
    "notice_url": "dct:source",
    "purposes": "dpv:hasProcess",
    "purpose": "dpv:hasPurpose",
    "purpose_type": {"@id": "dpv:hasProcessing", "@type": "@vocab"},
    "lawful_basis": {"@id": "dpv:hasLegalBasis", "@type": "@vocab"},
    "pii_information": "dpv:hasPersonalData",
    "pii_type": "dct:type",
    "pii_controllers": "dpv:hasDataController",
    "jurisdictions": "dpv:hasJurisdiction",
    "withdrawal_method": "dpv:isExercisedAt",
    "events": "dpv:hasActivityStatus",
    "event_type": {"@id": "@type", "@type": "@vocab"},
    "event_state": {"@id": "dpv:hasConsentStatus", "@type": "@vocab"},
    "event_time": "dct:date",
    "status": {"@id": "dpv:hasStatus", "@type": "@vocab"},
}
_IDS = uuid.UUID("5b2f8a52-2a0e-5c8c-9a43-0d6f1f4c9e10")
"""The namespace of the ids: of one decision the id is always the same."""
CONTROLLER = "controller"


@dataclass
class _Record:
    """A consent, and its withdrawal if there was one."""

    given: Decision
    country: str
    withdrawn: Decision | None = None


@dataclass
class _Acts:
    """The decisions of a member about a purpose that took effect."""

    records: list[_Record] = field(default_factory=list)
    opt_outs: list[Decision] = field(default_factory=list)
    last: Decision | None = None
    """The decision that counts."""


def receipts_of(member: Member) -> dict[str, Any]:
    """The receipts of a member's consents, and where the member stands. Raises AccountErased.

    It names the account, so it is given out and never kept.
    """
    reference = members.reference_of(member)
    if reference is None:
        raise AccountErased("The account was erased; what it consented to is no longer known.")
    book = rules.Book.read()
    notices = {row.version: row for row in book.notices}
    answer: dict[str, Any] = {"receipts": [], "opt_outs": [], "standings": []}
    for purpose, facts in PURPOSES.items():
        # For the others the member objects: there is nothing that could be a consent.
        if facts.control != Control.SETTING:
            continue
        now = rules.ruling(purpose, days.at(clock.now()), [], book)
        acts = _acts(member, purpose, now, book)
        answer["receipts"] += [
            _receipt(record, reference.account_ref, notices) for record in acts.records
        ]
        answer["opt_outs"] += [
            {"purpose": purpose, **_event(row, "dpv:OptingOutFromProcess")} for row in acts.opt_outs
        ]
        answer["standings"].append(_standing(member, purpose, now, acts))
    return {"@context": CONTEXT, "schema_version": SCHEMA_VERSION, **answer}


def _acts(member: Member, purpose: str, now: rules.Ruling, book: rules.Book) -> _Acts:
    """The decisions that took effect, in the order they were received."""
    lived = list(member.history.order_by("history_id").values_list("entry_id", "country"))
    found = _Acts()
    chosen: Counted | None = None
    rows = Decision.objects.filter(member=member, purpose=purpose, evidence_only=False)
    for row in rows.select_related("entry").order_by("entry_id", "pk"):
        said = Counted(
            row.choice,
            row.counts_at,
            is_ahead=row.choice == Choice.ALLOW and row.decided_at > row.counts_at,
        )
        if not said.takes_over_from(chosen, received_at=row.entry.recorded_at):
            continue
        chosen, found.last = said, row
        standing = [record for record in found.records if record.withdrawn is None]
        if row.choice == Choice.DENY:
            for record in standing:
                record.withdrawn = row
            if not standing:
                found.opt_outs.append(row)
            continue
        country = _country_then(lived, row) or member.country
        windows = now.consents.get(country)
        if windows is None:
            then = rules.ruling(purpose, days.at(row.counts_at), [], book)
            windows = then.consents.get(country, ())
        if any(window.takes(row.notice_version, row.counts_at) for window in windows):
            found.records.append(_Record(row, country))
    return found


def _country_then(lived: Sequence[tuple[int, str]], row: Decision) -> str:
    known = [country for entry, country in lived if entry <= row.entry_id]
    return known[-1] if known else ""


def _receipt(record: _Record, account_ref: str, notices: dict[str, Notice]) -> dict[str, Any]:
    given = record.given
    notice = notices[given.notice_version]
    return {
        "@type": "dpv:ConsentReceipt",
        "receipt_id": _id("receipt", given),
        "schema_version": SCHEMA_VERSION,
        "record": {
            "@type": "dpv:ConsentRecord",
            "record_id": _id("record", given),
            "schema_version": SCHEMA_VERSION,
            "pii_principal_id": account_ref,
            "party_identification": [
                {
                    "party_id": CONTROLLER,
                    "party_name": settings.CONTROLLER_NAME,
                    "party_contact": settings.CONTROLLER_CONTACT,
                    "party_role": "dpv:DataController",
                }
            ],
            "privacy_notice": {
                "@type": "dpv:ConsentNotice",
                "notice_version": notice.version,
                "notice_url": notice.source,
            },
            "purposes": [
                {
                    "purpose": given.purpose,
                    "purpose_type": "ai:ModelTraining",
                    "lawful_basis": "eu-gdpr:A6-1-a",
                    "pii_information": [
                        {"@type": "dpv:PersonalData", "pii_type": one}
                        for one in notice.data_categories
                        if one in DataCategory.values
                    ],
                    "pii_controllers": [CONTROLLER],
                    "jurisdictions": [record.country],
                    "withdrawal_method": settings.PUBLIC_URL + reverse("setting"),
                }
            ],
            "events": list(_events(record)),
        },
    }


def _events(record: _Record) -> Iterator[dict[str, Any]]:
    yield {
        **_event(record.given, "dpv:ConsentGiven"),
        "event_state": "dpv:ConsentGiven",
    }
    if record.withdrawn is not None:
        yield {
            **_event(record.withdrawn, "dpv:ConsentWithdrawn"),
            "event_state": "dpv:ConsentWithdrawn",
        }


def _event(row: Decision, kind: str) -> dict[str, Any]:
    by = "controller" if row.channel == Channel.STAFF else "data subject"
    return {
        "event_type": kind,
        "event_time": f"{row.counts_at:%Y-%m-%dT%H:%M:%S.%fZ}",
        "entity_id": by,
        "channel": row.channel,
        "ledger_entry": row.entry_id,
    }


def _id(what: str, given: Decision) -> str:
    """The same for one decision, whenever it is asked for; it says nothing about who decided."""
    return uuid.uuid5(_IDS, f"{settings.PUBLIC_URL}|{what}|{given.entry_id}|{given.pk}").urn


def _standing(member: Member, purpose: str, now: rules.Ruling, acts: _Acts) -> dict[str, Any]:
    """The legal basis of today, as DPV has it. `status` is null where nothing is used and none was asked for."""
    status, record, sentence = _status(member, purpose, now, acts)
    return {
        "purpose": purpose,
        "rule": now.rule_of.get(member.country, ""),
        "status": status,
        "consent_record": _id("record", record.given) if record else None,
        "sentence": sentence,
    }


def _status(
    member: Member, purpose: str, now: rules.Ruling, acts: _Acts
) -> tuple[str | None, _Record | None, str]:
    label = Purpose(purpose).label
    rule = now.rule_of.get(member.country)
    denied = acts.last is not None and acts.last.choice == Choice.DENY
    if rule == RuleKind.OPT_IN:
        windows = now.consents.get(member.country, ())
        for record in acts.records:
            row = record.given
            if row == acts.last and any(
                one.takes(row.notice_version, row.counts_at) for one in windows
            ):
                return "dpv:ConsentGiven", record, f"The member has consented to {label}."
        withdrawn = [record for record in acts.records if record.withdrawn is not None]
        if denied and withdrawn:
            said = f"The member has withdrawn the consent to {label}."
            return "dpv:ConsentWithdrawn", withdrawn[-1], said
        return None, None, f"{label} needs consent here, and there is none."
    if rule == RuleKind.DEFAULT_ON:
        objects = any(
            purpose in objected(member) for objected in registry.hooks("consent.objected_purposes")
        )
        if denied or objects:
            return "dpv:LegitimateInterestObjected", None, f"The member has objected to {label}."
        said = (
            f"{label} is on by default, and the member has not objected. The member has not consented: there is no"
            " consent record."
        )
        return "dpv:LegitimateInterestNotObjected", None, said
    return None, None, f"No rule allows {label} in the member's country."
