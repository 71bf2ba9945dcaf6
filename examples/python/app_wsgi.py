"""A WSGI application. No framework.

GET /        answers `pid:P worker:N`.
GET /slow/MS answers the same after MS milliseconds.
"""

import os
import time


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/slow/"):
        time.sleep(int(path.removeprefix("/slow/")) / 1000)
    body = f"pid:{os.getpid()} worker:{os.environ.get('HERDER_WORKER_ID', '-')}".encode()
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]
