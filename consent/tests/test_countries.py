"""Countries: what senders write becomes a code or nothing, and the groups rules speak of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent import countries
from consent.countries import CANARIES, GROUPS, NAMES, UNKNOWN, expand, normalise


@pytest.mark.parametrize(
    ("given_code", "code"),
    [
        ("US", "US"), (" us ", "US"), ("xk", "XK"),
        ("UK", "GB"), ("EL", "GR"), ("IC", "ES"), ("EA", "ES"), ("FX", "FR"), ("CP", "FR"), ("XI", "GB"),
        ("uk", "GB"), ("MO", "MO"), ("TW", "TW"), ("CN", "CN"), ("HK", "HK"), ("CA", "CA"),
        ("", UNKNOWN), ("  ", UNKNOWN), ("EU", UNKNOWN), ("ZZ", UNKNOWN), ("EEA", UNKNOWN), ("ALL", UNKNOWN),
        ("USA", UNKNOWN), ("Germany", UNKNOWN), ("X1", UNKNOWN), ("U S", UNKNOWN), ("ＵＳ", UNKNOWN),
    ],
)  # fmt: skip
def test_a_code_is_known_or_nothing(given_code, code):
    assert normalise(given_code) == code


@pytest.mark.parametrize("code", sorted(CANARIES))
def test_no_sender_can_name_the_test_countries(code):
    assert normalise(code) == UNKNOWN
    assert code not in NAMES


@given(st.text(max_size=4))
def test_whatever_is_sent_the_answer_is_a_known_code_or_nothing(given_code):
    code = normalise(given_code)

    assert code in NAMES or code == UNKNOWN
    assert normalise(code) == code


EU_27 = "AT BE BG HR CY CZ DE DK EE ES FI FR GR HU IE IT LT LU LV MT NL PL PT RO SE SI SK"
TERRITORIES = "GP GF MQ RE YT MF AX BL PM NC PF WF TF"


@pytest.mark.parametrize(
    ("group", "members"),
    [
        ("EU", f"{EU_27} {TERRITORIES}"),
        ("EEA", f"{EU_27} {TERRITORIES} IS LI NO SJ BV"),
        ("EU-FOLLOWERS", "FO GL AW CW SX BQ AD MC SM VA"),
        ("UK", "GB GI JE GG IM"),
    ],
)
def test_a_group_is_exactly_these_countries(group, members):
    assert GROUPS[group] == set(members.split())
    assert expand([group]) == sorted(members.split())


def test_no_group_holds_switzerland_or_the_countries_with_rows_of_their_own():
    for code in ("CH", "HK", "MO", "TW", "CN", "CA"):
        assert [name for name, group in GROUPS.items() if code in group] == []


def test_every_country_of_a_group_has_a_name():
    for group in GROUPS.values():
        assert group <= NAMES.keys()
    assert len(countries.EU) == 27
    assert len(NAMES) == 250  # the 249 of ISO 3166-1, and XK


def test_codes_and_groups_expand_together_and_unknown_ones_are_named():
    assert expand(["UK", "us", "EL"]) == ["GB", "GG", "GI", "GR", "IM", "JE", "US"]
    assert expand(["ALL"]) == sorted(NAMES)
    with pytest.raises(ValueError, match="unknown countries: EUROPE, ZZ"):
        expand(["ZZ", "US", "EUROPE"])
