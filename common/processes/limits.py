"""How long the database may keep a process waiting.

Settings give every process the long limits, which suit workers and commands: an import, a freeze or a recomputation
runs as long as it takes. The web server calls `for_web` before it opens a connection. Its answers are short or they
are 503 with `Retry-After`: a request that waits holds a thread, and one holder of the ledger's lock would hold all
threads.
"""

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections


def for_web(using: str = DEFAULT_DB_ALIAS) -> None:
    """Give this process the web server's limits. Connections that are open already keep theirs."""
    options = connections[using].settings_dict["OPTIONS"]
    if connections[using].vendor == "sqlite":
        options["timeout"] = settings.WEB_SQLITE_SECONDS
    else:
        # Of two values for one parameter the server takes the last.
        options["options"] = (
            f"{options.get('options', '')} -c lock_timeout={settings.WEB_LOCK_SECONDS}s"
            f" -c statement_timeout={settings.WEB_STATEMENT_SECONDS}s"
        ).strip()
