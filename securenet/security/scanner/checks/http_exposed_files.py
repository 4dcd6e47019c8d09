"""Files that deployments leave behind and that a web server shows: the history of the source, and its secrets.

Judged by what is in them: a site that answers every path with some page has none of them. Values of variables are
secrets and go into no finding.
"""

from __future__ import annotations

import re

from ..issue import Issue, Severity
from ..observation import HttpFile, HttpFiles, HttpResponse, Observation
from .base import Check, Verdict, register

_GIT_HEAD = re.compile(r"(?:ref: refs/[\w./-]{1,200}|[0-9a-f]{40}(?:[0-9a-f]{24})?)\s*", re.ASCII)
# No second "=" after the first: that would be the end of a key in Base64, which is no name to be shown.
_VARIABLE = re.compile(r"^[ \t]*(?:export[ \t]+)?([A-Z][A-Z0-9_]{1,60})[ \t]*=[ \t]*[^=\s]", re.MULTILINE | re.ASCII)
_PAGE_OR_SCRIPT = re.compile(r"\A\s*#!|<(?:!doctype|html|head|body|script|\?xml)\b", re.IGNORECASE)
_MOST_NAMES = 20


@register
class HttpExposedFiles(Check):
    check_id = "http-exposed-files"
    services = frozenset({"http", "https"})

    def judge(self, observation: Observation) -> Verdict:
        """None where a file was found nowhere, but not everywhere looked for."""
        asked, home = observation.detail(HttpFiles), observation.detail(HttpResponse)
        if asked is None:
            return None
        issues: list[Issue] = []
        for file in asked.files:
            # What the front page says as well is an answer to every path.
            if 200 <= file.status < 300 and (home is None or file.page != home.page):
                issues.extend(self._git(observation, file) + self._environment(observation, file))
        return tuple(issues) if issues or (asked.files and asked.is_complete) else None

    def _git(self, observation: Observation, file: HttpFile) -> tuple[Issue, ...]:
        if not file.path.endswith("/.git/HEAD") or not _GIT_HEAD.fullmatch(file.page):
            return ()
        return (
            Issue(
                check_id=self.check_id,
                port=observation.port,
                title="The web server shows its Git repository",
                severity=Severity.HIGH,
                description="The whole history of the source can be fetched, with whatever was ever in it.",
                advice="Do not deploy .git, or refuse paths that begin with a dot; change the secrets that were in it.",
                evidence={"path": file.path, "content": file.page[:100]},
                confidence=95,
                component=file.path,
                cvss="CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N",
            ),
        )

    def _environment(self, observation: Observation, file: HttpFile) -> tuple[Issue, ...]:
        if not file.path.endswith("/.env") or _PAGE_OR_SCRIPT.search(file.page):
            return ()
        names = list(dict.fromkeys(_VARIABLE.findall(file.page)))[:_MOST_NAMES]
        if not names:
            return ()
        return (
            Issue(
                check_id=self.check_id,
                port=observation.port,
                title="The web server shows a file of environment variables",
                severity=Severity.HIGH,
                description="Such files hold passwords and keys; whoever asks gets them.",
                advice="Keep .env out of what is served, refuse paths that begin with a dot, and change all that "
                "is in it.",
                evidence={"path": file.path, "variables": names},
                confidence=95,
                component=file.path,
                cvss="CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N",
            ),
        )
