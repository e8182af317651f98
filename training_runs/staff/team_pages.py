"""Teams in the admin: administrators make them, and put people in and out."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from common import drafts
from common.staff.site import HistoryModelAdmin, page, refusal_shown_in, site, staff
from training_runs import teams
from training_runs.choices import TeamKind
from training_runs.models import Team, TeamMembership

BACK = "admin:training_runs_team_changelist"


def _people() -> Any:
    return User.objects.filter(is_active=True, is_superuser=False).order_by("username")


class TeamForm(forms.Form):
    name = forms.SlugField(
        max_length=60, help_text="Small letters, digits and dashes. It does not change."
    )
    kind = forms.ChoiceField(choices=TeamKind.choices)
    responsible = forms.ModelChoiceField(
        User.objects.none(), help_text="The person who answers for its runs; is in it."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        responsible = self.fields["responsible"]
        assert isinstance(responsible, forms.ModelChoiceField)
        responsible.queryset = _people()


class ChangeForm(TeamForm):
    name = None  # type: ignore[assignment]  # a field that is taken off
    is_active = forms.BooleanField(
        required=False, label="Active", help_text="People of a team that is not act on no run."
    )


class PersonForm(forms.Form):
    user = forms.ModelChoiceField(User.objects.none(), label="Person")

    def __init__(self, *args: Any, people: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        user = self.fields["user"]
        assert isinstance(user, forms.ModelChoiceField)
        user.queryset = people


@require_http_methods(["GET", "POST"])
@permission_required("training_runs.add_team", raise_exception=True)
def add_team(request: HttpRequest) -> HttpResponse:
    form = drafts.form_for(TeamForm, request, title="Make a team")
    if form.is_valid():
        with refusal_shown_in(form):
            team = teams.create(actor=staff(request), **form.cleaned_data)
            drafts.done(form)
            messages.success(request, f"The team {team} is made.")
            return HttpResponseRedirect(_page_of(team))
    return _act(
        request,
        form,
        title="Make a team",
        button="Make it",
        lead="Runs belong to a team or a service.",
    )


@require_http_methods(["GET", "POST"])
@permission_required("training_runs.change_team", raise_exception=True)
def change_team(request: HttpRequest, number: int) -> HttpResponse:
    team = get_object_or_404(Team, pk=number)
    initial = {name: getattr(team, name) for name in ("kind", "responsible", "is_active")}
    form = drafts.form_for(ChangeForm, request, title=f"Change {team}", initial=initial)
    if form.is_valid():
        with refusal_shown_in(form):
            teams.change(team=team, actor=staff(request), **form.cleaned_data)
            drafts.done(form)
            messages.success(request, f"The team {team} is changed.")
            return HttpResponseRedirect(_page_of(team))
    lead = "The ledger records the change."
    return _act(request, form, title=f"Change {team}", button="Change it", lead=lead, team=team)


@require_http_methods(["GET", "POST"])
@permission_required("training_runs.change_team", raise_exception=True)
def add_person(request: HttpRequest, number: int) -> HttpResponse:
    team = get_object_or_404(Team, pk=number)
    people = _people().exclude(pk__in=_in(team))
    form = drafts.form_for(PersonForm, request, title=f"Add a person to {team}", people=people)
    if form.is_valid():
        with refusal_shown_in(form):
            teams.add(team=team, actor=staff(request), **form.cleaned_data)
            drafts.done(form)
            messages.success(request, f"{form.cleaned_data['user']} is in the team {team}.")
            return HttpResponseRedirect(_page_of(team))
    lead = "The person may act on every run of the team, and download its deliveries."
    return _act(request, form, title=f"Add a person to {team}", button="Add", lead=lead, team=team)


@require_http_methods(["GET", "POST"])
@permission_required("training_runs.change_team", raise_exception=True)
def remove_person(request: HttpRequest, number: int) -> HttpResponse:
    team = get_object_or_404(Team, pk=number)
    people = User.objects.filter(pk__in=_in(team)).order_by("username")
    form = drafts.form_for(PersonForm, request, title=f"Remove from {team}", people=people)
    if form.is_valid():
        with refusal_shown_in(form):
            teams.remove(team=team, actor=staff(request), **form.cleaned_data)
            drafts.done(form)
            messages.success(request, f"{form.cleaned_data['user']} is no longer in {team}.")
            return HttpResponseRedirect(_page_of(team))
    lead = "The person may no longer act on the team's runs."
    return _act(
        request, form, title=f"Remove a person from {team}", button="Remove", lead=lead, team=team
    )


def _in(team: Team) -> Any:
    return TeamMembership.objects.filter(team=team, is_active=True).values("user")


def _page_of(team: Team) -> str:
    return reverse("admin:training_runs_team_change", args=[team.pk])


def _act(
    request: HttpRequest, form: Any, *, title: str, button: str, lead: str, team: Team | None = None
) -> HttpResponse:
    return page(
        request,
        "admin/act.html",
        title=title,
        form=form,
        button=button,
        lead=lead,
        back=_page_of(team) if team else reverse(BACK),
        back_title=str(team) if team else "Teams",
    )


@admin.register(Team, site=site)
class TeamAdmin(HistoryModelAdmin):
    list_display = ["name", "kind", "responsible", "people", "is_active"]
    list_filter = ["kind", "is_active"]
    search_fields = ["name", "responsible__username"]
    list_select_related = ["responsible"]
    fields = ["name", "kind", "responsible", "people", "is_active"]
    change_form_template = "admin/training_runs/team/change_form.html"
    pages = [
        ("<int:number>/edit/", change_team, "training_runs_team_edit"),
        ("<int:number>/add-person/", add_person, "training_runs_team_add_person"),
        ("<int:number>/remove-person/", remove_person, "training_runs_team_remove_person"),
    ]
    add_page = staticmethod(add_team)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("memberships__user")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("training_runs.add_team")

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        return {"may_edit": request.user.has_perm("training_runs.change_team")}

    @admin.display(description="people")
    def people(self, team: Team) -> str:
        names = sorted(one.user.get_username() for one in team.memberships.all() if one.is_active)
        return ", ".join(names)
