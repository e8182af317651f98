"""The pages for members themselves: outside the API and the admin."""

from django.urls import path

from consent.public import pages

urlpatterns = [
    path("settings/ai-training/", pages.setting, name="setting"),
    path("notices/<str:version>/", pages.notice, name="notice-text"),
    path("notices/<str:version>/<str:language>/", pages.notice, name="notice-text-in"),
    path("settings/ai-training/receipts", pages.receipts, name="setting-receipts"),
    path("settings/ai-training/open/<str:token>", pages.open_by_link, name="setting-link"),
]
