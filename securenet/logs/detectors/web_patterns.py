"""What an attack looks like in a request target: probe paths, traversal, injection. Pure functions over text.

Everything is matched after percent-decoding twice, in path *and* query; patterns ask for what no ordinary
link holds, because a false alarm per search for "select" would be worse than none.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

MAX_TARGET = 8192  # as long as a line may be: nothing hides behind padding

_OVERLONG = re.compile(r"%c0%(?:ae|2e)|%e0%80%ae|(%c0%af|%c1%9c|%e0%80%af)", re.IGNORECASE)
_UNICODE_ESCAPE = re.compile(r"%u00([0-9a-f]{2})", re.IGNORECASE)

# Nothing below can match a text without one of these.
_WORTH_A_LOOK = re.compile(
    r"[<'\"();|`$\\{\x00]|\.\.|://|union|/etc/|/proc/|\.ini|\s(?:or|and)\s|&&|waitfor|_schema|169\.254\.169"
)
_SQL_COMMENT = re.compile(r"/\*[^*]{0,64}\*/")

_COMMANDS = r"(?:cat|wget|curl|nc|bash|sh|ping|rm|chmod|uname|powershell|nslookup)"
PATTERNS: dict[str, re.Pattern[str]] = {
    "path traversal": re.compile(
        r"(?:\.\.;?[/\\]){2}|^[^?]*[/\\]\.\.;?(?:[/\\]|$)|/etc/(?:passwd|shadow|group|hosts)\b|/proc/self/"
        r"|\b(?:win|boot)\.ini\b|\x00"
    ),
    "SQL injection": re.compile(
        r"\bunion\b[\s/*!+(]{1,20}(?:all\b[\s/*!+(]{1,20})?(?:distinct\s{1,4})?select\b"
        r"|['\"]\s{0,4}\)?\s{0,4}(?:or|and)\s{1,4}\(?['\"]?\w{1,16}['\"]?\s{0,4}(?:=|<|>|like\s)"
        r"|\b(?:or|and)\s{1,4}(\d{1,8})\s{0,4}=\s{0,4}\1\b"
        r"|['\";)]\s{0,4};?\s{0,4}(?:drop|alter|truncate)\s{1,4}(?:table|database|user)\b"
        r"|\b(?:pg_sleep|benchmark|extractvalue|updatexml|load_file)\s{0,4}\("
        r"|(?:['\");,(]|\b(?:and|or|select|then)\s)\s{0,4}sleep\s{0,4}\(\s{0,4}\d"
        r"|\bwaitfor\s{1,4}delay\b|\binformation_schema\."
    ),
    "cross-site scripting": re.compile(
        r"<\s{0,4}/?script\b|<[a-z]{1,16}[\s/][^<>]{0,256}\bon[a-z]{3,24}\s{0,4}=|\bjavascript:[^\s]{0,64}[(`]"
        r"|<\s{0,4}(?:iframe|svg|object|embed)\b[^>]{0,64}[\s/>]"
    ),
    "command injection": re.compile(
        rf"(?:;|\||&&|`|\$\()\s{{0,4}}{_COMMANDS}\s{{1,4}}(?:[-/.$]|https?:|\d{{1,3}}\.)"
        r"|(?:;|\||&&|`|\$\()\s{0,4}(?:whoami|uname|ifconfig)\s{0,4}(?:[;`)|&]|$)|(?:`|\$\()\s{0,4}id\s{0,4}[`)]"
        r"|\(\)\s{0,4}\{"
    ),
    "expression injection": re.compile(
        r"\$\{\s{0,4}(?:jndi|lower|upper|env|sys|java|::-|\$\{)|\{\{\s{0,4}['\"\d]{1,8}\s{0,4}\*\s{0,4}['\"\d]"
        r"|[$#%]\{[^}]{0,128}(?:runtime|processbuilder|getclass)"
    ),
    "request forgery": re.compile(r"\b169\.254\.169\.254\b|\bmetadata\.google\.internal\b"),
    "file inclusion": re.compile(r"\b(?:php|expect|phar|zip|data|gopher|dict)://|=\s{0,4}file:///"),
}
"""Attack class → pattern, over a lower-cased, decoded target."""

# Asking for these is an attack whatever the answer.
_SECRET = re.compile(
    r"(?:^|/)(?:\.env(?:\.[\w-]{1,32})?|\.(?:git|svn|hg|aws|ssh|kube|docker|vscode)(?:/.*)?|\.git-credentials"
    r"|\.(?:htpasswd|htaccess|npmrc|netrc|pgpass|bash_history|ds_store)|id_(?:rsa|dsa|ecdsa|ed25519)"
    r"|wp-config\.php[\w.~-]{0,16}|vendor/phpunit/.{1,128}|_ignition/execute-solution|boaform/.{0,64}|hnap1"
    r"|actuator/(?:env|heapdump|gateway.{0,64})|cgi-bin/.{0,64}/bin/(?:ba)?sh|proc/self/environ)\Z",
    re.DOTALL,
)
# These belong to software that may really be installed: only where it is not, they are a probe.
_FOREIGN = re.compile(
    r"(?:^|/)(?:wp-login\.php|wp-admin(?:/.*)?|wp-includes/.*|xmlrpc\.php|wlwmanifest\.xml|phpmyadmin(?:/.*)?"
    r"|pma(?:/.*)?|adminer[\w.-]{0,16}\.php|phpinfo(?:\.php)?|info\.php|shell\.php|eval-stdin\.php|server-status"
    r"|server-info|actuator(?:/.*)?|manager/html|solr/.*|jenkins(?:/.*)?|owa(?:/.*)?|autodiscover/.*|cgi-bin/.*"
    r"|telescope/requests|config\.(?:php|yml|bak)|(?:backup|dump|db|database|site)\.(?:sql|zip|tar\.gz|gz)"
    r"|login\.action|geoserver(?:/.*)?|druid/.*|nacos/.*|ecp/.*|remote/login)\Z",
    re.DOTALL,
)
_ABSENT = frozenset({404, 410})
_EVERYDAY = re.compile(
    r"^/(?:favicon\.ico|robots\.txt|ads\.txt|humans\.txt|security\.txt|sitemap[\w-]{0,32}\.xml"
    r"|apple-touch-icon[\w-]{0,32}\.png|apple-app-site-association|browserconfig\.xml|manifest\.json"
    r"|site\.webmanifest|\.well-known/.*|.*\.map)\Z"
)


def decoded(target: str) -> str:
    """Return ``target`` percent-decoded twice and lower-cased, its first `MAX_TARGET` characters.

    Overlong UTF-8 for "." and "/" and IIS' ``%uHHHH`` are decoded too: servers have accepted them.
    """
    text = target[:MAX_TARGET]
    if "%" in text:
        for _ in range(2):
            text = _OVERLONG.sub(lambda match: "/" if match[1] else ".", text)
            text = _UNICODE_ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
            text = unquote(text, errors="replace")
    return text.lower()


def attack_patterns(path: str, query: str = "") -> list[str]:
    """Return the names of the `PATTERNS` in a request's path and query, both as sent."""
    text = decoded(path)
    if query:
        text = f"{text}?{decoded(query.replace('+', ' '))}"
    if "/*" in text:
        text = _SQL_COMMENT.sub(" ", text)
    if not _WORTH_A_LOOK.search(text):
        return []
    return [name for name, pattern in PATTERNS.items() if pattern.search(text)]


