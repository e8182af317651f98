import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

application = get_wsgi_application()

from portal.checks import require_senders, require_triggers  # noqa: E402  the app registry must be ready first

require_senders()
require_triggers()
