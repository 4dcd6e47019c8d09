"""django-rq as a part of SecureNet's admin, where its name for people is that of what it shows."""

from django.utils.translation import gettext_lazy as _
from django_rq.apps import DjangoRqAdminConfig


class QueuesConfig(DjangoRqAdminConfig):
    name = "django_rq"
    verbose_name = _("Queues")
