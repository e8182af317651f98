"""Keeping checked files with a ticket."""

from collections.abc import Collection
from typing import Any

from django.contrib.auth.models import User

from ledger.errors import InvalidInput
from ledger.registry import EntryKind
from objections.acts.act import Act, ActForm, Page, Said, acting
from objections.acts.fields import FilesField
from objections.intake import receiving
from objections.models import Attachment, Ticket
from objections.ticket import uploads
from objections.ticket.case import Case


class AttachForm(ActForm):
    attachments = FilesField(label="Files")

    def said(self) -> Said:
        return {
            "files": self.cleaned_data["attachments"],
            "version": self.cleaned_data["version"],
        }


def why_not(case: Case, actor: User) -> str:
    return case.why_nothing_is_added


def do(
    *, ticket: Ticket, files: Collection[uploads.Upload], version: int, actor: User
) -> list[Attachment]:
    if not files:
        raise InvalidInput("Choose a file.", field="attachments")
    stored = uploads.store_all(files)
    with (
        uploads.removed_on_failure(stored) as committing,
        acting("objection.files_attached", ticket, actor, why_not, version=version) as (case, _),
    ):
        case.ticket.save()
        attached = [
            receiving.attach(case.ticket, upload, key, added_by=actor.get_username())
            for upload, key in stored
        ]
        committing()
    return attached


def _page(case: Case, actor: User) -> Page:
    return Page(
        will=[
            "They are kept as they came, given out as downloads only, and erased with the person's data."
        ]
    )


def _done(case: Case, said: Said, result: Any) -> str:
    return f"Files kept: {len(result)}."


ACT = Act(
    name="attach",
    title="Attach files",
    kinds=[EntryKind("objection.files_attached", "Files attached", despite_clocks=True)],
    form=AttachForm,
    comes_up=lambda case, actor: case.ticket.erased_at is None,
    why_not=why_not,
    do=do,
    page=_page,
    done=_done,
)
