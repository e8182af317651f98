"""Models and their documents from receipts; recipients, and whom to tell of an objection or an erasure."""

import datetime as dt
import json

import pytest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from consent import accounts
from deliveries import recipients, trained_models
from deliveries.documents import ai_act, figures
from deliveries.documents import california as documents_of_california
from deliveries.models import DataSet, Handover, Receipt, RecipientTold
from deliveries.receipts import completing
from ledger.errors import InvalidInput, NotFound
from tools import factories
from tools.receipts import file as receipt_file

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_engine]

TODAY = dt.datetime.now(dt.UTC).date()


@pytest.fixture
def completed(run, engineer):
    """A completed run whose receipt tells of redaction and of the content's age."""
    delivery = factories.training(run, engineer)
    factories.send_receipt(
        factories.registered_runner(engineer),
        delivery,
        engineer,
        tokens={"text": 5_000_000_000},
        content={"earliest": "2019-01-01", "latest": "2026-09-30"},
        redaction={
            "engine": "own",
            "version": "1",
            "hits_by_kind": {"email": 120, "phone": 4},
            "residual": {"sampled": 500, "found": 2},
        },
    )
    run.refresh_from_db()
    return completing.complete(run=run, actor=engineer)


@pytest.fixture
def model(completed, engineer):
    found = trained_models.record(
        name="big-model", title="Big model", version="1.0", actor=engineer,
        facts={"services": "The network's feed.", "model_interactions": "no"},
    )  # fmt: skip
    trained_models.add_run(model=found, run=completed, actor=engineer)
    return found


@pytest.fixture
def affiliate(administrator):
    return recipients.record(
        actor=administrator, name="affiliate", title="Affiliate Ltd", kind="affiliate", country="IE"
    )


def document(api, kind):
    return api.get(f"/api/v1/models/big-model/documents/{kind}")


def test_the_ai_act_summary_has_bands_dates_and_measures_with_figures(api, model):
    said = document(api, "ai-act").json()

    assert said["1.3"]["text"] == "1 billion to 10 trillion tokens"
    assert said["1.3"]["latest_date_of_acquisition"] == "content of 2026-09-30 or older"
    assert said["2.4"] == {
        "interactions_with_the_model": "no",
        "other_services": "yes",
        "description_of_services": "The network's feed.",
        "modalities": ["text"],
        "comments": "Data of members of our own services: Posts and articles. fewer than 10 of 10 rows were kept in"
        " preparation.",
    }
    measures = " ".join(said["3.3"])
    assert "email 120" in measures and "phone fewer than 10" in measures
    assert "A sample of 500 rows after redaction had fewer than 10 left." in said["3.3"]
    assert said["open"] == []
    assert said["made_from"][0]["receipt"] == "RC-2026-000001"


def test_california_gets_its_twelve_fields(api, model):
    said = document(api, "california").json()

    assert len([name for name in said if name[0].isdigit()]) == 12
    assert said["10_time_period_of_collection"] == "2019-01-01 to 2026-09-30"
    assert said["12_synthetic_data"] == "open"


@pytest.fixture
def published(model, engineer):
    """The model with the addresses that only people know."""
    trained_models.record(
        name="big-model", title="Big model", actor=engineer, facts={**model.facts, **ADDRESSES}
    )


ADDRESSES = {
    "licence_url": "https://example.org/terms",
    "page_url": "https://example.org/data",
}


def test_croissant_asks_for_the_addresses_that_only_people_know(api, model):
    answer = document(api, "croissant")

    assert (answer.status_code, answer.json()["code"]) == (409, "facts_missing")
    assert "licence_url and page_url" in answer.json()["detail"]


@pytest.mark.parametrize("address", ["nowhere", "http://example.org/", "javascript:alert(1)"])
def test_an_address_among_the_facts_is_one(model, engineer, address):
    with pytest.raises(InvalidInput, match="https") as refused:
        trained_models.record(
            name="big-model", title="Big", actor=engineer, facts={"page_url": address}
        )

    assert refused.value.field == "page_url"


def test_croissant_names_every_file_with_its_digest(api, published):
    said = document(api, "croissant").json()

    assert {one["sha256"] for one in said["distribution"]} == set(
        DataSet.objects.values_list("sha256", flat=True)
    )
    assert "http://mlcommons.org/croissant/1.1" in said["conformsTo"]
    assert (said["license"], said["url"]) == tuple(ADDRESSES.values())


