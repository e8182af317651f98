import random

import pytest
from django.core.validators import validate_email

from consent.choices import Purpose
from consent.countries import NAMES
from demo import wording
from objections.ticket import uploads


def test_every_person_has_an_address_of_their_own_that_can_be_written_to():
    chance = random.Random(3)
    countries = [*wording.NAMES, "XX"]

    people = [wording.name_of(number, countries[number % 32], chance) for number in range(320)]

    for person in people:
        validate_email(person.email)
        assert person.email.endswith(("@example.org", "@example.net"))
    assert len({person.email for person in people}) == len(people)


def test_people_live_in_countries_that_the_portal_knows():
    assert wording.NAMES.keys() - NAMES.keys() == set()


@pytest.mark.parametrize("purpose", Purpose.values)
def test_people_have_something_to_say_on_every_purpose(purpose):
    said = wording.statement([purpose], random.Random(1))

    assert said in wording.STATEMENTS[purpose]


def test_the_pdf_that_people_send_along_is_taken_as_one():
    assert uploads.check("my-post.pdf", wording.page_as_pdf()).media_type == "application/pdf"
