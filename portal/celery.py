import os

from celery import Celery, Task
from celery.signals import setup_logging, task_postrun, task_prerun, worker_init

from ledger import open_entry

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


@task_prerun.connect
def _acts(task: Task, **kwargs: object) -> None:
    """Entries that the task writes name the task."""
    open_entry.credential.set(f"task:{task.name}")


@task_postrun.connect
def _acted(**kwargs: object) -> None:
    open_entry.credential.set("")
