"""SecureNet's settings, and a few views and job types beside its own. Asked for with DJANGO_SETTINGS_MODULE."""

from securenet.settings import *  # noqa: F403
from securenet.settings import INSTALLED_APPS as PRODUCT_APPS

INSTALLED_APPS = [*PRODUCT_APPS, "tests.chaos.storm.apps.StormConfig"]
ROOT_URLCONF = "tests.chaos.storm.site"
# Without it popular entries are refreshed before their time, and an origin call too many could not be told.
PERF_EARLY_REFRESH = 0.0
