"""From log lines to events: `parse_line` and its relatives, free of Django and of any I/O.

How a line is framed is decided in `registry.FORMATS`, what a message means in `syslog.PROGRAMS`.
"""

from securenet.logs.parsers.event import Event, Kind
from securenet.logs.parsers.registry import FORMATS, parse_line, parse_lines, parse_object
from securenet.logs.parsers.syslog import PROGRAMS

__all__ = ["FORMATS", "PROGRAMS", "Event", "Kind", "parse_line", "parse_lines", "parse_object"]
