"""Where everything lives: the API below /api without trailing slashes, admin, dashboard, operators' pages."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from perf.api.views import UnknownPathView
from securenet.metrics import metrics

admin.site.site_header = admin.site.site_title = "SecureNet"
admin.site.index_title = "Administration"

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
    re_path(r"^api/", UnknownPathView.as_view()),
    path("admin/", admin.site.urls),
    path("metrics", metrics, name="metrics"),
    path("favicon.ico", RedirectView.as_view(url=f"/{settings.STATIC_URL.lstrip('/')}dashboard/icon.svg")),
    path("", include("securenet.accounts.urls_web")),
    path("", include("securenet.dashboard.urls_web")),
]

handler400 = "perf.problems.bad_request"
handler404 = "perf.problems.not_found"
handler500 = "perf.problems.server_error"
