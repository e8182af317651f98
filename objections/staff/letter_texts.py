"""The texts of letters: what is in use, how it came about, and the pages by which two people put another into use.

Every view asks for its own permission: the admin alone lets all staff in.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.text import capfirst
from django.views.decorators.http import require_GET, require_http_methods

from common import drafts
from common.errors import StaleEdit
from common.staff import start_page
from common.staff.parameters import takes
from common.staff.site import page, refusal_shown_in, staff
from ledger.models import Entry
from objections.acts import sent_back
from objections.acts.review import ReviewForm
from objections.choices import ChangeKind, Delivery, LetterKind, LetterState
from objections.errors import AlreadySettled
from objections.letters import composing, texts
from objections.letters.differences import TextLine, differences
from objections.letters.texts import Text
from objections.models import ChangeReview, Letter, LetterTemplate, ProposedChange
from objections.reports import digest
from objections.staff.letter_forms import LetterTemplateForm
from objections.ticket import two_person

SHOWN = 4
LIST = "Letter templates"


# --- What is shown ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Version:
    """A text a letter has, or had. `entry` is empty for the built-in text."""

    number: int
    text: Text
    entry: Entry | None = None
    proposed: Entry | None = None
    """The entry of who wrote it; `entry` is that of who approved it."""


def versions_of(kind: str) -> list[Version]:
    """Every version of a kind, the newest first; version 0 is built in. Raises Http404 for an unknown kind."""
    if kind not in LetterKind.values:
        raise Http404
    rows = LetterTemplate.objects.filter(kind=kind, language="en").select_related("entry")
    proposed = _proposed_in([row.entry_id for row in rows])
    return [
        *(
            Version(row.number, Text(row.subject, row.body), row.entry, proposed.get(row.entry_id))
            for row in rows.order_by("-number")
        ),
        Version(0, texts.built_in(kind)),
    ]


def _proposed_in(approved: Sequence[int]) -> dict[int, Entry]:
    """The entries in which texts were proposed, by those in which they were approved."""
    reviews = ChangeReview.objects.filter(entry__in=approved).select_related("change__entry")
    return {one.entry_id: one.change.entry for one in reviews}


def _version(versions: Sequence[Version], number: int) -> Version:
    for version in versions:
        if version.number == number:
            return version
    raise Http404


@dataclass(frozen=True)
class Placeholder:
    name: str
    meaning: str
    is_required: bool
    sample: str

    @property
    def mark(self) -> str:
        return f"{{{{ {self.name} }}}}"


def placeholders_of(kind: str) -> list[Placeholder]:
    """The placeholders of the kind of letter; the required ones first."""
    required = texts.REQUIRED[kind]
    samples = texts.sample_values(kind)
    found = [
        Placeholder(name, meaning, name in required, samples[name])
        for name, meaning in texts.PLACEHOLDERS.items()
        if name in texts.AVAILABLE[kind]
    ]
    return sorted(found, key=lambda one: not one.is_required)


@dataclass(frozen=True)
class Piece:
    """A piece of a text, to show placeholders as what they are."""

    text: str
    is_placeholder: bool


def pieces_of(body: str) -> list[Piece]:
    return [Piece(part, part.startswith("{{")) for part in re.split(r"(\{\{.*?\}\})", body) if part]


def changes(old: Text, new: Text) -> list[TextLine]:
    """Subject and body as one text: what a reader of the letter would see change."""
    return differences(*(f"Subject: {text.subject}\n\n{text.body}" for text in (old, new)))


def title_of(kind: str) -> str:
    return capfirst(LetterKind(kind).label)


def url_of(kind: str, name: str = "kind", *more: int) -> str:
    return reverse(f"admin:objections_lettertemplate_{name}", args=[kind, *more])


# --- Pages --------------------------------------------------------------------------------------


@require_GET
@permission_required("objections.view_lettertemplate", raise_exception=True)
def kinds(request: HttpRequest) -> HttpResponse:
    """Every kind of letter with the text in use."""
    newest: dict[str, LetterTemplate] = {}
    waits = set(_waiting_texts().values_list("subject", flat=True))
    for row in LetterTemplate.objects.filter(language="en").select_related("entry"):
        newest.setdefault(row.kind, row)
    return page(
        request,
        "admin/objections/lettertemplate/kinds.html",
        title=LIST,
        kinds=[
            {
                "title": title_of(kind),
                "url": url_of(kind),
                "template": newest.get(kind),
                "waits": kind in waits,
            }
            for kind in LetterKind.values
        ],
    )


@require_GET
@permission_required("objections.view_lettertemplate", raise_exception=True)
def kind(request: HttpRequest, kind: str) -> HttpResponse:
    """The text in use, what it is made of, and its versions."""
    versions = versions_of(kind)
    return page(
        request,
        "admin/objections/lettertemplate/kind.html",
        title=title_of(kind),
        kind=kind,
        versions=versions,
        in_use=versions[0],
        pieces=pieces_of(versions[0].text.body),
        placeholders=placeholders_of(kind),
        sample=_rendered(kind, versions[0].text),
        waiting=two_person.waiting(ChangeKind.LETTER_TEXT, kind),
        back=reverse("admin:objections_lettertemplate_changelist"),
        back_title=LIST,
    )


@require_GET
@permission_required("objections.view_lettertemplate", raise_exception=True)
def version(request: HttpRequest, kind: str, number: int) -> HttpResponse:
    """One version, what it changed, and how it differs from the text in use."""
    versions = versions_of(kind)
    shown = _version(versions, number)
    before = next((one for one in versions if one.number < number), None)
    return page(
        request,
        "admin/objections/lettertemplate/version.html",
        title=f"{title_of(kind)}, version {number}",
        kind=kind,
        version=shown,
        pieces=pieces_of(shown.text.body),
        before=before,
        changed=changes(before.text, shown.text) if before else [],
        in_use=versions[0],
        changed_since=changes(shown.text, versions[0].text),
        back=url_of(kind),
        back_title=title_of(kind),
    )


@takes("from")
@require_http_methods(["GET", "POST"])
@permission_required(
    ["objections.view_lettertemplate", "objections.add_lettertemplate"], raise_exception=True
)
def edit(request: HttpRequest, kind: str) -> HttpResponse:
    """Write another text, look at it with made-up values, propose it to a colleague."""
    versions = versions_of(kind)
    in_use = versions[0]
    start = _started_from(request, versions)
    waiting = two_person.waiting(ChangeKind.LETTER_TEXT, kind)
    returned = two_person.last_returned(ChangeKind.LETTER_TEXT, kind)
    sample, theirs = None, []
    form = drafts.form_for(
        LetterTemplateForm,
        request,
        title=f"{title_of(kind)}: edit the text",
        initial=_begins_with(start, in_use, returned),
    )
    if form.is_bound:
        if "preview" in request.POST:
            if form.is_valid_text():
                with refusal_shown_in(form):
                    texts.check(kind, form.text)
                    sample = _rendered(kind, form.text)
        elif form.is_valid():
            with refusal_shown_in(form):
                try:
                    composing.propose_text(
                        kind=kind,
                        text=form.text,
                        version=form.cleaned_data["version"],
                        actor=staff(request),
                        reason=form.cleaned_data["reason"],
                    )
                except StaleEdit:
                    theirs = _changed_since(versions, form.cleaned_data["version"])
                    form.look_again(in_use.number)
                    form.add_error(
                        None,
                        f"Version {in_use.number} was put into use while you were writing; its changes are"
                        " shown below. Your text is kept: look at both, then propose yours to replace theirs.",
                    )
                else:
                    drafts.done(form)
                    messages.success(
                        request,
                        f"Proposed: a colleague reviews it. Until then version {in_use.number} stays in use.",
                    )
                    return HttpResponseRedirect(url_of(kind))
    return page(
        request,
        "admin/objections/lettertemplate/edit.html",
        title=f"Edit: {title_of(kind).lower()}",
        form=None if waiting and request.method == "GET" else form,
        kind=kind,
        start=start,
        in_use=in_use,
        waiting=waiting,
        came_back=returned if start == in_use else None,
        placeholders=placeholders_of(kind),
        sample=sample,
        changed=changes(in_use.text, form.text) if sample else [],
        theirs=theirs,
        back=url_of(kind),
        back_title=title_of(kind),
    )


def _begins_with(
    start: Version, in_use: Version, returned: ProposedChange | None
) -> dict[str, object]:
    """The form's initial text: the one that was sent back, unless the address asks for another."""
    text, reason = start.text, ""
    if returned is not None and start == in_use:
        text, reason = composing.proposed_text(returned), returned.entry.reason
    return {
        "subject": text.subject,
        "body": text.body,
        "version": in_use.number,
        "reason": reason,
    }


