"""Which rule holds where: dates, superseding, and that lifting needs a person who knew what was lifted."""

import datetime as dt

import pytest

from consent.choices import DataCategory, Purpose, ReviewVerdict, RuleKind
from consent.countries import EU, FOLLOWING_THE_EU
from consent.models import Notice
from consent.rulebook import days, proposing, rules
from tools import factories
from tools.factories import publish

pytestmark = pytest.mark.django_db

AI = Purpose.GENERATIVE_AI
MAY, JUNE, JULY, AUGUST = (dt.date(2025, month, 1) for month in (5, 6, 7, 8))
DAY = dt.timedelta(days=1)


@pytest.fixture
def propose(officer):
    def propose(rule, effective_from, *codes, purpose=AI):
        return proposing.propose_rule(
            purpose=purpose,
            countries=codes or ["US"],
            rule=rule,
            effective_from=effective_from,
            source="test",
            actor=officer,
        )

    return propose


@pytest.fixture
def approve(second_officer):
    def approve(proposal, verdict=ReviewVerdict.APPROVED):
        return proposing.review(
            proposal=proposal, verdict=verdict, actor=second_officer, reason="test"
        )

    return approve


@pytest.fixture
def agree(propose, approve):
    """A rule in force: proposed, and approved where it must be."""

    def agree(*facts, **more):
        row = propose(*facts, **more)
        if row.needs_approval:
            approve(row)
        return row

    return agree


def holding(on, purpose=AI):
    return {code: row.rule for code, row in rules.rules_in_force(purpose, on).items()}


def test_without_a_rule_no_member_may_be_used():
    assert holding(JUNE) == {}


def test_a_rule_holds_from_its_day_until_further_notice(agree):
    agree(RuleKind.DEFAULT_ON, JUNE)

    assert holding(JUNE - DAY) == {}
    assert holding(JUNE) == {"US": RuleKind.DEFAULT_ON}
    assert holding(dt.date(2999, 1, 1)) == {"US": RuleKind.DEFAULT_ON}


def test_a_rule_holds_for_its_purpose_and_countries_only(agree):
    agree(RuleKind.DEFAULT_ON, JUNE, "US", "CA")

    assert holding(JUNE, Purpose.SAFETY) == {}
    assert holding(JUNE).keys() == {"US", "CA"}


def test_a_later_rule_supersedes_country_by_country(agree):
    agree(RuleKind.DEFAULT_ON, MAY, "US", "CA")
    agree(RuleKind.OPT_IN, JUNE, "CA")

    assert holding(MAY) == {"US": RuleKind.DEFAULT_ON, "CA": RuleKind.DEFAULT_ON}
    assert holding(JUNE) == {"US": RuleKind.DEFAULT_ON, "CA": RuleKind.OPT_IN}


def test_of_two_rules_of_one_day_the_one_recorded_last_holds(agree):
    agree(RuleKind.DEFAULT_ON, JUNE)
    agree(RuleKind.EXCLUDED, JUNE)
    assert holding(JUNE) == {"US": RuleKind.EXCLUDED}

    agree(RuleKind.DEFAULT_ON, JUNE)
    assert holding(JUNE) == {"US": RuleKind.DEFAULT_ON}


def test_an_older_rule_recorded_late_does_not_supersede_a_later_one(agree):
    agree(RuleKind.EXCLUDED, JULY)
    agree(RuleKind.DEFAULT_ON, JUNE)

    assert holding(JULY - DAY) == {"US": RuleKind.DEFAULT_ON}
    assert holding(JULY) == {"US": RuleKind.EXCLUDED}


