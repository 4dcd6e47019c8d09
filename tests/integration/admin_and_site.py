"""The views of `tests.integration.site` and the admin beside each other."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [path("admin/", admin.site.urls), path("", include("tests.integration.site"))]
