"""Include below ``api/``: ``path("api/", include("securenet.network.urls"))``."""

from django.urls import path

from securenet.network import views

app_name = "network"
urlpatterns = [
    path("network/assets", views.AssetsView.as_view(), name="assets"),
    path("network/assets/<int:pk>", views.AssetView.as_view(), name="asset"),
    path("network/targets", views.ScanTargetsView.as_view(), name="targets"),
    path("network/targets/<int:pk>", views.ScanTargetView.as_view(), name="target"),
]
