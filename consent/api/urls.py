from django.urls import path

from consent.api import views

urlpatterns = [
    path("decisions", views.DecisionsView.as_view(), name="decisions"),
    path("decisions/bulk", views.BulkDecisionsView.as_view(), name="decisions-bulk"),
    path("accounts/merged", views.MergedView.as_view(), name="accounts-merged"),
    path("accounts/split", views.SplitView.as_view(), name="accounts-split"),
    path("members/setting-link", views.SettingLinkView.as_view(), name="member-setting-link"),
    path(
        "members/consent-receipts",
        views.ConsentReceiptsView.as_view(),
        name="member-consent-receipts",
    ),
    path("region-rules", views.RegionRulesView.as_view(), name="region-rules"),
    path(
        "region-rules/<int:id>/review",
        views.RegionRuleReviewView.as_view(),
        name="region-rule-review",
    ),
    path("age-rules", views.AgeRulesView.as_view(), name="age-rules"),
    path("age-rules/<int:id>/review", views.AgeRuleReviewView.as_view(), name="age-rule-review"),
    path("notices", views.NoticesView.as_view(), name="notices"),
    path("notices/<str:version>", views.NoticeView.as_view(), name="notice"),
    path(
        "notices/<str:version>/deliveries",
        views.NoticeDeliveriesView.as_view(),
        name="notice-deliveries",
    ),
    path(
        "notices/<str:version>/withdrawals",
        views.NoticeWithdrawalsView.as_view(),
        name="notice-withdrawals",
    ),
    path("notices/<str:version>/review", views.NoticeReviewView.as_view(), name="notice-review"),
]
