"""What staff may type about a ticket. What the law asks for is asked here; the services insist on it."""

import datetime as dt
import re
import secrets
from collections.abc import Collection, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

from common.staff.site import VersionedForm
from common.text import words
from consent import countries
from consent.choices import Purpose
from consent.forms import DateInput
from ledger.errors import InvalidInput
from objections.acts import deciding, required_words
from objections.choices import Channel, ExtensionReason, Kind, Outcome, Verdict
from objections.clock import days, deadlines
from objections.intake import receiving
from objections.letters import composing
from objections.models import Objection, Ticket
from objections.querysets import working_officers
from objections.ticket import uploads

MAX_TEXT_LENGTH = 10_000
MAX_REASON_LENGTH = 500
FOR_GOOD = "The ledger keeps this for good: no names, no addresses."


class WordsField(forms.CharField):
    """What people write: nothing unseen stays in it, and no word is lost."""

    def __init__(
        self, *, max_characters: int = MAX_TEXT_LENGTH, rows: int = 4, **kwargs: Any
    ) -> None:
        super().__init__(widget=forms.Textarea(attrs={"rows": rows}), **kwargs)
        self.max_characters = max_characters

    def to_python(self, value: Any) -> str:
        try:
            return words.clean(
                super().to_python(value) or "", max_length=self.max_characters, field=""
            )
        except InvalidInput as refusal:
            raise forms.ValidationError(str(refusal)) from refusal


class ControllerTimeField(forms.DateTimeField):
    """A time where the establishment that answers is.

    An hour that autumn has twice is the first of the two: the earlier receipt protects the person more.
    """

    widget = forms.DateTimeInput(format="%Y-%m-%dT%H:%M", attrs={"type": "datetime-local"})

    def to_python(self, value: Any) -> dt.datetime | None:
        with timezone.override(settings.CONTROLLER_TIME_ZONE):
            try:
                return super().to_python(value)
            except forms.ValidationError as error:
                if error.code != "ambiguous_timezone" or not error.params:
                    raise
                moment = _first_of_two(error.params["datetime"])
                if moment is None:
                    raise
                return moment

    def prepare_value(self, value: Any) -> Any:
        with timezone.override(settings.CONTROLLER_TIME_ZONE):
            return super().prepare_value(value)


def _first_of_two(local: dt.datetime) -> dt.datetime | None:
    """The earlier moment at which the establishment's clocks show a time; None for one that spring leaves out."""
    zone = ZoneInfo(settings.CONTROLLER_TIME_ZONE)
    moment = local.replace(tzinfo=zone, fold=0)
    back = moment.astimezone(dt.UTC).astimezone(zone)
    return moment if back.replace(tzinfo=None) == local else None


class RequiredWordsField(WordsField):
    """Words that the law requires; the service says when there are too few of them."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        asked = required_words.FIELDS[name]
        super().__init__(label=asked.label, help_text=asked.help_text, **kwargs)


class ReasonField(WordsField):
    """Why, in words that the ledger keeps."""

    def __init__(self, *, help_text: str = "", **kwargs: Any) -> None:
        super().__init__(
            max_characters=MAX_REASON_LENGTH,
            rows=2,
            help_text=f"{help_text} {FOR_GOOD}".strip(),
            **kwargs,
        )


class Files(forms.ClearableFileInput):
    allow_multiple_selected = True


class FilesField(forms.FileField):
    """Files, checked by their content; the value is the list of uploads."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            widget=Files,
            help_text=f"At most {uploads.MAX_FILES} files, each {uploads.ALLOWED}, "
            f"up to {uploads.MAX_BYTES // 2**20} MiB, together up to {settings.MAX_BODY_BYTES // 2**20} MiB.",
            **kwargs,
        )

    def would_take(self, file: Any) -> bool:
        """Whether one file by itself can be kept."""
        data = file.read()
        file.seek(0)
        try:
            uploads.check_all([(file.name, data)])
        except InvalidInput:
            return False
        return True

    def clean(self, data: Any, initial: Any = None) -> Any:
        given = data if isinstance(data, list | tuple) else [data] if data else []
        if not given:
            if self.required:
                raise forms.ValidationError("Choose a file.")
            return []
        try:
            return uploads.check_all([(file.name, file.read()) for file in given])
        except InvalidInput as refusal:
            raise forms.ValidationError(str(refusal)) from refusal


# --- Who works it, who it is --------------------------------------------------------------------


def officers() -> Any:
    """The people who may be given a ticket, by name."""
    return working_officers().order_by("username")


