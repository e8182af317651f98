# The portal as an image: the web server, and by another command a worker or any manage.py.
#
#   docker build --tag portal .
#   docker run --env-file portal.env --volume portal-data:/srv/portal --volume portal-keys:/etc/portal/keys \
#       --publish 127.0.0.1:8000:8000 portal                      the web server; a proxy that ends TLS stands in front
#   docker run --init ... portal deploy/worker freezes            exactly one of these: it has the clock
#   docker run --init ... portal deploy/worker others
#   docker run --rm ... portal python manage.py migrate
#
# portal.env is deploy/portal.env, filled in: databases and secrets are no part of the image.

FROM python:3.11-slim AS packages
WORKDIR /opt/portal
RUN python -m venv .venv
COPY requirements.lock .
# Wheels only: nothing is compiled, and no package runs code of its own while it is installed.
RUN .venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --only-binary=:all: \
    --require-hashes -r requirements.lock

FROM python:3.11-slim
RUN groupadd --gid 10001 portal \
    && useradd --uid 10001 --gid portal --home-dir /opt/portal --no-create-home --shell /usr/sbin/nologin portal \
    && install -d -m 700 -o portal -g portal /srv/portal /etc/portal /etc/portal/keys
WORKDIR /opt/portal
ENV PATH=/opt/portal/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PORTAL_DATA_DIR=/srv/portal \
    STATIC_DIR=/opt/portal/collected \
    WEB_BIND=0.0.0.0:8000
COPY --from=packages /opt/portal/.venv .venv
COPY . .
# The settings need no secrets to say where files are. What they write is closed to others, so it is opened for reading.
RUN PORTAL_ENV=development PORTAL_DATA_DIR=/tmp/collecting python manage.py collectstatic --noinput --verbosity 0 \
    && rm -r /tmp/collecting \
    && chmod -R a+rX "$STATIC_DIR" \
    && python -m compileall -q .
# The code belongs to root: the portal can read and run it, and write to its data directory and keys only.
USER portal
EXPOSE 8000
# The processes' heartbeats stay off the disk.
CMD ["gunicorn", "--config", "deploy/gunicorn.conf.py", "--worker-tmp-dir", "/dev/shm"]
