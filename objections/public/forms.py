"""The objection form: what it asks, in plain words, and the stamp that says from which page it was sent."""

import datetime as dt
import unicodedata
import uuid
from dataclasses import dataclass
from typing import Any

from django import forms
from django.conf import settings
from django.core import signing
from django.forms.utils import flatatt
from django.template.defaultfilters import filesizeformat
from django.utils.functional import Promise, lazy
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext, gettext_lazy

from common.mail import addresses
from common.text import words
from consent import countries
from consent.choices import PURPOSES, ObjectionMode, Purpose
from consent.models import Member
from ledger.errors import InvalidInput
from objections.choices import Channel, Kind
from objections.intake.receiving import MAX_STATEMENT_LENGTH, Filing
from objections.letters.texts import closest
from objections.ticket import uploads

FASTEST = dt.timedelta(seconds=3)
"""The shortest time in which a person reads the page, types an address and sends the form."""
CALIFORNIA = "US-CA"
"""The one choice of the country list that is a part of a country: it has a clock of its own."""
_FILLED_IN = "filled-in"
_STAMPS = signing.TimestampSigner(salt="objections.public.forms.stamp")


# --- The stamp ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stamp:
    """The hidden value that a page writes into its form: the form's id, and the member it was shown for, if any."""

    form_id: str
    member: int | None
    is_fresh: bool
    """Whether it is too young for a person to have filled the form in."""


def new_stamp(member: Member | None, *, is_filled_in: bool = False) -> str:
    """A stamp for a page that is sent once. One that comes filled in may be sent at once."""
    return _STAMPS.sign(
        f"{uuid.uuid4().hex}.{member.pk if member else ''}.{_FILLED_IN if is_filled_in else ''}"
    )


def read_stamp(text: str) -> Stamp | None:
    """The stamp, however old: a page may stay open for days. None for one that we did not write."""
    try:
        value = _STAMPS.unsign(text)
    except signing.BadSignature:
        return None
    try:
        _STAMPS.unsign(text, max_age=FASTEST)
    except signing.SignatureExpired:
        is_fresh = False
    else:
        is_fresh = True
    form_id, member, filled_in = value.split(".")
    return Stamp(form_id, int(member) if member else None, is_fresh and filled_in != _FILLED_IN)


# --- The words ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Option:
    """A choice with what it means."""

    name: str | Promise
    meaning: str | Promise
    note: str | Promise = ""


KIND_OPTIONS = {
    Kind.OBJECTION: Option(
        gettext_lazy("Stop using my data"),
        gettext_lazy(
            "An objection (GDPR, Article 21; elsewhere the same right under your law). "
            "You may object at any time."
        ),
    ),
    Kind.RESTRICTION: Option(
        gettext_lazy("Keep my data, but do not use it for now"),
        gettext_lazy(
            "A restriction (GDPR, Article 18; we take it from everybody). For example while it is being "
            "cleared up whether your data is right, or because you need it for a claim."
        ),
    ),
}
PURPOSE_OPTIONS = {
    Purpose.GENERATIVE_AI: Option(
        gettext_lazy("Generative AI"),
        gettext_lazy("Training models that write and change text and other content."),
    ),
    Purpose.PERSONALISATION: Option(
        gettext_lazy("Personalisation"),
        gettext_lazy("Training models that choose what is shown and suggested to people."),
    ),
    Purpose.SAFETY: Option(
        gettext_lazy("Moderation and safety"),
        gettext_lazy("Training models that find abuse, fraud and harmful content."),
    ),
}
MODE_NOTES = {
    ObjectionMode.UNCONDITIONAL: gettext_lazy(
        "We stop, without weighing reasons. We only check whose data it is."
    ),
    ObjectionMode.BALANCING: gettext_lazy(
        "We stop while we examine it. We may go on only for compelling reasons, and must tell you which."
    ),
}


def kind_choices() -> list[tuple[str, Option]]:
    return [(kind.value, option) for kind, option in KIND_OPTIONS.items()]


