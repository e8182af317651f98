"""The setting "Data for Generative AI improvement": what it says to a member, and how a member switches it."""

import datetime as dt
import uuid
from dataclasses import dataclass, replace

from django.core import signing
from django.utils.translation import gettext_lazy as _

from consent import decisions, members
from consent.choices import Channel, Choice, DataCategory, Purpose, RuleKind
from consent.errors import AccountErased, ChoiceChanged, SourceIdReused, WrittenForAnother
from consent.models import Consent, Decision, Member, Notice
from consent.rulebook import days, rules
from ledger import clock
from ledger.errors import InvalidInput

ACTOR = "system:setting-page"
PURPOSE = Purpose.GENERATIVE_AI
"""The purpose that the setting rules."""

CATEGORY_WORDS = {
    DataCategory.PROFILE: _("your profile"),
    DataCategory.POSTS: _("your posts and articles"),
    DataCategory.FEEDBACK: _("feedback you give us"),
    DataCategory.LANGUAGE: _("the language you prefer"),
    DataCategory.USAGE: _("how often you use the product"),
    DataCategory.GENERATIVE_INPUTS: _("what you type into generative AI features"),
    DataCategory.JOBS: _("job-related data"),
    DataCategory.GROUPS: _("what you do in groups"),
}


@dataclass(frozen=True)
class Setting:
    """A member's setting today."""

    decision: Decision | None
    """The choice that counts; None when the member never chose."""
    rule: str | None
    """The rule in the member's country; None where there is none, which excludes."""
    asked_since: dt.datetime | None
    """The moment since which consent is asked for, if it is. An earlier yes was a setting left on."""
    consents: tuple[rules.Window, ...]
    """The windows in which a yes is consent, where it is asked for."""
    notices: list[Notice]
    """Those in force for the member's country, the one in force last first."""

    @property
    def asks_consent(self) -> bool:
        return self.asked_since is not None

    @property
    def is_on(self) -> bool:
        """The position of the switch; the runs say whether it has an effect."""
        if self.decision is None:
            return not self.asks_consent
        if self.decision.choice == Choice.DENY:
            return False
        # As `ConsentQuerySet.allowed` asks.
        return not self.asks_consent or any(
            window.takes(self.decision.notice_version, self.decision.counts_at)
            for window in self.consents
        )

    @property
    def other_choice(self) -> str:
        """The choice that pressing the button makes."""
        return Choice.DENY if self.is_on else Choice.ALLOW

    @property
    def notice(self) -> Notice | None:
        return self.notices[0] if self.notices else None

    @property
    def categories(self) -> list[str]:
        """The data that the notices in force name, in words."""
        named = {category for notice in self.notices for category in notice.data_categories}
        return [str(words) for category, words in CATEGORY_WORDS.items() if category in named]


def setting_of(member: Member) -> Setting:
    """The member's setting, with the rule and the notices of the member's country."""
    when = days.at(clock.now())
    ruling = rules.ruling(PURPOSE, when, [])
    notices = [
        row
        for row in rules.notices_in_force(when.of(member.country).last)
        if PURPOSE in row.purposes and member.country in row.countries
    ]
    rule = ruling.rule_of.get(member.country)
    return Setting(
        decision=_counting(member),
        rule=rule,
        asked_since=rules.asked_since(PURPOSE, member.country, when)
        if rule == RuleKind.OPT_IN
        else None,
        consents=ruling.consents.get(member.country, ()),
        notices=sorted(notices, key=lambda row: (row.in_force_from, row.pk), reverse=True),
    )


# --- The form ---------------------------------------------------------------------------------------

_FORMS = signing.Signer(salt="consent.public.setting.form")


@dataclass(frozen=True)
class ShownForm:
    """The member and choice a form was written for; they travel signed with the form."""

    member: int
    """The member's number."""
    decision: int
    """The key of the decision that the page showed; 0 where the member had never chosen."""
    id: str
    """Different for each form."""

    @classmethod
    def of(cls, member: Member, found: Setting) -> "ShownForm":
        return cls(member.pk, found.decision.pk if found.decision else 0, uuid.uuid4().hex)

    @classmethod
    def read(cls, text: str) -> "ShownForm":
        """Raises InvalidInput for a text that no page has written."""
        try:
            member, decision, form_id = _FORMS.unsign(text).split(".")
        except signing.BadSignature:
            raise InvalidInput("It is not from the page.", field="form_id") from None
        return cls(int(member), int(decision), form_id)

    def __str__(self) -> str:
        return _FORMS.sign(f"{self.member}.{self.decision}.{self.id}")


def switch(
    *, member: Member, choice: str, form: ShownForm, privacy_signal: bool | None
) -> decisions.Recorded:
    """Record what the member chose on the page. The same form sent again gets the first answer.

    A *deny* by the form's member counts however old the form is. Raises AccountErased; InvalidInput for a choice that
    is not from the page; WrittenForAnother for another member's form; ChoiceChanged for an *allow* from a form that
    shows another decision than the one in force.
    """
    if form.member != member.pk:
        raise WrittenForAnother("The page was shown to another member.")
    reference = members.reference_of(member)
    if reference is None:
        raise AccountErased("The account was erased; it is out for good already.")
    notice = setting_of(member).notice
    sent = decisions.DecisionInput(
        account_ref=reference.account_key,
        purpose=PURPOSE,
        choice=choice,
        channel=Channel.SETTING_PAGE,
        source_id=f"{member.pk}-{form.id}",
        decided_at=None,
        notice_version=notice.version if notice else "",
        header_signal=privacy_signal,
    )

    def check() -> None:
        counting = _counting(member)
        if choice != Choice.DENY and (counting.pk if counting else 0) != form.decision:
            raise ChoiceChanged("The member chose again since the page was shown.")

    try:
        recorded = decisions.record_decision(sent, actor=ACTOR, check=check)
    except SourceIdReused:
        # The form was used for the other choice, or under another notice.
        recorded = None
    if recorded is not None and (recorded.in_force or not recorded.is_replay):
        return recorded
    if choice != Choice.DENY:
        raise ChoiceChanged("The member chose again since this form was used.")
    again = replace(sent, source_id=f"{sent.source_id}-{uuid.uuid4().hex}")
    return decisions.record_decision(again, actor=ACTOR)


def receipt(member: Member, entry: str) -> Decision | None:
    """The decision of this member on the page in that ledger entry, if there is one: the query is not trusted."""
    if not (entry.isdecimal() and len(entry) < 19):
        return None
    return (
        Decision.objects.filter(
            member=member, purpose=PURPOSE, channel=Channel.SETTING_PAGE, entry_id=int(entry)
        )
        .select_related("entry")
        .first()
    )


def _counting(member: Member) -> Decision | None:
    """The decision that the current choice stems from."""
    chosen = Consent.objects.filter(member=member, purpose=PURPOSE).first()
    if chosen is None:
        return None
    return (
        Decision.objects.filter(
            member=member,
            purpose=PURPOSE,
            choice=chosen.choice,
            counts_at=chosen.decided_at,
            evidence_only=False,
        )
        .order_by("entry_id", "id")
        .first()
    )
