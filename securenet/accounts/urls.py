"""Include below ``api/``: ``path("api/", include("securenet.accounts.urls"))``."""

from django.urls import path

from securenet.accounts import views

app_name = "accounts"
urlpatterns = [
    path("auth/token", views.TokenView.as_view(), name="token"),
    path("auth/refresh", views.RefreshView.as_view(), name="refresh"),
]
