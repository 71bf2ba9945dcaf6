"""What gunicorn (`wsgi`), uvicorn and granian (`asgi`) serve: an answer that names the process."""

import os

BODY = f"worker-{os.getpid()}".ljust(42).encode()  # each worker imports this for itself
HEADERS = [("Content-Length", "42"), ("Content-Type", "text/plain")]
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(name.lower().encode(), value.encode()) for name, value in HEADERS],
}


def wsgi(environ, start_response):
    start_response("200 OK", HEADERS)
    return [BODY]


async def asgi(scope, receive, send):
    await send(START)
    await send({"type": "http.response.body", "body": BODY})
