"""Starts a worker on a server with a million recent tombstones, and prints what that took.

``python -m tests.revocation [--engine mariadb|postgresql] [--count 1000000]``
"""

import argparse
import asyncio
import time

from tests.revocation.starting import fill, start
from tests.servers import MariaDB, PostgreSQL

parser = argparse.ArgumentParser(prog="python -m tests.revocation", description=__doc__)
parser.add_argument("--engine", choices=["mariadb", "postgresql"], default="mariadb")
parser.add_argument("--count", type=int, default=1_000_000, help="tombstones, a multiple of 100")
given = parser.parse_args()

server = MariaDB() if given.engine == "mariadb" else PostgreSQL()
try:
    if given.engine == "mariadb":
        server.sql("SET GLOBAL innodb_buffer_pool_size = 536870912")  # a server that has so many sessions has more
    server.sql("CREATE DATABASE filled")
    began = time.perf_counter()
    asyncio.run(fill(server.url("filled"), given.count))
    print(f"{given.count} tombstones written to {given.engine} in {time.perf_counter() - began:.0f} s", flush=True)
    took = asyncio.run(start(server.url("filled")))
    print(f"started in {took.seconds:.1f} s with {took.statements} statements of at most {took.most_rows} rows")
    print(f"{took.known} handles known; the process grew by {took.megabytes:.0f} MB")
    print(f"longest pause of the event loop meanwhile: {took.longest_pause * 1000:.0f} ms")
    print(f"a poll: {took.poll_seconds * 1000:.0f} ms; a read of everything: {took.full_read_seconds:.1f} s")
finally:
    server.close()