def header_patterns(value: str) -> list[str]:
    """Return the names of the `PATTERNS` in a request header that aim at whatever logs or evaluates it."""
    if "${" not in value and "(){" not in value.replace(" ", "", 8):
        return []
    text = value[:MAX_TARGET].lower()
    return [name for name in ("expression injection", "command injection") if PATTERNS[name].search(text)]


def normalised(path: str) -> str:
    """Return ``path`` decoded, without path parameters, doubled slashes or a slash at the end."""
    text = decoded(path)
    if "://" in text[:12]:  # absolute form, as sent to a proxy
        text = "/" + text.split("://", 1)[1].partition("/")[2]
    if ";" in text:
        text = re.sub(r";[^/]{0,256}", "", text)
    while "//" in text:
        text = text.replace("//", "/")
    return text.rstrip("/") or "/"


def is_probe(normal_path: str, status: int | None) -> bool:
    """Return whether asking for a `normalised` path, answered ``status``, is looking for a known weakness."""
    if _SECRET.search(normal_path):
        return True
    return status in _ABSENT and _FOREIGN.search(normal_path) is not None


def is_everyday_miss(normal_path: str) -> bool:
    """Return whether browsers and crawlers ask for this path unasked, so that its 404 means nothing."""
    return _EVERYDAY.match(normal_path) is not None