def test_people_read_the_summaries_as_pages(client_of, engineer, model):
    client = client_of(engineer)

    def shown(kind):
        address = reverse("admin:deliveries_trainedmodel_document", args=[model.pk, kind])
        return client.get(address)

    summary, california = shown("ai-act").content.decode(), shown("california").content.decode()

    for heading in (*ai_act.HEADINGS.values(), "1 billion to 10 trillion tokens"):
        assert heading in summary
    assert "content of 2026-09-30 or older" in summary and "RC-2026-000001" in summary
    for heading in documents_of_california.HEADINGS.values():
        assert escape(heading) in california
    assert california.count('<span class="badge warning">open</span>') == 1 + 5
    assert shown("bogus").status_code == 404


def test_a_data_card_is_markdown_with_front_matter(api, model):
    answer = document(api, "data-card")

    assert answer["Content-Type"].startswith("text/markdown")
    text = answer.content.decode()
    assert text.startswith('---\npretty_name: "Big model"\n')
    assert "RC-2026-000001" in text


def test_what_no_receipt_says_stays_open(api, engineer, run):
    found = trained_models.record(name="big-model", title="Big model", actor=engineer)
    assert figures.of(found).open == ["No run belongs to the model."]
    trained_models.add_run(model=found, run=run, actor=engineer)

    said = document(api, "ai-act").json()

    assert said["open"] == [f"{run.reference} is frozen: it is not counted."]
    assert said["1.3"]["latest_date_of_acquisition"] == "open"
    assert document(api, "bogus").status_code == 404


def test_a_receipt_that_says_less_leaves_more_open(run, engineer):
    done = factories.complete(run, engineer)
    found = trained_models.record(name="m", title="M", actor=engineer)
    trained_models.add_run(model=found, run=done, actor=engineer)

    assert figures.of(found).open == [
        "RC-2026-000001 does not say how old its content is.",
        "RC-2026-000001 applied no redaction.",
    ]


REDACTION = {"engine": "own", "version": "1", "hits_by_kind": {"email": 120}}


def model_of(engineer, *runs_with_receipts):
    """The figures of a model of completed runs, each with what its receipt says."""
    found = trained_models.record(name="m", title="M", actor=engineer)
    for one, said in runs_with_receipts:
        delivery = factories.training(one, engineer)
        factories.send_receipt(factories.registered_runner(engineer), delivery, engineer, **said)
        one.refresh_from_db()
        completing.complete(run=one, actor=engineer)
        trained_models.add_run(model=found, run=one, actor=engineer)
    return figures.of(found)


@pytest.mark.parametrize(
    ("first", "second", "measure", "personal", "cleaning"),
    [
        (REDACTION, REDACTION, "in texts was reduced", "reduced by redaction", "Redacted: email 240."),
        (REDACTION, None, "in some of the texts, not all, was reduced", "reduced in part by redaction",
         "Redacted, in part: email 120."),
        ({**REDACTION, "hits_by_kind": {}}, {**REDACTION, "hits_by_kind": {}}, "", "content of members",
         "Redacted: nothing."),
        (None, None, "", "content of members", "No redaction."),
    ],
)  # fmt: skip
def test_documents_claim_as_much_redaction_as_all_receipts_show(
    run, engineer, first, second, measure, personal, cleaning
):
    found = model_of(
        engineer,
        (run, {"redaction": first}),
        (factories.freeze(engineer).run, {"redaction": second}),
    )

    measures = " ".join(ai_act.document(found)["3.3"])
    said = documents_of_california.document(found)
    assert measure in measures and ("redaction" in measures) == bool(measure)
    assert said["7_personal_information"].endswith(personal)
    assert said["9_cleaning_or_modification"].endswith(cleaning)


def test_every_modality_that_a_receipt_names_is_in_the_summary(run, engineer):
    found = model_of(engineer, (run, {"tokens": {"image": 5}, "bytes": {"text": 9, "video": 9}}))

    said = ai_act.document(found)["1.3"]

    assert {one: said[one] for one in ("text", "image", "audio", "video", "other")} == {
        "text": "open",
        "image": "open",
        "audio": "none named by a receipt",
        "video": "open",
        "other": "none named by a receipt",
    }


