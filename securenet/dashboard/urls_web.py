"""The page at ``/``, and what operators ask for."""

from django.urls import path

from securenet.dashboard import health, views_web

urlpatterns = [
    path("", views_web.HomeView.as_view(), name="home"),
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
]
