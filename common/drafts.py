"""Drafts: text and files that staff entered into a form, kept until the act is done.

`form_for` gives the form of an act. On POST it keeps what was sent before anything else is tried, so that a preview, an
error, a refusal, a crash and an ended session lose nothing; on GET it fills the form in again. `done` lets the draft
go. A draft belongs to one person and one page. It is no part of ledger, history, logs and lists; it goes with the act,
with what it is about (`forget`), and after `DRAFT_DAYS`.
"""

import datetime as dt
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog
from django import forms
from django.conf import settings
from django.contrib.auth.models import User
from django.core import signing
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import DatabaseError, connection, transaction
from django.db.models import TextField
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.utils import timezone
from django.utils.datastructures import MultiValueDict

from common import registry
from common.models import Draft, DraftFile

logger = structlog.get_logger(__name__)

TOKEN = "draft_of"  # noqa: S105  # the name of a field
"""The hidden field by which a form says, signed, whose it is: an ended session then loses nothing."""
DISCARD = "discard_draft"
DROP_FILE = "drop_file"
TOKEN_DAYS = 7
MAX_CHARACTERS = 500_000
MAX_FILE_BYTES = 20 * 1024 * 1024
"""Of one draft; a request brings at most MAX_BODY_BYTES of them."""
MAX_DRAFTS = 50
"""Of one person: beyond them the oldest goes."""
SECONDS_APART = 2
"""Between two that come without a session."""
_SALT = "common.drafts"
_NOT_WORDS = frozenset(
    {"csrfmiddlewaretoken", TOKEN, DISCARD, DROP_FILE, "preview", "action", "password"}
)

F = TypeVar("F", bound=forms.Form)


@dataclass
class Place:
    """The page of a form, for one person, and what is kept for it."""

    person: User
    address: str
    subject: str
    title: str
    draft: Draft | None = None
    is_shown: bool = False
    """Whether the form was filled in from the draft."""
    is_older: bool = False
    """Whether what it is about changed after it was typed."""
    files: list[DraftFile] = field(default_factory=list)

    @property
    def token(self) -> str:
        return signing.dumps([self.person.pk, self.address, self.subject, self.title], salt=_SALT)


def form_for(
    kind: type[F],
    request: HttpRequest,
    *,
    subject: str = "",
    title: str = "",
    address: str = "",
    initial: Mapping[str, Any] | None = None,
    **more: Any,
) -> F:
    """The form of an act: with what was sent, or with the person's draft, or as it begins.

    `subject` is what it is about, as the record of reads names it; `title` names the page on the person's start page,
    without personal data.
    """
    assert isinstance(request.user, User)
    place = Place(request.user, address or request.path, subject, title)
    place.draft = Draft.objects.filter(officer=place.person, address=place.address).first()
    is_sent = request.method == "POST"
    if is_sent and DISCARD in request.POST:
        _delete(place)
        is_sent = False
    if is_sent:
        kept = _kept_files(place, request.POST.getlist(DROP_FILE))
        files = _together(kept, request.FILES)
        form = kind(request.POST, files, **more)
        if form.visible_fields():
            _keep(place, request.POST, _worth_keeping(form, request.FILES), kept)
    else:
        begins = dict(initial or {})
        if place.draft is not None:
            place.is_shown = True
            sent = place.draft.fields.get("version", [""])[-1]
            place.is_older = bool(sent) and sent != str(begins.get("version", sent))
            begins |= _words(kind, place.draft)
        form = kind(initial=begins, **more)
    if place.draft is not None:
        place.files = list(place.draft.files.order_by("pk"))
    form.draft = place  # type: ignore[attr-defined]  # for the template, and for `done`
    return form


def place_in(form: forms.Form, request: HttpRequest, *, address: str, title: str) -> None:
    """Say in a form that another page sends on where its draft belongs."""
    assert isinstance(request.user, User)
    form.draft = Place(request.user, address, "", title)  # type: ignore[attr-defined]  # as above


def done(form: forms.Form) -> None:
    """The act is done: its draft goes."""
    place: Place | None = getattr(form, "draft", None)
    if place is not None:
        _delete(place)


def keep_without_session(request: HttpRequest) -> bool:
    """Keep a form that arrived after its session had ended, for the person it was shown to; returns whether it was kept.

    The signed token names person and page: people can write only into drafts of forms that they were shown.
    """
    try:
        number, address, subject, title = signing.loads(
            request.POST.get(TOKEN, ""), salt=_SALT, max_age=dt.timedelta(days=TOKEN_DAYS)
        )
    except (signing.BadSignature, ValueError, TypeError):
        return False
    person = User.objects.filter(pk=number, is_active=True, is_staff=True).first()
    if person is None or address != request.path:
        return False
    place = Place(person, address, subject, title)
    # For each web process. What the person sent a moment ago, still signed in, does not count.
    came = hashlib.sha256(f"{number} {address}".encode()).hexdigest()
    if not cache.add(f"draft:{came}", 1, SECONDS_APART):
        return False
    place.draft = Draft.objects.filter(officer=person, address=address).first()
    kept = _kept_files(place, request.POST.getlist(DROP_FILE))
    return _keep(place, request.POST, request.FILES, kept)


def of(person: Any) -> list[Draft]:
    """A person's own drafts, the latest first."""
    return list(Draft.objects.filter(officer=person).order_by("-saved_at"))


def forget(subject: str) -> None:
    """Delete all drafts about the subject, by any author: its personal data is being erased."""
    Draft.objects.filter(subject=subject).delete()


