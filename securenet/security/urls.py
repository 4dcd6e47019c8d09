"""Include below ``api/``: ``path("api/", include("securenet.security.urls"))``."""

from django.urls import path

from securenet.security import import_views, views

app_name = "security"
urlpatterns = [
    path("security/findings", views.FindingsView.as_view(), name="findings"),
    path("security/findings/<int:pk>", views.FindingView.as_view(), name="finding"),
    path("security/summary", views.SummaryView.as_view(), name="summary"),
    path("security/scans", views.ScansView.as_view(), name="scans"),
    path("security/scans/import", import_views.ImportView.as_view(), name="import"),
    path("security/scans/<int:pk>", views.ScanView.as_view(), name="scan"),
    path("security/scans/<int:pk>/comparison", views.ComparisonView.as_view(), name="comparison"),
]
