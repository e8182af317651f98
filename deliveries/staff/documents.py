"""The documents of the law about a model, as pages for people: drafts that are read before they are published."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_safe

from common.staff.site import page
from deliveries.documents import ai_act, california, figures
from deliveries.models import TrainedModel

PAGES: Mapping[str, tuple[str, Any, Mapping[str, str]]] = {
    "ai-act": (
        "Summary of the training content (AI Act, Art. 53(1)(d))",
        ai_act.document,
        ai_act.HEADINGS,
    ),
    "california": (
        "Documentation of the training data (Civil Code § 3111)",
        california.document,
        california.HEADINGS,
    ),
}
"""By the kind in the address: the title, what drafts it, and the headings of its parts."""


@require_safe
@permission_required("deliveries.view_trainedmodel", raise_exception=True)
def show(request: HttpRequest, number: int, kind: str) -> HttpResponse:
    """A document of a model, part by part. What is open is marked: people fill it in before they publish."""
    model = get_object_or_404(TrainedModel, pk=number)
    if kind not in PAGES:
        raise Http404
    title, document, headings = PAGES[kind]
    drafted = document(figures.of(model))
    return page(
        request,
        "admin/deliveries/trainedmodel/document.html",
        title=f"{title}: {model.title}",
        model=model,
        parts=[(heading, list(_lines(drafted[name]))) for name, heading in headings.items()],
        back=reverse("admin:deliveries_trainedmodel_change", args=[model.pk]),
        file=reverse("api:model-document", args=[model.name, kind]),
    )


def _lines(said: Any) -> Iterator[tuple[str, str]]:
    """(name, words) of each line of a part; a part that is one text has no name."""
    if isinstance(said, dict):
        for name, value in said.items():
            words = ", ".join(value) if isinstance(value, list) else str(value)
            yield name.replace("_", " ").capitalize(), words or "none"
    elif isinstance(said, list):
        for one in said:
            yield ("", f"{one['receipt']} of {one['run']}" if isinstance(one, dict) else one)
    else:
        yield "", said
