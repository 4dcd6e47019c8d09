"""The pages of the dashboard, and what operators ask for."""

from django.urls import path

from securenet.dashboard import health, views_web

urlpatterns = [
    path("", views_web.HomePage.as_view(), name="home"),
    path("findings", views_web.FindingsPage.as_view(), name="findings"),
    path("findings/<int:pk>", views_web.FindingPage.as_view(), name="finding"),
    path("assets", views_web.AssetsPage.as_view(), name="assets"),
    path("scans", views_web.ScansPage.as_view(), name="scans"),
    path("scans/<int:pk>", views_web.ScanPage.as_view(), name="scan"),
    path("events", views_web.EventsPage.as_view(), name="events"),
    path("notifications", views_web.NotificationsPage.as_view(http_method_names=["get", "head"]), name="notifications"),
    path(
        "notifications/<int:pk>",
        views_web.NotificationsPage.as_view(http_method_names=["post"]),
        name="notification",
    ),
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
]
