"""The web server: gunicorn behind a proxy on the same machine. `gunicorn --config deploy/gunicorn.conf.py`.

| variable | default | meaning |
|---|---|---|
| WEB_BIND | unix:/run/portal/web.sock | where the proxy reaches it; or 127.0.0.1:8000 |
| WEB_PROCESSES, WEB_THREADS | 4, 8 | so many processes with so many threads each |
"""

import os

wsgi_app = "portal.wsgi:application"
bind = os.environ.get("WEB_BIND", "unix:/run/portal/web.sock")
# The socket is for the portal's user and group: add the proxy's user to the group.
umask = 0o007

workers = int(os.environ.get("WEB_PROCESSES", "4"))
# Threads: a download that a slow reader takes, or a request that waits for a lock, holds one of many.
worker_class = "gthread"
threads = int(os.environ.get("WEB_THREADS", "8"))
# Longer than the database may keep a request waiting (WEB_LOCK_SECONDS, WEB_STATEMENT_SECONDS).
timeout = 60
graceful_timeout = 30
keepalive = 75

# A process that reaches it could stop the server, and nothing here uses it.
control_socket_disable = True
# The portal logs each request itself, without addresses.
accesslog = None
loglevel = "warning"
