"""Create the test accounts that guard every freeze, where they are missing."""

from typing import Any

from django.core.management.base import BaseCommand

from training_runs.eligibility import canaries
from training_runs.models import Canary


class Command(BaseCommand):
    help = __doc__

    def handle(self, *args: Any, **options: Any) -> None:
        before = Canary.objects.count()
        canaries.plant()
        after = Canary.objects.count()
        self.stdout.write(f"{after} canaries, {after - before} of them new.")
