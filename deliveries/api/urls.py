from django.urls import path

from deliveries.api import account_map, lineage, models, receipts, views

RUN = "runs/<str:reference>"
DELIVERY = "deliveries/<str:reference>"

urlpatterns = [
    path(f"{RUN}/deliveries", views.RunDeliveriesView.as_view(), name="run-deliveries"),
    path(f"{RUN}/training", views.TrainingView.as_view(), name="run-training"),
    path(f"{RUN}/heartbeat", views.HeartbeatView.as_view(), name="run-heartbeat"),
    path(f"{RUN}/fail", views.FailView.as_view(), name="run-fail"),
    path(f"{RUN}/gate", views.GateView.as_view(), name="run-gate"),
    path(
        f"{RUN}/withdrawn/acknowledgements",
        views.AcknowledgementsView.as_view(),
        name="run-acknowledgements",
    ),
    path(f"{RUN}/manifest/members.csv", views.MembersCsvView.as_view(), name="run-members-csv"),
    path(
        f"{RUN}/manifest/members.parquet",
        views.MembersParquetView.as_view(),
        name="run-members-parquet",
    ),
    path(f"{RUN}/receipts", receipts.RunReceiptsView.as_view(), name="run-receipts"),
    path(f"{RUN}/complete", receipts.CompleteView.as_view(), name="run-complete"),
    path(f"{RUN}/waivers", receipts.WaiversView.as_view(), name="run-waivers"),
    path("deliveries", views.DeliveriesView.as_view(), name="deliveries"),
    path("receipts", receipts.ReceiptsView.as_view(), name="receipts"),
    path(DELIVERY, views.DeliveryView.as_view(), name="delivery"),
    path(f"{DELIVERY}/renewals", views.DeliveryRenewalsView.as_view(), name="delivery-renewals"),
    path(f"{DELIVERY}/cancel", views.DeliveryCancelView.as_view(), name="delivery-cancel"),
    path(
        f"{DELIVERY}/redaction-list",
        views.RedactionListView.as_view(),
        name="delivery-redaction-list",
    ),
    path(f"{DELIVERY}/archive", views.DeliveryArchiveView.as_view(), name="delivery-archive"),
    path(f"{DELIVERY}/files/<str:name>", views.DeliveryFileView.as_view(), name="delivery-file"),
    path("account-map", account_map.AccountMapView.as_view(), name="account-map"),
    path(
        "account-map/files/<str:name>",
        account_map.AccountMapFileView.as_view(),
        name="account-map-file",
    ),
    path("lineage", lineage.LineageView.as_view(), name="lineage"),
    path("datasets/<str:sha256>/handovers", models.HandoversView.as_view(), name="handovers"),
    path("models", models.ModelsView.as_view(), name="models"),
    path("models/<str:name>", models.ModelView.as_view(), name="model"),
    path("models/<str:name>/runs", models.ModelRunsView.as_view(), name="model-runs"),
    path(
        "models/<str:name>/documents/<str:kind>",
        models.ModelDocumentView.as_view(),
        name="model-document",
    ),
    path("datasets", lineage.DataSetsView.as_view(), name="data-sets"),
    path("receipts/<str:reference>", receipts.ReceiptView.as_view(), name="receipt"),
    path("me/keys", receipts.KeysView.as_view(), name="keys"),
    path("me/keys/challenges", receipts.ChallengesView.as_view(), name="key-challenges"),
    path("me/keys/<str:fingerprint>", receipts.KeyView.as_view(), name="key"),
]
