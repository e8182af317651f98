"""What must be true before the portal starts."""

import pytest

from portal.checks import letters_leave

NOWHERE = "django.core.mail.backends.filebased.EmailBackend"
SMTP = "django.core.mail.backends.smtp.EmailBackend"


@pytest.mark.parametrize(
    ("is_development", "backend", "codes"),
    [
        (True, NOWHERE, []),
        (False, SMTP, []),
        (False, NOWHERE, ["portal.E002"]),
        (False, "django.core.mail.backends.dummy.EmailBackend", ["portal.E002"]),
        (False, "django.core.mail.backends.console.EmailBackend", ["portal.E002"]),
    ],
)
def test_a_production_whose_letters_go_nowhere_does_not_pass(
    is_development, backend, codes, settings
):
    settings.DEVELOPMENT, settings.EMAIL_BACKEND = is_development, backend

    assert [error.id for error in letters_leave(None)] == codes
