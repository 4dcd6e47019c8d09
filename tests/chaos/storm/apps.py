"""The app that brings the job types whose effects can be counted."""

from __future__ import annotations

from django.apps import AppConfig

from tests.chaos import job_worker


class StormConfig(AppConfig):
    """Has no models; registers the job types of `tests.chaos.job_worker`."""

    name = "tests.chaos.storm"
    label = "storm"

    def ready(self) -> None:
        job_worker.register()
