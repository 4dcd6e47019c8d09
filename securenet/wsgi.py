"""The WSGI entry point, served by granian under `make run`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "securenet.settings")
application = get_wsgi_application()