@pytest.mark.parametrize(
    ("before", "rule", "needs"),
    [
        (None, RuleKind.DEFAULT_ON, True),
        (None, RuleKind.OPT_IN, True),
        (None, RuleKind.EXCLUDED, False),
        (RuleKind.EXCLUDED, RuleKind.DEFAULT_ON, True),
        (RuleKind.EXCLUDED, RuleKind.OPT_IN, True),
        (RuleKind.OPT_IN, RuleKind.DEFAULT_ON, True),
        (RuleKind.OPT_IN, RuleKind.OPT_IN, False),
        (RuleKind.OPT_IN, RuleKind.EXCLUDED, False),
        (RuleKind.DEFAULT_ON, RuleKind.EXCLUDED, False),
        (RuleKind.DEFAULT_ON, RuleKind.OPT_IN, False),
    ],
)
def test_only_a_rule_that_admits_members_needs_a_second_person(agree, propose, before, rule, needs):
    if before:
        agree(before, JUNE)

    assert propose(rule, JULY).needs_approval is needs


def test_one_country_that_is_let_in_is_enough_to_need_approval(agree, propose):
    agree(RuleKind.DEFAULT_ON, JUNE, "US")

    assert propose(RuleKind.DEFAULT_ON, JULY, "US").needs_approval is False
    assert propose(RuleKind.DEFAULT_ON, JULY, "US", "DE").needs_approval is True


def test_a_lifting_counts_only_once_approved(agree, propose, approve):
    agree(RuleKind.EXCLUDED, MAY)
    lifting = propose(RuleKind.DEFAULT_ON, JUNE)
    assert holding(JULY) == {"US": RuleKind.EXCLUDED}

    approve(lifting)

    assert holding(JULY) == {"US": RuleKind.DEFAULT_ON}


def test_a_rejected_lifting_never_counts(agree, propose, approve):
    agree(RuleKind.EXCLUDED, MAY)

    approve(propose(RuleKind.DEFAULT_ON, JUNE), ReviewVerdict.REJECTED)

    assert holding(JULY) == {"US": RuleKind.EXCLUDED}


def test_an_exclusion_recorded_after_the_approval_stands_though_its_day_is_earlier(agree):
    agree(RuleKind.DEFAULT_ON, AUGUST)
    agree(RuleKind.EXCLUDED, JULY)

    assert holding(AUGUST) == {"US": RuleKind.EXCLUDED}


def test_a_lifting_approved_knowing_the_exclusion_counts(propose, approve):
    lifting = propose(RuleKind.DEFAULT_ON, AUGUST)
    propose(RuleKind.EXCLUDED, JULY)
    approve(lifting)

    assert holding(AUGUST) == {"US": RuleKind.DEFAULT_ON}


def test_a_rule_that_needed_no_approval_does_not_lift_an_exclusion_recorded_in_between(agree):
    agree(RuleKind.DEFAULT_ON, MAY)
    repeated = agree(RuleKind.DEFAULT_ON, AUGUST)
    assert repeated.needs_approval is False

    agree(RuleKind.EXCLUDED, JULY)

    assert holding(AUGUST) == {"US": RuleKind.EXCLUDED}


# --- Notices and gaps ---------------------------------------------------------------------------


def notice(officer, second_officer, *codes, categories=("posts",), since=JUNE):
    return publish(officer, second_officer, codes=codes, categories=categories, in_force_from=since)


def test_a_notice_counts_from_the_end_of_its_period(officer, second_officer):
    row = notice(officer, second_officer, "US")

    assert rules.notices_in_force(JUNE - DAY) == []
    assert rules.notices_in_force(JUNE) == [row]


def test_a_notice_that_is_not_approved_covers_no_member(officer):
    proposing.propose_notice(
        version="1", purposes=[AI], data_categories=["posts"], countries=["US"], texts=factories.TEXTS,
        published_on=MAY, in_force_from=JUNE, source="test", actor=officer,
    )  # fmt: skip

    assert rules.notices_in_force(JULY) == []


def test_a_superseding_notice_replaces_the_one_before_from_its_own_day(officer, second_officer):
    first = notice(officer, second_officer, "US", since=JUNE)
    second = proposing.propose_notice(
        version="2", purposes=[AI], data_categories=["posts"], countries=["CA"], supersedes=first,
        texts=factories.TEXTS, published_on=JUNE, in_force_from=JULY, source="test", actor=officer,
    )  # fmt: skip
    assert rules.notices_in_force(JULY) == [first]

    proposing.review(
        proposal=second, verdict=ReviewVerdict.APPROVED, actor=second_officer, reason="x"
    )

    assert rules.notices_in_force(JUNE) == [first]
    assert rules.notices_in_force(JULY) == [second]


