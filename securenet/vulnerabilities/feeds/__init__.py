"""Reads the files that vulnerability databases publish: NVD, OSV, CISA KEV. Pure but for reading; nothing is fetched.

A new format is one module with a reader, and one entry in `reading.READERS`.
"""

from securenet.vulnerabilities.feeds.reading import Feed, FeedKind, NotAFeed, read_feed
from securenet.vulnerabilities.feeds.records import AffectedRange, Exploited, Record, Withdrawn

__all__ = ["AffectedRange", "Exploited", "Feed", "FeedKind", "NotAFeed", "Record", "Withdrawn", "read_feed"]
