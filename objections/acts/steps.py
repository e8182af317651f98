"""The buttons of a ticket's page: which acts come up, and in a sentence why one cannot be done now."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.auth.models import User

from objections.acts.act import Act
from objections.ticket.case import Case


@dataclass(frozen=True)
class Step:
    """An act that comes up on a ticket; `why_not` is empty when it can be done."""

    name: str
    title: str
    why_not: str

    @property
    def page(self) -> str:
        return f"admin:objections_ticket_{self.name}"


def steps_of(case: Case, actor: User, acts: Iterable[Act]) -> list[Step]:
    """Those of the acts that come up on the ticket now."""
    return [
        Step(act.name, act.title, act.why_not(case, actor))
        for act in acts
        if act.comes_up(case, actor)
    ]