def forget_account(account_ref: str) -> None:
    """Drafts that name the account go: it is being erased, and they may be about a person without an account.

    The words and the names of files are looked into. The database finds the few: this is called under the ledger's lock.
    """
    # As a word of its own: the account "7" is not named by every 2027.
    is_named = re.compile(rf"(?<!\w){re.escape(account_ref)}(?!\w)")
    # SQLite keeps the JSON as Python writes it, PostgreSQL writes other letters than ASCII as they are.
    in_json = json.dumps(account_ref, ensure_ascii=connection.vendor == "sqlite")[1:-1]
    found = Draft.objects.annotate(text=Cast("fields", TextField())).filter(text__contains=in_json)
    # SQLite's LIKE takes another case for the same.
    named = {
        draft.pk
        for draft in found.only("pk", "fields").iterator()
        if any(is_named.search(value) for values in draft.fields.values() for value in values)
    }
    files = DraftFile.objects.filter(name__contains=account_ref).values_list("draft_id", "name")
    named.update(draft for draft, name in files if is_named.search(name))
    Draft.objects.filter(pk__in=named).delete()


def remove_old() -> int:
    """Remove abandoned drafts; returns how many."""
    before = timezone.now() - dt.timedelta(days=settings.DRAFT_DAYS)
    old = Draft.objects.filter(saved_at__lt=before)
    count = old.count()
    old.delete()
    return count


# --- How it is kept -----------------------------------------------------------------------------


def _delete(place: Place) -> None:
    Draft.objects.filter(officer=place.person, address=place.address).delete()
    place.draft, place.files, place.is_shown = None, [], False


def _keep(
    place: Place,
    sent: Any,
    new_files: Mapping[str, Any],
    kept: list[DraftFile],
) -> bool:
    """Write the draft. A failure does not stop the act."""
    if place.subject and any(
        is_erased(place.subject) for is_erased in registry.hooks("common.is_erased")
    ):
        return False
    # A NUL is no text that PostgreSQL's JSON takes.
    fields = {
        name: [value.replace("\0", "") for value in sent.getlist(name)]
        for name in sent
        if name not in _NOT_WORDS
    }
    if sum(len(value) for values in fields.values() for value in values) > MAX_CHARACTERS:
        return False
    try:
        with transaction.atomic():
            draft, _ = Draft.objects.update_or_create(
                officer=place.person,
                address=place.address,
                defaults={
                    "subject": place.subject,
                    "title": place.title,
                    "fields": fields,
                    "saved_at": timezone.now(),
                },
            )
            draft.files.exclude(pk__in=[one.pk for one in kept]).delete()
            _keep_files(draft, new_files, kept)
            _remove_beyond(place.person)
    except DatabaseError as error:
        # The error's own words may repeat what was typed.
        logger.error("draft not kept", error=type(error).__name__)
        return False
    place.draft = draft
    return True


def _keep_files(draft: Draft, new_files: Mapping[str, Any], kept: list[DraftFile]) -> None:
    known = {(one.field, one.name, bytes(one.data)) for one in kept}
    room = MAX_FILE_BYTES - sum(len(one.data) for one in kept)
    for name in new_files:
        for file in new_files.getlist(name):  # type: ignore[attr-defined]  # a MultiValueDict
            file.seek(0)
            data = file.read()
            file.seek(0)
            if (name, file.name, data) in known or len(data) > room:
                continue
            room -= len(data)
            DraftFile.objects.create(draft=draft, field=name, name=file.name[:200], data=data)


def _remove_beyond(person: User) -> None:
    newest = Draft.objects.filter(officer=person).order_by("-saved_at", "-pk")
    beyond = list(newest.values_list("pk", flat=True)[MAX_DRAFTS:])
    if beyond:
        Draft.objects.filter(pk__in=beyond).delete()


def _kept_files(place: Place, dropped: list[str]) -> list[DraftFile]:
    if place.draft is None:
        return []
    return [one for one in place.draft.files.order_by("pk") if str(one.pk) not in dropped]


def _together(kept: list[DraftFile], sent: Any) -> Any:
    """The files that a form is given: those kept before, then those that came now."""
    files: MultiValueDict[str, Any] = MultiValueDict()
    for one in kept:
        files.appendlist(one.field, SimpleUploadedFile(one.name, bytes(one.data)))
    known = {(one.field, one.name, bytes(one.data)) for one in kept}
    for name in sent:
        for file in sent.getlist(name):
            data = file.read()
            file.seek(0)
            # Chosen once more, it is the same file.
            if (name, file.name, data) not in known:
                files.appendlist(name, file)
    return files


def _worth_keeping(form: forms.Form, sent: Any) -> Any:
    """The files that the form's fields would take; of the others the form says why it does not."""
    files: MultiValueDict[str, Any] = MultiValueDict()
    for name in sent:
        would_take = getattr(form.fields.get(name), "would_take", None)
        for file in sent.getlist(name):
            if would_take is None or would_take(file):
                files.appendlist(name, file)
    return files


def _words(kind: type[forms.Form], draft: Draft) -> dict[str, Any]:
    """The values that a draft fills into a form, without its version and without what confirms an act."""
    left_out = {"version", *getattr(kind, "NOT_KEPT", ())}
    words: dict[str, Any] = {}
    for name, one in kind.base_fields.items():
        # An empty box is not sent.
        if isinstance(one, forms.MultipleChoiceField):
            words[name] = []
        elif isinstance(one, forms.BooleanField):
            words[name] = False
    for name, values in draft.fields.items():
        several = isinstance(kind.base_fields.get(name), forms.MultipleChoiceField)
        if values or several:
            words[name] = values if several else values[-1]
    return {name: value for name, value in words.items() if name not in left_out}
