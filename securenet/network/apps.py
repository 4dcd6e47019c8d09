"""Wires the network app: the machines of the network, and what of it may be scanned."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class NetworkConfig(AppConfig):
    name = "securenet.network"
    label = "network"
    verbose_name = _("Network")

    def ready(self) -> None:
        from securenet.network import signals

        signals.connect()
