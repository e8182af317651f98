"""The page of a run: what it shows, and to whom."""

from dataclasses import dataclass
from typing import Any, cast

from django.contrib.auth.models import User
from django.http import HttpRequest
from django.urls import reverse

from consent import countries
from consent.choices import DataCategory
from training_runs import teams
from training_runs.choices import BEFORE_THE_FREEZE, NEXT_STATES, RunState
from training_runs.eligibility.exclusions import BY_CODE, Eligibility
from training_runs.errors import StartRefused
from training_runs.incidents import access as incidents
from training_runs.manifests.manifest_file import COHORT
from training_runs.models import FreezeAttempt, Manifest, Run
from training_runs.runs import assessments, unmatched
from training_runs.staff.forms import ExplainForm


def url_of(run: Run) -> str:
    return reverse("admin:training_runs_run_change", args=[run.pk])


def may_explain(user: Any, run: Run) -> bool:
    """People of the run's team, and people who may read members' records anyway."""
    return user.has_perm("training_runs.explain_run") and (
        user.has_perm("consent.view_member") or teams.has(run, user)
    )


def may_name_numbers(user: Any) -> bool:
    """Whether the person may ask about a member by number; a run's team knows references only."""
    return bool(user.has_perm("consent.view_member"))


@dataclass(frozen=True)
class Share:
    """A bar: how many of the population, as a number, a percentage and a width."""

    code: str
    label: str
    ground: str
    count: int
    population: int

    @property
    def members(self) -> str:
        return f"{self.count:,}"

    @property
    def percent(self) -> str:
        """Two digits, except that a share above zero is never shown as 0."""
        if not self.population:
            return "0 %"
        share = 100 * self.count / self.population
        return "under 0.01 %" if 0 < share < 0.01 else f"{share:.2f} %"

    @property
    def width(self) -> str:
        return f"{100 * self.count / self.population if self.population else 0:.3f}%"


def shares(population: int, included: int, excluded: dict[str, int]) -> list[Share]:
    """Included first, then every reason that leaves a member out, the largest first."""
    out = sorted(excluded.items(), key=lambda item: -item[1])
    return [
        Share("included", "in the run", "", included, population),
        *(
            Share(code, BY_CODE[code].sentence, BY_CODE[code].ground, count, population)
            for code, count in out
            if count
        ),
    ]


def shares_of_manifest(manifest: Manifest) -> list[Share]:
    parts = {
        part["name"]: part["members"]
        for part in manifest.header["parts"]
        if not part["name"].startswith(COHORT)
    }
    included = parts.pop("included")
    return shares(manifest.population, included, parts)


def cohorts_of(manifest: Manifest) -> list[tuple[str, int]]:
    """The days from which on the content of some members may be used, and of how many."""
    return [
        (part["name"].removeprefix(COHORT), part["members"])
        for part in manifest.header["parts"]
        if part["name"].startswith(COHORT)
    ]


def shares_of_answer(answer: Eligibility) -> list[Share]:
    counts = answer.counts()
    return shares(counts["population"], counts["included"], counts["excluded"])


def gaps_in_words(refusal: StartRefused) -> list[str]:
    """The reasons of a refused start as sentences; countries with the same gap share one."""
    words = []
    by_gap: dict[tuple[str, ...], list[str]] = {}
    for reason in refusal.reasons:
        match reason["code"]:
            case "no_notice":
                gap = cast(list[str], reason["data_categories"])
                by_gap.setdefault(tuple(gap), []).append(countries.name(str(reason["country"])))
            case "no_data_categories":
                words.append("Declare the data categories the run uses.")
            case "no_country_allowed":
                words.append("No region rule in force allows the purpose in any country.")
            case "no_notice_in_force":
                words.append("No approved notice for the purpose is in force.")
            case "no_member_eligible":
                words.append("Every member is out for one of the reasons shown.")
    for categories, names in by_gap.items():
        what = ", ".join(DataCategory(word).label for word in categories) or "the purpose"
        shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        words.append(f"No notice in force covers {what} in {shown}.")
    return words


def run_context(request: HttpRequest, run: Run) -> dict[str, Any]:
    """Everything the run's page shows beside its fields."""
    manifest = (
        Manifest.objects.with_agreement().prefetch_related("verifications").filter(run=run).first()
    )
    user = request.user
    may_act = teams.has(run, cast(User, user))
    standing = assessments.standings([run])[run.pk]
    return {
        "unmatched": unmatched.of_purpose(run.purpose) if run.state in BEFORE_THE_FREEZE else None,
        "assessment": standing,
        "assessments": run.assessments.select_related("review__reviewer", "review__entry"),
        "other_purposes": assessments.other_purposes([run])[run.pk],
        "may_assess": may_act
        and user.has_perm(assessments.WRITE)
        and run.state == RunState.REGISTERED
        and standing in (assessments.Standing.MISSING, assessments.Standing.REJECTED),
        "manifest": manifest,
        "shares": shares_of_manifest(manifest) if manifest else [],
        "cohorts": cohorts_of(manifest) if manifest else [],
        "verifications": list(manifest.verifications.all()) if manifest else [],
        "attempt": FreezeAttempt.objects.filter(run=run).first(),
        "findings": list(run.findings.all()),
        "children": list(run.children.all()),
        "may_read_incidents": incidents.may_read(user, run),
        "incident_count": incidents.of(run).count() if incidents.may_read(user, run) else None,
        "explain_form": ExplainForm(by_number=may_name_numbers(user))
        if may_explain(user, run)
        else None,
        "downloads": downloads(request, run, manifest),
        "may_start": may_act
        and user.has_perm("training_runs.start_run")
        and run.state == RunState.REGISTERED,
        "may_cancel": may_act
        and user.has_perm("training_runs.start_run")
        and RunState.CANCELLED in NEXT_STATES[run.state],
        "may_rename": may_act and user.has_perm("training_runs.change_run"),
        "may_ask_withdrawn": _is_usable(run, manifest)
        and user.has_perm("training_runs.view_manifest"),
        "may_verify": user.has_perm("training_runs.add_verification") and manifest is not None,
    }


def _is_usable(run: Run, manifest: Any) -> bool:
    """Whether `verifying.usable_manifest` accepts it: verified, and not of a cancelled run."""
    return (
        manifest is not None
        and run.state != RunState.CANCELLED
        and manifest.agrees
        and not manifest.differs
    )


def downloads(request: HttpRequest, run: Run, manifest: Any) -> list[tuple[str, str]]:
    """(text, url) of what this person may download; nothing unless the manifest is verified.

    The archive holds numbers and codes: auditors may have it too. The API asks again.
    """
    if not _is_usable(run, manifest):
        return []
    user = request.user
    is_own = user.has_perm("training_runs.download_manifest") and teams.has(run, cast(User, user))
    found = []
    if is_own or user.has_perm("ledger.view_entry"):
        found.append(("The archive itself", reverse("api:run-archive", args=[run.reference])))
    return found
