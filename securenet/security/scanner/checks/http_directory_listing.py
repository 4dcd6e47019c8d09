"""A web server that lists the files of a directory: told by the pages that servers make themselves."""

from __future__ import annotations

import re

from ..issue import Issue, Severity
from ..observation import HttpResponse, Observation
from .base import Check, Verdict, register

# Apache, nginx, lighttpd; Python's http.server; Tomcat; Jetty. An article of such a title has more in its title.
_LISTING = re.compile(
    r"<title>\s*(?:Index of /[^<\s]{0,200}|Directory listing for /[^<\s]{0,200}|"
    r"Directory Listing For \[?/[^<\s]{0,200}|Directory: /[^<\s]{0,200})\s*</title>.*?<a\s[^>]{0,200}?href=",
    re.IGNORECASE | re.DOTALL,
)
# IIS has only the name of the host in the title, but its lists look like no others.
_IIS_LISTING = re.compile(
    r"<title>(?P<title>[^<]{1,200} - /[^<\s]{0,200})</title>.*?"
    r"(?:<h1>(?P=title)</h1><hr>\s*<pre>|\[To Parent Directory\]|&lt;dir&gt;)",
    re.IGNORECASE | re.DOTALL,
)
# Go's http.FileServer makes no title.
_GO_LISTING = re.compile(r"\A(?:<!doctype html>\s*<meta name=\"viewport\"[^>]{0,100}>\s*)?<pre>\s*<a href=")
_LISTINGS = (_LISTING, _IIS_LISTING, _GO_LISTING)


@register
class HttpDirectoryListing(Check):
    check_id = "http-directory-listing"
    services = frozenset({"http", "https"})

    def judge(self, observation: Observation) -> Verdict:
        response = observation.detail(HttpResponse)
        if response is None or response.status >= 500:
            return None  # out of order for now
        if response.status != 200 or not any(listing.search(response.page) for listing in _LISTINGS):
            return ()
        return (
            Issue(
                check_id=self.check_id,
                port=observation.port,
                title="The web server lists the files of a directory",
                severity=Severity.LOW,
                description="Everybody sees which files there are, those that no page leads to among them: copies, "
                "archives, sources.",
                advice="Switch directory indexes off (nginx: autoindex off; Apache: Options -Indexes), or give the "
                "directory an index page.",
                evidence={"path": "/", "page": response.page[:300]},
                confidence=90,
            ),
        )
