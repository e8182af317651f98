"""The pages for members themselves: outside the API and the admin."""

from django.urls import path

from consent.public import pages

urlpatterns = [
    path("settings/ai-training/", pages.setting, name="setting"),
    path("settings/ai-training/open/<str:token>", pages.open_by_link, name="setting-link"),
]