def purpose_choices() -> list[tuple[str, Option]]:
    return [
        (
            purpose.value,
            Option(option.name, option.meaning, MODE_NOTES[PURPOSES[purpose].objection_mode]),
        )
        for purpose, option in PURPOSE_OPTIONS.items()
    ]


def country_choices() -> list[tuple[str, str]]:
    """Every country by its name, California beside the United States, and a way out for who does not find theirs."""
    named = list(countries.NAMES.items())
    california = gettext("%(country)s – California") % {"country": countries.name("US")}
    listed = sorted([*named, (CALIFORNIA, california)], key=lambda choice: _plain(choice[1]))
    return [("", gettext("I do not know, or it is not listed")), *listed]


def _plain(name: str) -> str:
    """The name for sorting: Åland stands under A."""
    return unicodedata.normalize("NFKD", name)


def max_total_bytes() -> int:
    """How many bytes the files may have together, with room for everything else in a request."""
    return min(uploads.MAX_BYTES, settings.MAX_BODY_BYTES * 4 // 5)


def _files_help() -> str:
    return gettext(
        "Up to %(count)s files, together at most %(size)s: PDF, pictures as PNG or JPEG, e-mails"
        " saved as .eml, plain text. "
        "Please do not send identity documents: if we need anything, we ask."
    ) % {"count": uploads.MAX_FILES, "size": filesizeformat(max_total_bytes())}


# --- The fields ---------------------------------------------------------------------------------


def is_address(text: str) -> None:
    """Raises ValidationError for what no letter could be sent to."""
    try:
        addresses.normal(text)
    except addresses.NoAddress as error:
        raise forms.ValidationError(
            gettext("Enter an e-mail address, like name@example.org.")
        ) from error


class TypedField(forms.CharField):
    """Typed text, cleaned before it is validated: a NUL or an invisible mark is not the person's mistake.

    It has no `maxlength`: browsers cut off what is pasted without a word.
    """

    def __init__(self, *, max_characters: int, lines: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.max_characters = max_characters
        self.lines = lines

    def to_python(self, value: Any) -> str:
        try:
            return words.clean(
                str(value or ""), max_length=self.max_characters, field="", lines=self.lines
            )
        except InvalidInput as error:
            sentence = gettext("%(question)s: at most %(max_characters)s characters.")
            facts = {"question": self.label, "max_characters": f"{self.max_characters:,}"}
            raise forms.ValidationError(sentence % facts) from error


class Explained(forms.widgets.ChoiceWidget):
    """Ties each choice to the text that says what it means."""

    def create_option(self, *given: Any, **more: Any) -> dict[str, Any]:
        option = super().create_option(*given, **more)
        option["attrs"]["aria-describedby"] = f"{option['attrs']['id']}_meaning"
        return option


class ExplainedRadios(Explained, forms.RadioSelect):
    pass


class ExplainedCheckboxes(Explained, forms.CheckboxSelectMultiple):
    pass


class LongSelect(forms.Select):
    """Django renders a template for each option: for every country that takes nine tenths of the page's time."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        rows = (
            (code, flatatt({"selected": code == (value or "")}), name)
            for code, name in self.choices
        )
        options = format_html_join("\n", '<option value="{}"{}>{}</option>', rows)
        marks = flatatt({"name": name, **self.build_attrs(self.attrs, attrs)})
        return format_html("<select{}>\n{}\n</select>", marks, options)


class FilesInput(forms.FileInput):
    allow_multiple_selected = True


class FilesField(forms.FileField):
    """Any number of files, checked by what is in them."""

    widget = FilesInput

    def clean(self, data: Any, initial: Any = None) -> list[uploads.Upload]:
        try:
            return uploads.check_all([(file.name or "", file.read()) for file in data or []])
        except InvalidInput as error:
            raise forms.ValidationError(str(error), code=error.code) from error


class ObjectionForm(forms.Form):
    """An objection as a person files it, for themselves, with an account or without.

    For a `member`, who came from the product, it does not ask for an account.
    """

    # Browsers name one mistake at a time, and not what would be right.
    use_required_attribute = False

    kind = forms.ChoiceField(
        label=gettext_lazy("What do you want us to do?"),
        choices=kind_choices,
        initial=Kind.OBJECTION,
        widget=ExplainedRadios,
        error_messages={
            "required": gettext_lazy("Choose one of the two."),
            "invalid_choice": gettext_lazy("Choose one of the two."),
        },
    )
    purposes = forms.MultipleChoiceField(
        label=gettext_lazy("What shall your data not be used for?"),
        help_text=gettext_lazy("Choose all that apply."),
        choices=purpose_choices,
        widget=ExplainedCheckboxes,
        error_messages={
            "required": gettext_lazy("Choose at least one use of your data."),
            "invalid_choice": gettext_lazy("Choose from the uses that are listed."),
            "invalid_list": gettext_lazy("Choose from the uses that are listed."),
        },
    )
    account_ref = TypedField(
        label=gettext_lazy("Your account"),
        help_text=gettext_lazy(
            "Your account’s reference, exactly as your account settings show it: with it we find your data. "
            "Leave it empty if you have no account. If others posted about you, say below where."
        ),
        max_characters=100,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    name = TypedField(
        label=gettext_lazy("Your name"),
        max_characters=200,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    email = TypedField(
        label=gettext_lazy("Your e-mail address"),
        help_text=gettext_lazy("We answer to this address."),
        max_characters=254,
        validators=[is_address],
        # Browsers refuse letters outside of ASCII before the @ in a field of type "email".
        widget=forms.TextInput(
            attrs={
                "autocomplete": "email",
                "inputmode": "email",
                "spellcheck": "false",
                "autocapitalize": "off",
            }
        ),
        error_messages={
            "required": gettext_lazy("Enter your e-mail address: without it we cannot answer.")
        },
    )
    country = forms.ChoiceField(
        label=gettext_lazy("Where you live"),
        help_text=gettext_lazy("It decides by when we must answer."),
        choices=country_choices,
        required=False,
        widget=LongSelect(attrs={"autocomplete": "country"}),
        error_messages={
            "invalid_choice": gettext_lazy("Choose a country from the list, or the first line.")
        },
    )
    statement = TypedField(
        label=gettext_lazy("Why, in your words"),
        help_text=gettext_lazy(
            "What is particular about your situation? You need not say, but for personalisation, moderation and "
            "safety it helps us to see that your interests weigh more. Where others posted about you, the pages’ "
            "addresses let us find it. Up to 20,000 characters."
        ),
        max_characters=MAX_STATEMENT_LENGTH,
        lines=True,
        required=False,
        widget=forms.Textarea(attrs={"rows": 7}),
    )
    attachments = FilesField(
        label=gettext_lazy("Files"),
        help_text=lazy(_files_help, str)(),
        required=False,
        widget=FilesInput(attrs={"accept": ".pdf,.png,.jpg,.jpeg,.txt"}),
    )

    def __init__(self, *given: Any, member: Member | None = None, **more: Any) -> None:
        super().__init__(*given, **more)
        self.member = member
        if member is not None:
            del self.fields["account_ref"]

    def filing(self, *, form_id: str, sender: str, looks_automatic: bool) -> Filing:
        """The filing from the valid form, under the id of the page it was sent from, which is used once."""
        said = self.cleaned_data
        country, _, region = said["country"].partition("-")
        return Filing(
            channel=Channel.FORM,
            member=self.member,
            kind=said["kind"],
            purposes=said["purposes"],
            account_ref=said.get("account_ref", ""),
            name=said["name"],
            email=said["email"],
            country=country,
            region=region,
            language=closest(get_language()),
            statement=said["statement"],
            files=said["attachments"],
            sender=sender,
            looks_automatic=looks_automatic,
            source_id=form_id,
        )
