# watcher in a container: small, without root, its database in the volume /var/lib/watcher.
FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements.lock requirements-postgres.lock ./
RUN python -m venv /opt/watcher \
 && /opt/watcher/bin/pip install --no-cache-dir --require-hashes \
      -r requirements.lock -r requirements-postgres.lock
COPY . .
RUN /opt/watcher/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.13-slim
COPY --from=build /opt/watcher /opt/watcher
RUN useradd --system --uid 65532 watcher \
 && install -d -o watcher -g watcher -m 700 /var/lib/watcher
USER watcher
ENV PATH=/opt/watcher/bin:$PATH STATE_DIRECTORY=/var/lib/watcher
VOLUME /var/lib/watcher
EXPOSE 9466
HEALTHCHECK --start-period=60s CMD ["python", "-c", \
  "import urllib.request as r; r.urlopen('http://127.0.0.1:9466/readyz', timeout=5)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["watcher"]
CMD ["run", "--config", "/etc/watcher/watcher.toml"]
