"""A SecureNet as `make run` starts it, with two web processes, for a browser to look at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.acceptance.site import PASSWORD, Site
from tests.servers.securenet import securenet

# The limits of the first release would get into the way of a browser that hurries.
NO_LIMITS = "from perf.models import RateLimitPolicy; RateLimitPolicy.objects.update(limit=1_000_000)"
PEOPLE = f"""
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
for role in ("security_admin", "soc_analyst", "viewer"):
    user = get_user_model().objects.create_user(role.replace("_", "-"), password={PASSWORD!r})
    user.groups.set(Group.objects.filter(name=role))
"""


@contextmanager
def started_site(data_dir: Path, *, limited: bool = False) -> Iterator[Site]:
    """Start it, with somebody in every role, and stop it.

    Args:
        limited: Keep the limits of the first release.
    """
    environment = {
        "SECURENET_ADMIN_PASSWORD": PASSWORD, "WEB_WORKERS": "2", "JOB_WORKERS": "1", "REDIS_TIMEOUT": "2",
    }  # fmt: skip
    with securenet(data_dir, **environment) as run:
        run.await_ready()
        site = Site(run, run.url, {})
        try:
            site.shell(PEOPLE if limited else f"{PEOPLE}\n{NO_LIMITS}")
            yield site
        finally:
            site.close()
