FROM python:3.11-slim-bookworm AS build
WORKDIR /app
RUN python -m venv --without-pip /opt/venv
COPY requirements.lock .
# Wheels only: the build requirements of a source archive have no hashes.
RUN pip --python /opt/venv/bin/python install --no-cache-dir \
    --only-binary :all: --require-hashes -r requirements.lock
COPY . .
# Without DATABASE_URL the settings generate a secret key, which must not stay in the image.
# chmod: files of a checkout may be readable by their owner only, and the service is another user.
RUN /opt/venv/bin/python manage.py collectstatic --noinput \
    && rm .secret_key \
    && chmod -R a+rX .


FROM python:3.11-slim-bookworm
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PORT=8000 \
    GUNICORN_CMD_ARGS=--worker-tmp-dir=/dev/shm
# A mount point: docker-compose.yml keeps the secret key in a volume there.
RUN useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin app \
    && install --directory --mode 700 --owner app --group app /var/lib/baywheels
WORKDIR /app
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/healthz', timeout=4)"]
CMD ["gunicorn", "baywheels.wsgi"]
