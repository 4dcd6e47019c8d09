"""Include below ``api/``: ``path("api/", include("securenet.logs.urls"))``."""

from django.urls import path

from securenet.logs import views

app_name = "logs"
urlpatterns = [path("logs", views.LogsView.as_view(), name="logs")]
