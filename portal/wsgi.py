import os

from django.core.wsgi import get_wsgi_application

from portal import directories

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

# The middleware looks for its directory of static files.
directories.make()

application = get_wsgi_application()

# Only now is the app registry ready.
from portal import checks, limits  # noqa: E402

limits.for_web()
checks.require_senders()
checks.require_triggers()
checks.compare_clocks()
