import os

from celery import Celery
from celery.signals import setup_logging, worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

app = Celery("portal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def _keep_django_logging(**kwargs: object) -> None:
    """Django's LOGGING stands; Celery must not replace it."""


@worker_init.connect
def _begin(**kwargs: object) -> None:
    # The app registry is ready only now.
    from ledger import checks  # noqa: PLC0415
    from portal import directories  # noqa: PLC0415

    directories.make()
    # Refuses to work unguarded.
    checks.require_triggers()
    checks.compare_clocks()
