"""Include below ``api/``: ``path("api/", include("perf.api.urls"))``."""

from django.urls import path

from perf.api import views

app_name = "performance"
urlpatterns = [
    path("performance/metrics", views.MetricsView.as_view(), name="metrics"),
    path("performance/cache/warm", views.WarmView.as_view(), name="cache-warm"),
    path("performance/cache/invalidate", views.InvalidateView.as_view(), name="cache-invalidate"),
    path("performance/background-job", views.BackgroundJobsView.as_view(), name="background-jobs"),
    path("performance/background-job/<uuid:pk>", views.BackgroundJobView.as_view(), name="background-job"),
]
