"""A process of the load: answers requests through Django's WSGI handler, and records each from the client's side.

``python -m tests.chaos.worker NUMBER RECORDS PLAN``. Its Redis and database are those of REDIS_URL and DATABASE_URL.
"""

from __future__ import annotations

import io
import itertools
import os
import sys
import time
from pathlib import Path

import django
from django.conf import settings

from tests.chaos.answers import Answer, answer_from
from tests.chaos.plans import Crowd, Load
from tests.chaos.stopping import Stopped


class Browser:
    """Makes requests in this process, as a web server would."""

    def __init__(self, process: int) -> None:
        from django.core.handlers.wsgi import WSGIHandler

        self.process = process
        self._handler = WSGIHandler()

    def get(self, path: str, client: int) -> Answer:
        """GET ``path`` as the client of this number."""
        status, headers = "", {}

        def start_response(given_status: str, given_headers: list[tuple[str, str]], *_: object) -> None:
            nonlocal status, headers
            status, headers = given_status, {name.lower(): value for name, value in given_headers}

        environ = {
            "REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": "", "SERVER_NAME": "localhost",
            "SERVER_PORT": "80", "REMOTE_ADDR": f"10.0.{client // 250}.{client % 250 + 1}", "HTTP_ACCEPT": "*/*",
            "wsgi.input": io.BytesIO(), "wsgi.url_scheme": "http",
        }  # fmt: skip
        started = time.monotonic_ns()
        response = self._handler(environ, start_response)
        b"".join(response)
        ended = time.monotonic_ns()
        response.close()
        return answer_from(started, ended, self.process, client, path, status, headers)


def main(number: int, records: Path, load: Load) -> None:
    """Answer requests until the plan's end."""
    stopped = Stopped()
    settings.ROOT_URLCONF = "tests.chaos.site"
    django.setup()
    browser, crowd, paths = Browser(number), Crowd(load, number), itertools.cycle(load.paths)
    deadline = time.monotonic() + load.seconds
    with records.open("w") as file:
        while not stopped.is_set and time.monotonic() < deadline:
            is_first = file.tell() == 0
            file.write(browser.get(next(paths), crowd.next(time.time())).line())
            if is_first:
                file.flush()  # the one who waits for the load to begin reads it
            time.sleep(load.pause)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "securenet.settings")
    main(int(sys.argv[1]), Path(sys.argv[2]), Load.from_json(sys.argv[3]))
