"""The directories of an installation. Settings only name them: each process that starts makes them here."""

from contextlib import suppress
from pathlib import Path

from django.conf import settings


def make() -> None:
    """Make the directories that a start needs, for this user only, and close SQLite's file to others. Raises OSError.

    Called by `manage.py`, the web server and the workers: an installation, or a trial, begins with any of them. What is
    written later makes its own directory.
    """
    for directory in (settings.DATA_DIR, settings.STATIC_ROOT, settings.BROKER_SOCKET.parent):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = settings.DATABASES["default"]
    file = Path(str(database["NAME"]))
    # One that came from elsewhere may be open to all users of the machine.
    if database["ENGINE"] == "django.db.backends.sqlite3" and file.is_file():
        with suppress(PermissionError):
            file.chmod(0o600)
