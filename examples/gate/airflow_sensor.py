"""An Airflow sensor that waits until a run may be trained on. Put it before the task that trains."""

from typing import Any

from kueue_admission_check import PASSES, ask_gate

try:
    from airflow.exceptions import AirflowFailException
    from airflow.sdk.bases.sensor import BaseSensorOperator
except ImportError:  # so that the handler can be read and tested without Airflow

    class AirflowFailException(Exception):  # type: ignore[no-redef]
        """Fails the task without a retry."""

    class BaseSensorOperator:  # type: ignore[no-redef]
        def __init__(self, **kwargs: Any) -> None:
            self.options = kwargs


class TrainingPortalSensor(BaseSensorOperator):
    """`poke` is True when the gate is open. A refusal that does not pass by itself fails the task at once."""

    template_fields = ("run",)

    def __init__(self, *, run: str, portal: str, token: str, **kwargs: Any) -> None:
        # A worker's slot is free between two looks.
        super().__init__(mode="reschedule", **kwargs)
        self.run, self.portal, self.token = run, portal, token

    def poke(self, context: dict[str, Any]) -> bool:
        """Ask the gate once. Raises AirflowFailException."""
        try:
            status, said = ask_gate(self.portal, self.token, self.run)
        except (OSError, ValueError):
            return False
        is_refused = status == 409 and said.get("code") not in PASSES
        # A wrong token, a missing scope, a run that is none: waiting changes nothing.
        if is_refused or status in (400, 401, 403, 404):
            raise AirflowFailException(f"{said.get('code')}: {said.get('detail')}")
        return status == 200
