# The example application. SQLite in /data unless ASGI_SESSIONS_DATABASE_URL says otherwise:
#   docker build -t asgi-sessions-example . && docker run --rm -p 127.0.0.1:8000:8000 asgi-sessions-example
FROM python:3.11-slim AS build
WORKDIR /build
COPY pyproject.toml README.md LICENSE ./
COPY asgi_sessions ./asgi_sessions
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir ".[example,mysql]"

FROM python:3.11-slim
COPY --from=build /venv /venv
WORKDIR /app
COPY example_app ./example_app
RUN useradd --system --no-create-home example && install --directory --owner=example /data
USER example
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ASGI_SESSIONS_DATABASE_URL=sqlite+aiosqlite:////data/sessions.db
EXPOSE 8000
CMD ["uvicorn", "example_app.main:app", "--host", "0.0.0.0", "--port", "8000"]
