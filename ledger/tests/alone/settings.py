"""The smallest project that uses the ledger. `DATA_DIR`, an empty directory, comes from the environment."""

import os
from pathlib import Path

_data = Path(os.environ["DATA_DIR"])

SECRET_KEY = "of-no-use"
DEVELOPMENT = False
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "simple_history",
    "ledger",
    "ledger.tests.alone.notes",
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": _data / "db.sqlite3",
        "OPTIONS": {"transaction_mode": "IMMEDIATE"},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True

LEDGER_NAME = "notes.example/ledger"
CHECKPOINT_KEY_FILE = str(_data / "checkpoint.key")
CHECKPOINT_DIR = ""