class AssignForm(VersionedForm):
    officer = forms.ModelChoiceField(
        User.objects.none(), required=False, empty_label="nobody", label="Who works it"
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["officer"].queryset = officers()  # type: ignore[attr-defined]  # a ModelChoiceField


class AskIdentityForm(VersionedForm):
    doubt = RequiredWordsField("doubt")
    question = RequiredWordsField("question")


class RecordIdentityForm(VersionedForm):
    answered_on = forms.DateField(
        widget=DateInput(), initial=days.today, label="The answer came on"
    )
    how = WordsField(
        label="How it was answered", help_text="Kept for the team, erased with the person's data."
    )


class MatchForm(VersionedForm):
    account_ref = forms.CharField(
        max_length=100,
        strip=False,
        label="Account reference",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="The product's key of the account. It is not kept in the address or in any log.",
    )
    reason = ReasonField(label="How you know it is theirs")


class ReasonForm(VersionedForm):
    """An act that needs its reason and nothing else."""

    reason = ReasonField()

    def __init__(self, *args: Any, label: str, help_text: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].label = label
        self.fields["reason"].help_text = f"{help_text} {FOR_GOOD}".strip()


class LinkForm(VersionedForm):
    other = forms.CharField(
        max_length=20,
        label="The other ticket",
        widget=forms.TextInput(attrs={"placeholder": "OBJ-2026-000431"}),
        help_text="Its reference. The later ticket is linked to the first.",
    )
    reason = ReasonField(label="How you know it is one person")

    def clean_other(self) -> Ticket:
        reference = self.cleaned_data["other"].strip().upper()
        found: Ticket | None = Ticket.objects.worked().filter(reference=reference).first()
        if found is None:
            raise forms.ValidationError("There is no such ticket.")
        return found


class AddressForm(VersionedForm):
    email = forms.CharField(
        max_length=254,
        required=False,
        label="E-mail",
        widget=forms.TextInput(attrs={"autocomplete": "off", "inputmode": "email"}),
    )
    postal_address = WordsField(
        max_characters=500,
        rows=3,
        required=False,
        help_text="Letters go by post where there is no e-mail address.",
    )
    reason = ReasonField(label="How you know it", help_text="The person wrote from it, say.")


# --- The clock ----------------------------------------------------------------------------------


def _country_choices() -> list[tuple[str, str]]:
    by_name = sorted((name, code) for code, name in countries.NAMES.items())
    return [("", "not known"), *((code, name) for name, code in by_name)]


class CountryForm(forms.Form):
    """Where the person lives, as far as it sets the clock."""

    country = forms.ChoiceField(
        choices=_country_choices, required=False, help_text="It sets the clock."
    )
    is_californian = forms.BooleanField(required=False, label="Lives in California")

    def clean_is_californian(self) -> bool:
        is_californian: bool = self.cleaned_data["is_californian"]
        if is_californian and self.cleaned_data.get("country") not in ("", "US"):
            raise forms.ValidationError("California is in the United States.")
        return is_californian


def place(said: dict[str, Any]) -> dict[str, str]:
    """Country and region, as a country form says them."""
    region = "CA" if said.get("is_californian") else ""
    return {"country": said.get("country") or ("US" if region else ""), "region": region}


class CorrectCountryForm(CountryForm, VersionedForm):
    reason = ReasonField(label="Where it is documented")


class ReceiptForm(VersionedForm):
    received_at = ControllerTimeField(label="It reached us at")
    reason = ReasonField(label="Where the earlier receipt is documented")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["received_at"].help_text = f"In {settings.CONTROLLER_TIME_ZONE}."


class ExtendForm(VersionedForm):
    ground = forms.ChoiceField(
        choices=ExtensionReason.choices,
        widget=forms.RadioSelect,
        help_text="There is no other ground; a backlog is none (GDPR Art. 12(3)).",
    )
    explanation = RequiredWordsField("explanation")


# --- The outcome --------------------------------------------------------------------------------

_CHOICES = {
    Outcome.UPHELD: "Uphold: out for good",
    Outcome.REFUSED: "Refuse: in again once the letter is sent",
    Outcome.DUPLICATE: "Close as a duplicate: another ticket keeps them out",
}


class LinkedField(forms.MultipleChoiceField):
    """Linked tickets, each with the version its reader saw ("OBJ-2026-000431:3"); the value is a version by reference.

    One that changed since is let through: the service refuses it by its name.
    """

    def valid_value(self, value: Any) -> bool:
        return re.fullmatch(r"OBJ-\d{4}-\d{1,12}:\d{1,9}", str(value)) is not None

    def clean(self, value: Any) -> Any:
        pairs = (one.rpartition(":") for one in super().clean(value))
        return {reference: int(version) for reference, _, version in pairs}


class DecideForm(VersionedForm):
    """One choice a purpose; words only where the law asks for them, which is where something is refused."""

    ground = RequiredWordsField("ground", required=False)
    balancing = RequiredWordsField("balancing", required=False)
    reasons = RequiredWordsField("reasons", required=False)
    also = LinkedField(
        required=False,
        label="Decide together with it",
        widget=forms.CheckboxSelectMultiple,
        help_text="Open tickets that may be of the same person, with the same outcomes. One letter goes to each"
        " address: press “Preview the letter” to see them all.",
    )

    def __init__(
        self, *args: Any, objections: Collection[Objection], linked: Sequence[Ticket], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        own = {f"outcome_{one.purpose}": _outcome_field(one) for one in objections}
        self.fields = {**own, **self.fields}
        self.purposes = sorted(one.purpose for one in objections)
        # Chosen when a linked ticket had another version, it is still chosen: its reader sees it as it is now.
        chosen = {one.partition(":")[0] for one in self.initial.get("also", [])}
        self.initial["also"] = [
            f"{one.reference}:{one.version}" for one in linked if one.reference in chosen
        ]
        if linked:
            self.fields["also"].choices = [  # type: ignore[attr-defined]  # a ChoiceField
                (f"{one.reference}:{one.version}", _linked_in_words(one)) for one in linked
            ]
        else:
            del self.fields["also"]
        if all(deciding.why_not_refused(one.ticket, one.purpose) for one in objections):
            for name in ("ground", "balancing", "reasons"):
                del self.fields[name]

    @property
    def outcomes(self) -> dict[str, str]:
        """What was chosen so far."""
        chosen = self.cleaned_data if self.is_bound else self.initial
        found = {purpose: chosen.get(f"outcome_{purpose}", "") for purpose in self.purposes}
        return {purpose: outcome for purpose, outcome in found.items() if outcome}

    def said(self) -> dict[str, Any]:
        """The arguments of the decision."""
        rest = {name: v for name, v in self.cleaned_data.items() if not name.startswith("outcome_")}
        return {**rest, "outcomes": self.outcomes}


def _linked_in_words(ticket: Ticket) -> str:
    known = "identity known" if ticket.is_verified else "identity not known"
    return f"{ticket}, {ticket.get_state_display()}, {known}"


def _outcome_field(objection: Objection) -> forms.ChoiceField:
    allowed = [Outcome.UPHELD]
    why = []
    if sentence := deciding.why_not_refused(objection.ticket, objection.purpose):
        why.append(sentence)
    else:
        allowed.append(Outcome.REFUSED)
    if composing.others_standing(objection):
        allowed.append(Outcome.DUPLICATE)
    else:
        why.append("It is no duplicate: no other ticket of the same verified person stands.")
    return forms.ChoiceField(
        label=Purpose(objection.purpose).label,
        choices=[(outcome.value, _CHOICES[outcome]) for outcome in allowed],
        widget=forms.RadioSelect,
        help_text=" ".join(why),
        error_messages={"required": "Choose an outcome.", "invalid_choice": " ".join(why)},
    )


class WithdrawForm(VersionedForm):
    evidence = RequiredWordsField("withdrawal")


class CloseAbuseForm(VersionedForm):
    evidence = RequiredWordsField("abuse")


class CloseUnidentifiedForm(VersionedForm):
    evidence = RequiredWordsField("unidentified")
    is_answered = forms.BooleanField(
        required=False,
        label="The person answered, and the answer does not tell us who they are",
        help_text="Then nobody has to wait for the rest of the time.",
    )


class ReviewForm(VersionedForm):
    verdict = forms.ChoiceField(
        choices=[(Verdict.APPROVED, "Approve it"), (Verdict.RETURNED, "Send it back")],
        widget=forms.RadioSelect,
        label="Your word",
    )
    reason = ReasonField(help_text="What you checked.")

    def __init__(self, *args: Any, is_own: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if is_own:
            # The service refuses the other choice.
            self.fields["verdict"].choices = [(Verdict.RETURNED, "Take it back")]  # type: ignore[attr-defined]  # a ChoiceField
            self.fields["verdict"].initial = Verdict.RETURNED
            self.fields["verdict"].error_messages["invalid_choice"] = (
                "Whoever proposed it may not approve it: ask a colleague."
            )

    def clean_verdict(self) -> Verdict:
        return Verdict(self.cleaned_data["verdict"])


# --- Words, files, letters ----------------------------------------------------------------------


class NoteForm(forms.Form):
    text = WordsField(
        rows=6,
        label="Note",
        help_text="For the team only; erased with the person's data. Nobody outside ever reads it.",
    )


class AttachForm(forms.Form):
    attachments = FilesField(label="Files")


class PostedForm(forms.Form):
    posted_on = forms.DateField(
        widget=DateInput(), initial=days.today, label="Put into the post on"
    )


class ReturnedForm(forms.Form):
    reason = ReasonField(
        label="How it came back",
        help_text="A report of the mail server, say, or the envelope itself.",
    )


class EraseForm(forms.Form):
    NOT_KEPT = ("typed",)
    """What confirms an act is typed anew."""

    typed = forms.CharField(
        max_length=20,
        label="The ticket's reference",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    reason = ReasonField()

    def __init__(self, *args: Any, reference: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.reference = reference
        self.fields["typed"].help_text = f"Type {reference} to confirm: it cannot be undone."

    def clean_typed(self) -> str:
        if self.cleaned_data["typed"].strip() != self.reference:
            raise forms.ValidationError(f"Type {self.reference}. Nothing was erased.")
        return self.reference


# --- Keying one in ------------------------------------------------------------------------------


def _fresh_id() -> str:
    return secrets.token_hex(12)


OLD_DAYS = 31
"""A receipt so long ago is more often a typing mistake than a letter that lay around; the clock has run by then."""


class KeyInForm(CountryForm):
    """An objection from an e-mail or a paper, as it stands there."""

    field_order = (
        "source_id", "channel", "received_at", "is_that_old", "kind", "purposes", "name", "email",
        "postal_address", "account_ref", "country", "is_californian", "statement", "attachments",
    )  # fmt: skip

    # A form sent twice, by a double click or a reload, is one ticket.
    source_id = forms.CharField(widget=forms.HiddenInput, max_length=64, initial=_fresh_id)
    channel = forms.ChoiceField(
        choices=[(Channel.EMAIL, "e-mail"), (Channel.PAPER, "paper")],
        widget=forms.RadioSelect,
        label="It came by",
    )
    received_at = ControllerTimeField(
        label="It reached us at",
        required=False,
        help_text="Empty: now.",
    )
    is_that_old = forms.BooleanField(
        required=False,
        label="It is that old",
        help_text=f"Needed where it reached us more than {OLD_DAYS} days ago.",
    )
    kind = forms.ChoiceField(choices=Kind.choices, widget=forms.RadioSelect, initial=Kind.OBJECTION)
    purposes = forms.MultipleChoiceField(
        choices=Purpose.choices,
        widget=forms.CheckboxSelectMultiple,
        help_text="In doubt all of them: the restriction starts with what is ticked here.",
    )
    name = forms.CharField(max_length=200, required=False, strip=True)
    email = forms.CharField(
        max_length=254,
        required=False,
        label="E-mail",
        widget=forms.TextInput(attrs={"autocomplete": "off", "inputmode": "email"}),
        help_text="Where the answer goes; without it, by post.",
    )
    postal_address = WordsField(max_characters=500, rows=3, required=False)
    account_ref = forms.CharField(
        max_length=100,
        required=False,
        label="Account reference",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="If the person names an account: it is out from now on, whether it is theirs or not.",
    )
    statement = WordsField(
        max_characters=20_000, rows=8, required=False, help_text="The person's own words."
    )
    attachments = FilesField(required=False, label="Files")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["received_at"].help_text = (
            f"In {settings.CONTROLLER_TIME_ZONE}; empty: now. Runs frozen since then with the person's data "
            "are recorded as incidents."
        )

    def clean(self) -> None:
        received_at = self.cleaned_data.get("received_at")
        if not received_at or self.cleaned_data["is_that_old"]:
            return
        day = days.day_of(received_at)
        if (days.today() - day).days > OLD_DAYS:
            self.add_error(
                "received_at",
                f"{deadlines.in_words(day)} is more than {OLD_DAYS} days ago: look at the date again, and if"
                " it is right, tick “It is that old”.",
            )

    def filing(self) -> receiving.Filing:
        """Raises InvalidInput."""
        said = dict(self.cleaned_data)
        rest = {name: v for name, v in said.items() if name not in _NOT_OF_A_FILING}
        return receiving.Filing(**{**rest, **place(said), "files": said["attachments"]})


_NOT_OF_A_FILING = frozenset({"attachments", "is_californian", "is_that_old"})
