"""The policies SecureNet ships with."""

from django.apps import AppConfig


class PoliciesConfig(AppConfig):
    name = "securenet.policies"
    label = "first_policies"
    verbose_name = "First-release policies"
