"""Runs an application beside a provider, as its client: ``make run-oidc``. All that either keeps is forgotten."""

import argparse
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from tools.engines import ProgramMissing
from tools.openid_provider import OLDEST_NODE, PASSWORD, VERSION, OpenIDProvider, fetched, node_version

CLIENT_ID = "example"
MISSING = (
    "make run-oidc needs {what}: the company's OpenID provider is a package of npm's (oidc-provider {version}). "
    "On Debian: apt-get install nodejs npm. Without it: make run."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both until the application ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="where npm's packages are kept")
    parser.add_argument("--address", required=True, help="of the application, as browsers open it")
    parser.add_argument("--port", type=int, required=True, help="of the provider")
    parser.add_argument("command", nargs="+", help="the application's")
    given = parser.parse_args(arguments)
    module = _module(given.cache)
    secret = secrets.token_urlsafe(32)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="run-oidc-"))
        try:
            provider = stack.enter_context(OpenIDProvider(module, given.port, [client(given.address, secret)]))
        except RuntimeError as error:
            sys.exit(f"{error} (another port: make run-oidc PROVIDER_PORT=8002)")
        print(f"The company's provider: {provider.issuer}  (ada and grace, the password of both is “{PASSWORD}”)")
        print(f"The example application: {given.address}  -> Sign in -> Sign in with your company", flush=True)
        environment = os.environ | variables(provider.issuer, secret, Path(folder))
        with subprocess.Popen(given.command, env=environment) as application:
            while application.poll() is None:
                with suppress(KeyboardInterrupt):  # it was for the application as well, which ends in order
                    application.wait()
        return application.returncode


def client(address: str, secret: str) -> dict[str, object]:
    """The application, as the provider knows it."""
    return {
        "client_id": CLIENT_ID,
        "client_secret": secret,
        "redirect_uris": [f"{address}/company/callback"],
        "post_logout_redirect_uris": [f"{address}/company/signed-out"],
        "backchannel_logout_uri": f"{address}/auth/oidc/backchannel-logout",
    }


def variables(issuer: str, secret: str, folder: Path) -> Mapping[str, str]:
    """What the application is told by its environment."""
    return {
        "EXAMPLE_OIDC_ISSUER": issuer,
        "EXAMPLE_OIDC_CLIENT_ID": CLIENT_ID,
        "EXAMPLE_OIDC_CLIENT_SECRET": secret,
        "ASGI_SESSIONS_DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'sessions.db'}",
        "ASGI_SESSIONS_SECRET_KEY": secrets.token_urlsafe(48),
    }


def _module(cache: Path) -> Path:
    try:
        if (version := node_version()) < OLDEST_NODE:
            sys.exit(MISSING.format(what=f"Node.js {OLDEST_NODE} or newer, here is {version}", version=VERSION))
        if not (cache / f"oidc-provider-{VERSION}").exists():
            print(f"npm fetches oidc-provider {VERSION} into {cache}: 4 MB", flush=True)
        return fetched(cache)
    except ProgramMissing as missing:
        sys.exit(MISSING.format(what=f"Node.js and npm: {missing}", version=VERSION))
    except subprocess.CalledProcessError as failed:
        sys.exit(f"npm cannot fetch oidc-provider {VERSION}: {failed.stderr.decode(errors='replace')[-1000:]}")


if __name__ == "__main__":
    sys.exit(main())
