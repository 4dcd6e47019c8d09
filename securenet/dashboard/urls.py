"""Include below ``api/``: ``path("api/", include("securenet.dashboard.urls"))``."""

from django.urls import path

from securenet.dashboard import views

app_name = "dashboard"
urlpatterns = [
    path("dashboard", views.DashboardView.as_view(), name="dashboard"),
    path("dashboard/cached", views.CachedDashboardView.as_view(), name="cached"),
]