@pytest.mark.parametrize(
    ("categories", "covered", "gaps"),
    [
        (["posts"], {"US", "CA"}, {"DE": ["posts"]}),
        (["posts", "profile"], {"CA"}, {"US": ["profile"], "DE": ["posts", "profile"]}),
        (["job-data"], set(), {"US": ["job-data"], "CA": ["job-data"], "DE": ["job-data"]}),
        ([], {"US", "CA"}, {"DE": []}),
    ],
)
def test_gaps_name_the_categories_that_no_notice_covers(
    agree, officer, second_officer, categories, covered, gaps
):
    agree(RuleKind.DEFAULT_ON, MAY, "US", "CA", "DE")
    agree(RuleKind.EXCLUDED, JUNE, "IT")
    notice(officer, second_officer, "US", "CA")
    notice(officer, second_officer, "CA", categories=["profile"])

    found = rules.ruling(AI, days.on(JULY), categories)

    assert (found.covered, found.gaps) == (covered, gaps)
    assert found.allowed == {"US", "CA", "DE"}
    assert found.countries_with(RuleKind.EXCLUDED) == {"IT"}


def test_a_notice_for_another_purpose_covers_nothing(agree, officer, second_officer):
    agree(RuleKind.DEFAULT_ON, MAY)
    row = proposing.propose_notice(
        version="1", purposes=[Purpose.SAFETY], data_categories=DataCategory.values,
        countries=["US"], published_on=MAY - factories.NOTICE_PERIOD, in_force_from=MAY,
        texts=factories.TEXTS, source="test", actor=officer,
    )  # fmt: skip
    proposing.review(proposal=row, verdict=ReviewVerdict.APPROVED, actor=second_officer, reason="x")

    found = rules.ruling(AI, days.on(JULY), ["posts"])

    assert (found.covered, found.notice_versions) == (frozenset(), ())
    assert Notice.objects.count() == 1


def test_a_late_exclusion_stands_also_behind_another_one(agree, propose, approve):
    """The approval knew the exclusion of June; the one of May came after it."""
    agree(RuleKind.EXCLUDED, JUNE)
    lift = propose(RuleKind.DEFAULT_ON, JULY)
    approve(lift)
    propose(RuleKind.EXCLUDED, MAY)

    assert holding(AUGUST) == {"US": "excluded"}


def test_an_old_opt_in_approved_late_counts_from_its_approval(agree, propose, approve):
    agree(RuleKind.EXCLUDED, MAY)
    opt_in = propose(RuleKind.OPT_IN, JUNE)
    lift = propose(RuleKind.DEFAULT_ON, JULY)
    approve(lift)
    approve(opt_in)

    assert holding(AUGUST) == {"US": "opt-in"}


@pytest.mark.parametrize(
    ("rule", "codes", "more"),
    [
        ("excluded", ["GB"], {"GG", "GI", "IM", "JE"}),
        ("opt-in", ["GB"], {"GG", "GI", "IM", "JE"}),
        ("default-on", ["GB"], set()),
        ("excluded", ["FI"], {"AX"}),
        ("excluded", ["NO"], {"BV", "SJ"}),
        ("excluded", ["DE"], set()),
    ],
)
def test_territories_go_with_their_country_when_a_rule_tightens(propose, rule, codes, more):
    assert set(propose(rule, MAY, *codes).countries) == {*codes, *more}


def test_followers_are_excluded_whenever_the_eu_is(propose):
    assert set(propose(RuleKind.EXCLUDED, MAY, *EU).countries) >= FOLLOWING_THE_EU
    assert not FOLLOWING_THE_EU & set(propose(RuleKind.OPT_IN, JUNE, *EU).countries)