@require_http_methods(["GET", "POST"])
@permission_required(
    ["objections.view_lettertemplate", "objections.add_lettertemplate"], raise_exception=True
)
def review(request: HttpRequest, kind: str) -> HttpResponse:
    """The second person sees what changes, and the letter as it would be sent."""
    in_use = versions_of(kind)[0]
    change = two_person.waiting(ChangeKind.LETTER_TEXT, kind)
    is_own = change is not None and change.proposed_by_id == staff(request).pk
    initial = {"version": change.pk if change else 0}
    title = f"{title_of(kind)}: review the text"
    form = drafts.form_for(ReviewForm, request, title=title, initial=initial, is_own=is_own)
    if form.is_valid():
        with refusal_shown_in(form):
            # What was read is what is approved: another proposal has another number.
            if change is None or change.pk != form.cleaned_data["version"]:
                raise AlreadySettled("This proposal was decided on in the meantime: look again.")
            row = composing.review_text(
                change=change,
                verdict=form.cleaned_data["verdict"],
                actor=staff(request),
                reason=form.cleaned_data["reason"],
            )
            drafts.done(form)
            messages.success(
                request,
                f"Approved: version {row.number} is in use from the next letter on."
                if row
                else f"{'Taken' if is_own else 'Sent'} back: version {in_use.number} stays in use.",
            )
            return HttpResponseRedirect(url_of(kind))
    text = composing.proposed_text(change) if change else None
    return page(
        request,
        "admin/objections/lettertemplate/review.html",
        title=f"Review: {title_of(kind).lower()}",
        form=form if change or request.method == "POST" else None,
        change=change,
        is_own=is_own,
        in_use=in_use,
        changed=changes(in_use.text, text) if text else [],
        sample=_rendered(kind, text) if text else None,
        button="Record your word",
        back=url_of(kind),
        back_title=title_of(kind),
    )


