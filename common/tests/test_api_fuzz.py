"""Generated requests against the API's own description: no 500, and no answer it does not describe."""

from functools import cache

import pytest
import schemathesis
from django.contrib.auth.models import Group, User
from django.core.handlers.wsgi import WSGIHandler
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from common import registry
from common.identity import tokens
from tools import factories

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
OPERATIONS = [
    "record_decision",
    "record_decisions",
    "merge_accounts",
    "split_account",
    "ask_standing",
    "ask_consent_receipts",
    "link_to_setting",
    "file_objection",
    "read_objection",
    "ask_objections",
    "list_region_rules",
    "propose_region_rule",
    "review_region_rule",
    "list_age_rules",
    "propose_age_rule",
    "review_age_rule",
    "list_notices",
    "propose_notice",
    "review_notice",
    "read_notice",
    "list_notice_deliveries",
    "record_notice_delivery",
    "withdraw_notice",
    "list_runs",
    "register_run",
    "read_run",
    "preview_run",
    "list_assessments",
    "list_incidents",
    "acknowledge_incident",
    "write_assessment",
    "start_run",
    "complete_run",
    "cancel_run",
    "explain_run",
    "list_withdrawn",
    "read_manifest",
    "download_archive",
    "read_checkpoint",
    "read_newest_checkpoint",
    "list_checkpoints",
    "prove_consistency",
    "list_checkpoint_keys",
    "export_ledger",
    "export_reads",
    "prove_entry",
    "read_manifest_checkpoint",
    "prove_member",
    "list_data_sets",
    "list_handovers",
    "hand_over",
    "find_deliveries",
    "find_receipts",
    "list_account_map",
    "request_account_map",
    "download_account_map_file",
    "read_delivery",
    "download_delivery_archive",
    "cancel_delivery",
    "borrow_redaction_list",
    "download_delivery_file",
    "renew_delivery",
    "send_lineage",
    "read_me",
    "list_keys",
    "register_key",
    "end_key",
    "ask_key_challenge",
    "renew_token",
    "list_models",
    "record_model",
    "read_model",
    "read_model_document",
    "add_run_to_model",
    "read_receipt",
    "list_deliveries",
    "request_delivery",
    "list_run_entries",
    "prove_own_consistency",
    "prove_run_entry",
    "read_run_entry",
    "fail_run",
    "ask_gate",
    "beat",
    "find_members_csv",
    "find_members_parquet",
    "list_receipts",
    "send_receipt",
    "begin_training",
    "ask_waiver",
    "acknowledge_withdrawn",
]


@schemathesis.serializer("application/x-ndjson")
def as_lines(context, text):
    return str(text).encode(errors="surrogatepass")


@cache  # the description is drawn from the code: it takes longer than most of the tests
def described():
    schema = schemathesis.openapi.from_wsgi("/api/v1/schema/?format=json", WSGIHandler())
    found = [result.ok() for result in schema.get_all_operations()]
    return {operation.definition.raw["operationId"]: operation for operation in found}


@pytest.fixture
def operations(db):
    return described()


@pytest.fixture
def authorization(db) -> dict[str, str]:
    """A token that may do everything that any role may: the shortest way to every line."""
    user = User.objects.create_user("everybody")
    user.groups.set(Group.objects.all())
    _, plain = tokens.issue_token(
        user=user, name="fuzz", scopes=list(registry.scopes), days=1, actor="test"
    )
    return {"Authorization": f"Bearer {plain}"}


@pytest.mark.django_db
def test_every_operation_is_fuzzed(operations):
    assert sorted(operations) == sorted(OPERATIONS)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", OPERATIONS)
def test_generated_requests_get_described_answers(
    operations, authorization, officer, second_officer, name
):
    factories.open_world(officer, second_officer)
    factories.add_members(3)
    manifest = factories.freeze(User.objects.get(username="everybody"))
    known = {"read_objection": factories.objection("acc-0").reference}

    @given(case=operations[name].as_strategy())
    @settings(
        max_examples=15,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def ask(case):
        # A generated reference is nearly always unknown: every other time, one that exists.
        if "reference" in case.path_parameters and len(case.path_parameters["reference"]) % 2:
            case.path_parameters["reference"] = known.get(name, manifest.run.reference)
        case.call_and_validate(headers=authorization, checks=CHECKS)

    ask()
