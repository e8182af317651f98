"""What runs after a commit may fail: Django then logs the name of the function, and a `partial` has none.

The logging would fail in its place, and an act that is committed would end with an error.
"""

from django.conf import settings


def test_what_runs_after_a_commit_has_a_name():
    found = [
        str(path.relative_to(settings.BASE_DIR))
        for app in settings.OUR_APPS
        for path in (settings.BASE_DIR / app).rglob("*.py")
        if "on_commit(partial(" in path.read_text()
    ]

    assert found == []