def _started_from(request: HttpRequest, versions: Sequence[Version]) -> Version:
    """The version that is edited: the one in use, or an earlier one to go back to (`?from=2`)."""
    asked = request.GET.get("from", "")
    if not asked:
        return versions[0]
    if not (asked.isascii() and asked.isdecimal() and len(asked) < 6):
        raise Http404
    return _version(versions, int(asked))


def _changed_since(versions: Sequence[Version], number: int) -> list[TextLine]:
    seen = next((one for one in versions if one.number == number), None)
    return changes(seen.text, versions[0].text) if seen else []


def _rendered(kind: str, text: Text) -> Text:
    return texts.render(text, texts.sample_values(kind))


def _waiting_texts() -> QuerySet[ProposedChange]:
    found: QuerySet[ProposedChange] = ProposedChange.objects.waiting().filter(
        kind=ChangeKind.LETTER_TEXT
    )
    return found


# --- Start page ---------------------------------------------------------------------------------


@start_page.panel("objections.view_letter", order=8)
def letters_panel(request: HttpRequest) -> start_page.Panel:
    """Undelivered letters: those that failed, and those that an officer must post."""
    outbox = reverse("admin:objections_letter_changelist")
    failed = Letter.objects.failed()
    to_post = Letter.objects.waiting().filter(delivery=Delivery.POST)
    lines = [
        *_counted(failed, "Could not be sent", f"{outbox}?state={LetterState.FAILED}", "danger"),
        *_counted(to_post, "To be posted", f"{outbox}?delivery__exact={Delivery.POST}", "warning"),
    ]
    if request.user.has_perm("objections.work_ticket") and not staff(request).email:
        lines.append(
            start_page.PanelLine(
                "You get no daily digest",
                detail="No e-mail address is kept with your account; an administrator adds it.",
            )
        )
    return start_page.Panel(
        "Letters",
        lines,
        _letters_in_words(),
        [
            ("Outbox", outbox),
            (LIST, reverse("admin:objections_lettertemplate_changelist")),
            ("Figures", reverse("admin:objections_figures")),
        ],
    )


def _letters_in_words() -> str:
    """Said when no letter failed and none waits for the post."""
    count = Letter.objects.count()
    if not count:
        return "No letter has been written yet."
    waiting = Letter.objects.waiting().count()
    return (
        f"None of the {count:,} letters written so far has failed; {waiting:,} wait to be mailed."
    )


def _counted(
    found: QuerySet[Letter], words: str, url: str, tone: str
) -> Iterator[start_page.PanelLine]:
    count = found.count()
    if count:
        first = found.order_by("pk").select_related("ticket")[:SHOWN]
        named = ", ".join(str(letter) for letter in first)
        more = f" and {count - SHOWN:,} more" if count > SHOWN else ""
        yield start_page.PanelLine(f"{words}: {count:,}", url, f"{named}{more}", tone)


@start_page.panel("objections.work_ticket", order=7)
def changes_panel(request: HttpRequest) -> start_page.Panel:
    """Texts and erasures that a colleague proposed."""
    found = (
        ProposedChange.objects.waiting()
        .exclude(proposed_by=staff(request))
        .select_related("proposed_by")
        .order_by("pk")
    )
    return start_page.Panel(
        "Texts and erasures waiting for your word",
        [
            start_page.PanelLine(
                capfirst(str(one)),
                sent_back.review_address(one),
                f"proposed by {one.proposed_by.get_username()}",
                "warning",
            )
            for one in found[:SHOWN]
        ],
        "No text of letters and no erasure that a colleague proposed waits for you.",
        [(LIST, reverse("admin:objections_lettertemplate_changelist"))],
    )


@start_page.panel("auth.change_user", order=72)
def without_digest_panel(request: HttpRequest) -> start_page.Panel:
    return start_page.Panel(
        "Daily digest of the objection desk",
        [
            start_page.PanelLine(
                f"{officer.get_username()} gets none",
                reverse("admin:auth_user_change", args=[officer.pk]),
                "no e-mail address is kept with the account",
                "warning",
            )
            for officer in digest.without_digest()
        ],
        _all_mailed_in_words(),
    )


def _all_mailed_in_words() -> str:
    """Said when no officer is without an address."""
    count = digest.officers().count()
    if not count:
        return "No account has the role of privacy officer yet."
    return f"An e-mail address is kept with each of the {count} privacy officers."
