"""The pages for signing in and out. Include at the root: ``path("", include("securenet.accounts.urls_web"))``."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from securenet.accounts.views_web import SignInPage

urlpatterns = [
    path("login", SignInPage.as_view(), name="login"),
    path("logout", LogoutView.as_view(), name="logout"),
]
