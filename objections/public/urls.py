"""The hosted objection form: outside the API and the admin."""

from django.urls import path

from objections.public import pages

urlpatterns = [
    path("objection/", pages.objection, name="objection"),
    path("objection/filed/", pages.filed, name="objection-filed"),
    path("objection/confirm/<str:token>/", pages.confirm, name="objection-confirm"),
]
