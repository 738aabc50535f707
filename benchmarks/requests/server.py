"""A uvicorn server for one application, on a socket that the parent has opened: ``server APP DESCRIPTOR``."""

import logging
import socket
import sys

import uvicorn


def main() -> None:
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
