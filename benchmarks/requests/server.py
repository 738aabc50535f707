"""A uvicorn server for one application, on a socket that the parent has opened: ``server APP DESCRIPTOR``."""

import logging
import os
import signal
import socket
import sys
import threading

import uvicorn


def end_with_parent() -> None:
    """Stop when the input ends: a harness that was killed leaves no servers behind."""
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    threading.Thread(target=end_with_parent, daemon=True).start()
    logging.getLogger("asgi_sessions").setLevel(logging.ERROR)  # the long lifetime of the tokens is a warning
    app, descriptor = sys.argv[1:]
    config = uvicorn.Config(
        f"benchmarks.requests.apps.{app}:app",
        loop="uvloop",
        http="httptools",
        lifespan="on",
        access_log=False,
        log_level="warning",
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(descriptor))])
