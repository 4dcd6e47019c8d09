# ruff: noqa: E501
"""Who of the staff may do what in the admin: a line for each model, and one for each page beside those of models.

The columns of both tables are the callers of `STAFF`, in that order: staff without a role, and staff with one.
"""

from __future__ import annotations

from typing import Final

from securenet.accounts.roles import PLATFORM_OWNER, SECURITY_ADMIN, SOC_ANALYST, VIEWER

STAFF: Final = ("", VIEWER, SOC_ANALYST, SECURITY_ADMIN, PLATFORM_OWNER)

# v: sees the list, a: adds, c: changes, d: deletes.
MODELS: Final = """
                                         (none)  viewer  soc_analyst  security_admin  platform_owner
perf.accessrule                            ----   ----      ----           vacd            vacd
perf.cachepolicy                           ----   ----      ----           vacd            vacd
perf.jobpolicy                             ----   ----      ----           vacd            vacd
perf.ratelimitpolicy                       ----   ----      ----           vacd            vacd
perf.job                                   ----   ----      ----           v--d            v--d
perf.revision                              ----   ----      ----           v---            v---
django_rq.dashboard                        ----   ----      ----           v-c-            v-c-
accounts.user                              ----   ----      ----           ----            vacd
auth.group                                 ----   ----      ----           ----            vacd
network.asset                              ----   v---      v---           vacd            vacd
network.service                            ----   v---      v---           v--d            v--d
network.scantarget                         ----   v---      v---           vacd            vacd
security.finding                           ----   v---      v-c-           v-cd            v-cd
security.scan                              ----   v---      v---           v--d            v--d
vulnerabilities.feed                       ----   v---      v---           v-cd            v-cd
vulnerabilities.vulnerability              ----   v---      v---           v--d            v--d
vulnerabilities.exploitedvulnerability     ----   v---      v---           v--d            v--d
logs.logevent                              ----   v---      v---           v---            v---
logs.analysisrun                           ----   v---      v---           v---            v---
logs.logsource                             ----   v---      v---           vacd            vacd
logs.followedfile                          ----   v---      v---           v---            v---
logs.detectorsettings                      ----   v---      v---           v-c-            v-c-
notifications.notification                 ----   v---      v-c-           v-cd            v-cd
"""

# +: open, -: refused. A path follows where the pattern has places to fill.
PAGES: Final = r"""
                                                                     none vw an sa po
admin/                                                                  +  +  +  +  +
admin/password_change/                                                  +  +  +  +  +
admin/password_change/done/                                             +  +  +  +  +
admin/jsi18n/                                                           +  +  +  +  +
admin/autocomplete/                                                     -  -  -  -  -
admin/r/<path:content_type_id>/<path:object_id>/                        -  -  -  -  -  admin/r/999999/1/
admin/perf/try-it/                                                      -  -  -  +  +
admin/perf/live/                                                        -  -  -  +  +
admin/perf/revision/export/                                             -  -  -  +  +
admin/perf/revision/import/                                             -  -  -  +  +
admin/perf/revision/<int:number>/bring-back/                            -  -  -  +  +  admin/perf/revision/{revision}/bring-back/
admin/accounts/user/<id>/password/                                      -  -  -  -  +  admin/accounts/user/{user}/password/
admin/django_rq/dashboard/^stats.json/?$                                -  -  -  +  +  admin/django_rq/dashboard/stats.json
admin/django_rq/dashboard/^stats.json/(?P<token>[\w]+)?/?$              -  -  -  +  +  admin/django_rq/dashboard/stats.json/guess
admin/django_rq/dashboard/^metrics/?$                                   -  -  -  +  +  admin/django_rq/dashboard/metrics
admin/^(?P<app_label>perf|django_rq|accounts|auth|network|security|vulnerabilities|logs|notifications)/$  -  -  -  +  +  admin/perf/
admin/(?P<url>.*)$                                                      -  -  -  -  -  admin/nothing-is-here
"""

# Pages of django-rq about queues and workers: all closed to who may not see jobs, whatever they are asked for.
QUEUES: Final = "admin/django_rq/dashboard/"
OPEN_TO_ALL: Final = frozenset({"admin/login/", "admin/logout/"})
