"""Models that runs are trained for: what the documents of the law are about."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.validators import URLValidator

from deliveries.models import ModelRun, TrainedModel
from ledger import entries
from ledger.errors import InvalidInput, RuleViolation
from training_runs import teams
from training_runs.models import Run, Team
from training_runs.querysets import teams_of

FACTS = {
    "description": "What the model does, in a sentence.",
    "services": "The services whose data is used, in words (AI Act summary, 2.4).",
    "model_interactions": "Whether interactions with the model are used: yes or no (2.4).",
    "purpose_statement": "How the data sets further the purpose (Civil Code § 3111(a)(2)).",
    "licences": "Whether the data sets are protected or public (§ 3111(a)(5)).",
    "purchased": "Whether data sets were bought or licensed (§ 3111(a)(6)).",
    "aggregate": "Whether aggregate consumer information is used (§ 3111(a)(8)).",
    "synthetic": "Whether synthetic data generation was used (§ 3111(a)(12)).",
    "illegal_content": "Measures against illegal content (3.2).",
    "licence_url": "The address of the terms under which the data is used (Croissant, license).",
    "page_url": "The address of a page about the data sets (Croissant, url).",
}
"""The facts that only people know, by name of the field."""
ADDRESSES = ("licence_url", "page_url")
_is_address = URLValidator(["https"], message="An address that begins with https://.")


class RunOfAnotherModel(RuleViolation):
    code = "run_of_another_model"


def record(
    *,
    name: str,
    title: str,
    actor: User,
    team: Team | None = None,
    version: str | None = None,
    released_on: dt.date | None = None,
    facts: Mapping[str, str] | None = None,
) -> TrainedModel:
    """Make a model, or change the one of that name: what is not given stays. Raises PermissionDenied, InvalidInput."""
    given = {"title": title, "version": version, "released_on": released_on, "facts": facts}
    facts = dict(facts or {})
    if unknown := sorted(set(facts) - set(FACTS)):
        raise InvalidInput(f"{len(unknown)} facts are not among {', '.join(FACTS)}.", field="facts")
    if any(not isinstance(value, str) or len(value) > 2000 for value in facts.values()):
        raise InvalidInput("Texts of at most 2,000 characters.", field="facts")
    for fact in ADDRESSES:
        if facts.get(fact):
            try:
                _is_address(facts[fact])
            except ValidationError as error:
                raise InvalidInput(" ".join(error.messages), field=fact) from None
    team = team or teams.named(actor)
    with entries.entry("model.changed", actor=actor, subject=f"model:{name}"[:100]) as opened:
        row = TrainedModel.objects.select_for_update().filter(name=name).first()
        if row is not None and not teams_of(actor).filter(team=row.team_id).exists():
            raise PermissionDenied
        row = row or TrainedModel(name=name, team=team)
        said = {field: value for field, value in given.items() if value is not None}
        if row.pk and all(getattr(row, field) == value for field, value in said.items()):
            opened.abandon()
            return row
        for field, value in said.items():
            setattr(row, field, value)
        try:
            row.full_clean()
        except ValidationError as error:
            field = next(iter(error.message_dict))
            raise InvalidInput(" ".join(error.messages), field=field) from None
        row.save()
    return row


def add_run(*, model: TrainedModel, run: Run, actor: User) -> ModelRun:
    """Say that a run trained this model; a run belongs to one. Raises PermissionDenied, RunOfAnotherModel."""
    if not teams.has(run, actor) or not teams_of(actor).filter(team=model.team_id).exists():
        raise PermissionDenied
    with entries.entry("model.changed", actor=actor, subject=f"model:{model.name}") as opened:
        known = ModelRun.objects.filter(run=run).select_related("model").first()
        if known is not None:
            opened.abandon()
            if known.model_id != model.pk:
                raise RunOfAnotherModel(f"{run.reference} belongs to the model {known.model}.")
            return known
        row = ModelRun(model=model, run=run)
        row.save()
        opened.reason = run.reference
    return row


def runs_of(model: TrainedModel) -> list[Run]:
    """The runs of a model, the first first."""
    found = Run.objects.filter(model_run__model=model).select_related("team", "manifest")
    return list(found.order_by("pk"))


def families(runs: list[Run]) -> list[dict[str, Any]]:
    """Runs with the runs that build on them, however far down: a run and its `children`."""
    below: dict[int, list[Run]] = {}
    waiting = [run.pk for run in runs]
    while waiting:
        children = list(Run.objects.filter(parent__in=waiting).order_by("pk"))
        for child in children:
            assert child.parent_id is not None
            below.setdefault(child.parent_id, []).append(child)
        waiting = [child.pk for child in children]

    def of(run: Run) -> dict[str, Any]:
        return {"run": run, "children": [of(child) for child in below.get(run.pk, [])]}

    return [of(run) for run in runs]