def test_data_that_a_child_run_uses_again_is_counted_once(run, engineer):
    same = {"outputs": [receipt_file("clean/posts.parquet", b"same", 8)], "tokens": {"text": 6}}
    more = {
        "inputs": [receipt_file("raw/posts.parquet", b"raw", 12)],
        "outputs": [*same["outputs"], receipt_file("clean/more.parquet", b"more", 2)],
    }

    model_of(engineer, (run, same))
    child = factories.freeze(engineer, parent=run).run
    found = model_of(engineer, (child, same))

    assert (found.rows_kept, len(found.data_sets), found.tokens["text"]) == (8, 1, 6)
    assert found.sources == [
        {"receipt": one.reference, "run": one.run.reference, "sha256": one.digest}
        for one in Receipt.objects.order_by("pk")
    ]
    grandchild = factories.freeze(engineer, parent=child).run
    found = model_of(engineer, (grandchild, more))
    assert len(found.data_sets) == 2
    assert any("1 files of earlier receipts" in one for one in found.open)


def test_a_run_belongs_to_one_model(model, completed, engineer, post):
    post("models", {"name": "other", "title": "Other"})

    refused = post("models/other/runs", {"run": completed.reference})

    assert (refused.status_code, refused.json()["code"]) == (409, "run_of_another_model")


def test_families_show_the_runs_that_build_on_a_run(completed, engineer):
    child = factories.register(engineer, parent=completed)
    grandchild = factories.register(engineer, parent=child)

    [family] = trained_models.families([completed])

    assert family["children"][0]["run"] == child
    assert family["children"][0]["children"][0]["run"] == grandchild


@pytest.mark.parametrize("facts", [{"bogus": "x"}, {"services": "x" * 2001}])
def test_facts_of_a_model_are_known_ones(engineer, facts):
    factories.register(engineer)
    with pytest.raises(InvalidInput):
        trained_models.record(name="m", title="M", actor=engineer, facts=facts)


# --- Recipients ---------------------------------------------------------------------------------


def tell(subject, recipient, officer, told_on=TODAY):
    return recipients.tell(
        subject=subject, recipient=recipient, told_on=told_on, how="By letter.", actor=officer
    )


def hand_over(post, data_set, **body):
    return post(
        f"datasets/{data_set.sha256}/handovers",
        {"recipient": "affiliate", "given_on": str(TODAY), **body},
    )


def test_a_data_set_is_handed_over_once(model, affiliate, api, post):
    data_set = DataSet.objects.get()

    first, again = hand_over(post, data_set), hand_over(post, data_set)

    assert (first.status_code, again.status_code) == (201, 200)
    assert Handover.objects.count() == 1
    listed = api.get(f"/api/v1/datasets/{data_set.sha256}/handovers").json()["results"]
    assert [row["recipient"] for row in listed] == ["affiliate"]


@pytest.mark.parametrize(
    "body",
    [{"recipient": "nowhere"}, {"given_on": "2020-01-01"}, {"given_on": "2099-01-01"}],
)
def test_a_handover_that_cannot_be_is_refused(model, affiliate, post, body):
    assert hand_over(post, DataSet.objects.get(), **body).status_code == 400
    assert not Handover.objects.exists()


@pytest.mark.both_engines
def test_recipients_are_told_of_upheld_objections_and_erasures(
    model, affiliate, officer, second_officer, post
):
    hand_over(post, DataSet.objects.get())
    assert recipients.open_duties() == []
    ticket = factories.uphold(factories.objection("acc-1"), officer)
    accounts.erase_member(account_ref="acc-2", actor=officer, reason="test")
    factories.add_member("later")
    factories.uphold(factories.objection("later"), officer)

    duties = recipients.open_duties()

    assert {duty.what for duty in duties} == {"objection", "erasure"} and len(duties) == 2
    assert ticket.reference in {duty.subject for duty in duties}
    for _ in range(2):
        tell(ticket.reference, affiliate, officer)
    assert RecipientTold.objects.count() == 1
    assert [duty.what for duty in recipients.open_duties()] == ["erasure"]
    with pytest.raises(NotFound):
        tell("member:999", affiliate, officer)
    for odd in ("member:", "member:x", "member:" + "9" * 40, "OBJ-0", "\0"):
        with pytest.raises(NotFound):
            tell(odd, affiliate, officer)


