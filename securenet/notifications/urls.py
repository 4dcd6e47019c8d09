"""Include below ``api/``: ``path("api/", include("securenet.notifications.urls"))``."""

from django.urls import path

from securenet.notifications import views

app_name = "notifications"
urlpatterns = [
    path("notifications", views.NotificationsView.as_view(), name="notifications"),
    path("notifications/<int:pk>", views.NotificationView.as_view(), name="notification"),
]
