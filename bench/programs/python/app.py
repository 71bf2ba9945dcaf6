"""What gunicorn serves in the contest of reloads: `/` at once, `/slow/MS` after so many milliseconds."""

import os
import time


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/slow/"):
        time.sleep(int(path.removeprefix("/slow/")) / 1000)
    body = f"pid:{os.getpid()} worker:-".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
