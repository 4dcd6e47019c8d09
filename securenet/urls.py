"""Where everything lives: the API below /api without trailing slashes, admin, dashboard, operators' pages."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from securenet.metrics import metrics

urlpatterns = [
    path("api/", include("securenet.accounts.urls")),
    path("api/", include("securenet.dashboard.urls")),
    path("api/", include("securenet.security.urls")),
    path("api/", include("securenet.network.urls")),
    path("api/", include("securenet.logs.urls")),
    path("api/", include("securenet.notifications.urls")),
    path("api/", include("perf.api.urls")),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    path("admin/", admin.site.urls),
    path("metrics", metrics, name="metrics"),
    path("", include("securenet.accounts.urls_web")),
    path("", include("securenet.dashboard.urls_web")),
]

handler400 = "perf.api.problems.bad_request"
handler404 = "perf.api.problems.not_found"
handler500 = "perf.api.problems.server_error"
