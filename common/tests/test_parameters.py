"""Every list, file and page of the admin takes the parameters it declares, and refuses all others."""

import re
from html import unescape
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Permission, User
from django.http import QueryDict
from django.test import Client
from django.urls import reverse

from common.staff import parameters
from common.staff.list_forms import FormFilter
from common.staff.site import site
from ledger.errors import InvalidInput
from ledger.models import AccessRecord

pytestmark = [pytest.mark.django_db, pytest.mark.one_engine]

MODELS = sorted(site._registry, key=lambda model: model._meta.label)
LABELS = [model._meta.label_lower.replace(".", "_") for model in MODELS]
HUGE = "9" * 25


@pytest.fixture
def all_rights(client_of) -> Client:
    """Each list is open to some role; this person has them all, so that one test can ask all lists."""
    user = User.objects.create_user("all", is_staff=True)
    user.user_permissions.set(Permission.objects.all())
    return client_of(user)


def pages_of(label):
    """The list, its files, and the pages of a row (which need not be there)."""
    yield reverse(f"admin:{label}_changelist")
    yield from files_of(label)
    for name in ("change", "history", "delete"):
        yield reverse(f"admin:{label}_{name}", args=["1"])
    yield reverse(f"admin:{label}_add")


def files_of(label):
    if hasattr(site._registry[MODELS[LABELS.index(label)]], "export"):
        yield reverse(f"admin:{label}_export", args=["csv"])


def undeclared(model):
    """Lookups that Django would take, and some that nothing would."""
    fields = [field.name for field in model._meta.get_fields()]
    lookups = ["regex", "iregex", "startswith", "in", "gt", "year", "isnull", "contains", "exact"]
    names = {"foo", "pk", "id__in", "_popup", "_to_field", "e", "_facets", "x\u202ey", "1", ""}
    names |= {"password__startswith", "requester__email", "auth_token_set__digest__startswith"}
    names |= {f"{field}__{lookup}" for field in fields for lookup in lookups}
    return names | {f"{field}__year__gte" for field in fields} | set(fields)


def asked_by_all(rf):
    asking = rf.get("/")
    asking.user = User.objects.get(username="all")
    return asking


@pytest.mark.parametrize("label", LABELS)
def test_a_parameter_that_a_page_does_not_declare_is_refused_by_name(all_rights, rf, label):
    model_admin = site._registry[MODELS[LABELS.index(label)]]
    names = model_admin.parameters_of("changelist_view", asked_by_all(rf))
    strange = sorted(undeclared(model_admin.model) - set(names))
    list_page, *others = pages_of(label)

    for name in strange:
        with pytest.raises(InvalidInput):
            parameters.check_names(QueryDict(urlencode({name: "1"})), names)
    for name in ["foo", "id__regex", "x\u202ey", f"{strange[-1]}__year"]:
        answer = all_rights.get(list_page, {name: "99999"})
        assert answer.status_code == 400, name
        assert f"no parameter “{parameters._shown(name)}”" in unescape(answer.content.decode())
    for page in others:
        assert all_rights.get(page, {"pk__regex": "("}).status_code == 400, page
    assert not AccessRecord.objects.exists()


@pytest.mark.parametrize("label", LABELS)
def test_no_page_is_a_pop_up_about_a_field_of_another_table(all_rights, label):
    model = MODELS[LABELS.index(label)]
    others = [one.name for one in model._meta.related_objects] or ["pk"]
    for page in pages_of(label):
        assert all_rights.get(page, {"_to_field": others[0]}).status_code == 400, page
    for page in list(pages_of(label))[-4:]:
        sent = all_rights.post(page, {"_to_field": others[0], "_popup": "1"})
        assert sent.status_code == 400, page
    assert not AccessRecord.objects.exists()


def bad_values(name):
    """Values that a parameter cannot have: few for each, since there are many lists."""
    yield HUGE
    if name in ("o", "p"):
        yield from ("\u0663", "-", "x", "99")
    elif name.endswith(("__gte", "__lt")):
        yield from ("99999-01-01", "9999-12-31T23:59:59-23:59")
        yield "0001-01-01T00:00:00+23:59"


@pytest.mark.both_engines  # what is too large for a column is another error on each
@pytest.mark.parametrize("label", LABELS)
def test_no_value_of_a_declared_parameter_is_read_as_another_or_breaks_the_list(
    all_rights, rf, label
):
    model_admin = site._registry[MODELS[LABELS.index(label)]]
    asking = asked_by_all(rf)
    in_forms = {
        name
        for one in model_admin.get_list_filter(asking)
        if isinstance(one, type) and issubclass(one, FormFilter)
        for name in one.form_class.base_fields
    }
    for page in [reverse(f"admin:{label}_changelist"), *files_of(label)]:
        names = sorted(model_admin.parameters_of("changelist_view", asking))
        for name in names if "export" not in page else names[:3]:
            for value in bad_values(name):
                answer = all_rights.get(page, {name: value})
                # A search finds nothing; a form says beside the field what it cannot read.
                is_read = name == "q" or name in in_forms
                is_read = is_read or (name, value) == ("p", "99")
                known = (200, 400) if is_read else (400,)
                assert answer.status_code in known, (page, name, value)
        twice = all_rights.get(f"{page}?p=1&p=2")
        assert twice.status_code == 400 or label == "objections_lettertemplate"
        # A file has all pages, whichever was looked at.
        assert all_rights.get(page, {"p": "2"}).status_code == (200 if "export" in page else 400)


@pytest.mark.parametrize("label", LABELS)
def test_what_a_list_offers_it_takes(all_rights, label):
    page = reverse(f"admin:{label}_changelist")
    text = unescape(all_rights.get(page).content.decode())

    links = set(re.findall(r'href="(\?[^"#]*)"', text))

    for link in sorted(links)[::3]:
        assert all_rights.get(page + link).status_code == 200, link


@pytest.mark.parametrize("name", ["_popup", "_to_field", "foo", "p", "q", "next"])
@pytest.mark.parametrize(
    "page",
    ["index", "objections_figures", "auditing_dossiers", "auditing_state", "password_change"],
)
def test_pages_of_no_model_take_what_they_declare(all_rights, page, name):
    assert all_rights.get(reverse(f"admin:{page}"), {name: "1"}).status_code == 400


def test_the_names_that_come_to_rest_in_a_refusal_are_short_and_visible(all_rights):
    answer = all_rights.get(reverse("admin:index"), {"<b>\u202e" + "x" * 500: "secret"})

    text = answer.content.decode()
    assert answer.status_code == 400
    assert "&lt;b&gt;[U+202E]xxx" in text
    assert "x" * 51 not in text
    assert "secret" not in text
