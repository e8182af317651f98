"""The setting "Data for Generative AI improvement": what it says to a member, and how a member switches it."""

import datetime as dt
from dataclasses import dataclass, replace

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from consent import rules, services
from consent.choices import Channel, Choice, DataCategory, Purpose, Rule
from consent.errors import AccountErased, SourceIdReused
from consent.models import AccountReference, Consent, Decision, Member, Notice

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
    asked_since: dt.date | None
    """Where consent is asked for: since when. An earlier yes was a setting left on."""
    notices: list[Notice]
    """Those in force for the member's country, the one in force last first."""

    @property
    def asks_consent(self) -> bool:
        return self.asked_since is not None

    @property
    def is_on(self) -> bool:
        """What the switch shows; whether it has an effect is for the runs to say."""
        if self.decision is None:
            return not self.asks_consent
        if self.decision.choice == Choice.DENY:
            return False
        # The same day that `ConsentQuerySet.allowed` asks for.
        return self.asked_since is None or (
            self.decision.decided_at.astimezone(dt.UTC).date() >= self.asked_since
        )

    @property
    def other_choice(self) -> str:
        """What pressing the button means."""
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
    today = timezone.now().date()
    rule = rules.rules_in_force(PURPOSE, today).get(member.country)
    notices = [
        row
        for row in rules.notices_in_force(today)
        if PURPOSE in row.purposes and member.country in row.countries
    ]
    return Setting(
        decision=_counting(member),
        rule=rule.rule if rule else None,
        asked_since=rule.effective_from if rule and rule.rule == Rule.OPT_IN else None,
        notices=sorted(notices, key=lambda row: (row.in_force_from, row.pk), reverse=True),
    )


def switch(
    *, member: Member, choice: str, form_id: str, privacy_signal: bool | None
) -> services.Recorded:
    """Record what the member chose on the page. The same form sent again gets the first answer.

    Raises AccountErased; InvalidInput for a choice or form that is not from the page; SourceIdReused for
    a form sent again with another choice.
    """
    reference = AccountReference.objects.filter(member=member).first()
    if reference is None:
        raise AccountErased("The account was erased; it is out for good already.")
    found = setting_of(member)
    now = timezone.now()
    if found.decision is not None:
        # A product's clock may run ahead of ours; what is chosen here was chosen after what the page showed.
        now = max(now, found.decision.decided_at + dt.timedelta(microseconds=1))
    sent = services.DecisionInput(
        account_ref=reference.account_ref,
        purpose=PURPOSE,
        choice=choice,
        channel=Channel.SETTING_PAGE,
        # With the number before it, nobody's form can be taken for another's.
        source_id=f"{member.pk}-{form_id}",
        decided_at=now,
        notice_version=found.notice.version if found.notice else "",
        privacy_signal=privacy_signal,
    )
    try:
        return services.record_decision(sent, actor=ACTOR)
    except SourceIdReused:
        # Each press has a moment of its own, so the second of a double click looks like another decision.
        first = Decision.objects.select_related("entry").get(
            channel=sent.channel, source_id=sent.source_id
        )
        if first.choice != choice:
            raise
        if found.decision is not None and found.decision.pk != first.pk:
            # Switched elsewhere since: pressing the old page again is a decision of its own.
            again = replace(sent, source_id=f"{sent.source_id}-{now:%Y%m%dT%H%M%S%f}")
            return services.record_decision(again, actor=ACTOR)
        return services.Recorded(
            first.source_id, first.entry_id, first.entry.recorded_at, is_replay=True
        )


def receipt(member: Member, entry: str) -> Decision | None:
    """What this member decided on the page in that ledger entry, if anything: the query may say what it likes."""
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
            decided_at=chosen.decided_at,
            evidence_only=False,
        )
        .order_by("entry_id", "id")
        .first()
    )
