import os

from django.core.wsgi import get_wsgi_application

from portal import directories

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

# The middleware looks for its directory of static files.
directories.make()

application = get_wsgi_application()

# Only now is the app registry ready.
from common.processes import limits  # noqa: E402
from ledger.checks import compare_clocks, require_triggers  # noqa: E402
from portal.checks import require_senders  # noqa: E402

limits.for_web()
require_senders()
require_triggers()
compare_clocks()
