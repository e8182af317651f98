from django.urls import path

from objections.api import views

urlpatterns = [
    path("objections", views.ObjectionsView.as_view(), name="objections"),
    path("objections/<str:reference>", views.ObjectionView.as_view(), name="objection-detail"),
    path("members/objections", views.MemberObjectionsView.as_view(), name="member-objections"),
]
