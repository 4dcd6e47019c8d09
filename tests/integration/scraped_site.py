"""The test site, with the page that Prometheus scrapes."""

from __future__ import annotations

from django.urls import path

from securenet.metrics import metrics
from tests.integration.site import urlpatterns as site

urlpatterns = [*site, path("metrics", metrics)]