def test_the_day_on_which_a_recipient_was_told_is_one_on_which_it_could_be(
    model, affiliate, officer, post
):
    hand_over(post, DataSet.objects.get())
    ticket = factories.uphold(factories.objection("acc-1"), officer)

    for day in (TODAY - dt.timedelta(days=1), TODAY + dt.timedelta(days=1)):
        with pytest.raises(InvalidInput) as refused:
            tell(ticket.reference, affiliate, officer, told_on=day)
        assert refused.value.field == "told_on"

    assert tell(ticket.reference, affiliate, officer).told_on == TODAY


def test_whom_to_tell_is_listed_with_what_is_overdue_and_on_the_ticket(
    model, affiliate, officer, client_of, post
):
    hand_over(post, DataSet.objects.get())
    late = factories.uphold(
        factories.objection("acc-1", received_at=timezone.now() - dt.timedelta(days=31)), officer
    )
    young = factories.uphold(factories.objection("acc-2"), officer)
    client = client_of(officer)

    def listed(query=""):
        page = client.get(reverse("admin:deliveries_to_tell") + query).content.decode()
        return {one.reference for one in (late, young) if one.reference in page}, page

    def shown(ticket):
        address = reverse("admin:objections_ticket_change", args=[ticket.pk])
        return client.get(address).content.decode()

    assert listed()[0] == {late.reference, young.reference}
    found, page = listed("?which=overdue")
    assert found == {late.reference} and 'All <span class="count">2</span>' in page
    assert client.get(reverse("admin:deliveries_to_tell") + "?which=odd").status_code == 400
    assert "has to be told: overdue" in shown(late)
    client.post(
        reverse("admin:deliveries_tell", args=[late.reference, affiliate.pk]),
        {"told_on": str(TODAY), "how": "By letter."},
    )
    assert f"on {TODAY}: By letter." in shown(late)
    assert listed()[0] == {young.reference}


def test_a_recipient_of_a_delivery_is_told_too_and_only_of_its_purpose(
    world, engineer, officer, affiliate
):
    factories.add_members(3)
    factories.deliver(factories.freeze(engineer).run, engineer, recipient=affiliate)
    factories.uphold(factories.objection("acc-0", purposes=["personalisation"]), officer)
    assert recipients.open_duties() == []

    factories.uphold(factories.objection("acc-1"), officer)

    assert [duty.recipient for duty in recipients.open_duties()] == [affiliate]


def test_recipients_are_told_of_a_person_without_an_account(model, affiliate, officer, post):
    hand_over(post, DataSet.objects.get())
    ticket = factories.uphold(
        factories.objection(name="Paula Pepperkorn-Example", email="paula@example.org"), officer
    )

    assert [duty.subject for duty in recipients.open_duties()] == [ticket.reference]


def test_what_one_receipt_lacks_is_open_for_the_whole_model(model, engineer, api):
    done = factories.complete(factories.freeze(engineer).run, engineer)
    trained_models.add_run(model=model, run=done, actor=engineer)

    said = document(api, "ai-act").json()

    assert said["1.3"]["latest_date_of_acquisition"] == "open"
    assert document(api, "california").json()["10_time_period_of_collection"] == "open"


def test_a_model_without_receipts_claims_no_measure(api, engineer):
    trained_models.record(name="big-model", title="Big", actor=engineer)

    assert document(api, "ai-act").json()["3.3"] == []


def test_what_is_not_sent_of_a_model_stays(model, post, api):
    post("models", {"name": "big-model", "title": "Bigger model"})

    said = api.get("/api/v1/models/big-model").json()
    assert (said["title"], said["version"]) == ("Bigger model", "1.0")
    assert said["facts"]["model_interactions"] == "no"


def test_a_recipient_has_known_facts(administrator):
    with pytest.raises(InvalidInput):
        recipients.record(actor=administrator, name="x", title="X", kind="affiliate", country="XX")
    with pytest.raises(InvalidInput):
        recipients.record(
            actor=administrator, name="Bad Name", title="X", kind="affiliate", country=""
        )


def test_documents_are_json_that_can_be_stored(api, model):
    for kind in ("ai-act", "california", "croissant"):
        assert json.loads(document(api, kind).content)
