"""nginx and HAProxy as docs/deployment.md has them: TLS and HTTP/2 before browsers, one application behind."""

import re
import ssl
import urllib.request
from pathlib import Path

from tests.docs.pages import ROOT, file_of
from tests.patience import PATIENCE
from tests.servers import Server
from tools.engines import find_program

PAGE = ROOT / "docs" / "deployment.md"
WHO = "/which-proxy"
"""An address of the proxy itself: whether it is this one that answers on its port."""


def changed(text: str, *changes: tuple[str, str]) -> str:
    """The text with what a machine of one's own needs: each change is of something that is there."""
    for old, new in changes:
        if old not in text:
            raise ValueError(f"the recipe has no {old}")
        text = text.replace(old, new)
    return text


class HTTPProxy(Server):
    """Serves one application to browsers.

    Args:
        behind: The application's port.
        certificate: A file, and that of its key.
        tells: Whether the application learns the public scheme and the client's address.
        path: The application is below it, and does not know.
    """

    def __init__(self, behind: int, certificate: tuple[Path, Path], *, tells: bool = True, path: str = "") -> None:
        self._behind = f"127.0.0.1:{behind}"
        self._certificate, self._key = certificate
        self._tells = tells
        self._path = path
        super().__init__()

    @property
    def url(self) -> str:  # type: ignore[override]  # this one's databases are pages
        return f"https://localhost:{self.port}{self._path}"

    def _install(self) -> None:
        (self.folder / "data").mkdir()

    def _data_folder(self) -> str:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            with urllib.request.urlopen(
                f"https://127.0.0.1:{self.port}{WHO}", context=context, timeout=PATIENCE
            ) as told:
                return str(told.read().decode())
        except OSError:
            return ""

    def _hidden(self, text: str) -> str:
        return text if self._tells else re.sub(r"^.*X-Forwarded.*\n", "", text, flags=re.MULTILINE)


class Nginx(HTTPProxy):
    name = "nginx"

    def _command(self) -> list[str]:
        data = self.folder / "data"
        site = changed(
            self._hidden(file_of(PAGE, "/etc/nginx/conf.d/shop.conf")),
            ("listen 443 ", f"listen 127.0.0.1:{self.port} "),
            ("/etc/ssl/shop.pem", str(self._certificate)),
            ("/etc/ssl/shop.key", str(self._key)),
            ("location / {", f"location = {WHO} {{ return 200 {data}; }}\n    location {self._path}/ {{"),
            ("http://127.0.0.1:8000;", f"http://{self._behind}{'/' if self._path else ''};"),
        )
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        folders = "".join(f"{kind}_temp_path {data / kind};\n" for kind in kinds)
        file = data / "nginx.conf"
        file.write_text(
            f"daemon off;\nmaster_process off;\npid {data / 'pid'};\nerror_log stderr;\nevents {{}}\n"
            f"http {{\naccess_log off;\n{folders}{site}}}\n"
        )
        return [find_program("nginx"), "-e", "stderr", "-p", str(data), "-c", str(file)]


class HAProxy(HTTPProxy):
    name = "haproxy"

    def _command(self) -> list[str]:
        data = self.folder / "data"
        both = data / "both.pem"
        both.write_text(self._certificate.read_text() + self._key.read_text())
        rules = [f"http-request return status 200 content-type text/plain string {data} if {{ path {WHO} }}"]
        if self._path:
            rules.append(f"http-request replace-path {self._path}/(.*) /\\1")
        text = changed(
            self._hidden(file_of(PAGE, "/etc/haproxy/haproxy.cfg")),
            ("bind :443 ", f"bind 127.0.0.1:{self.port} "),
            ("/etc/haproxy/shop.pem", str(both)),
            ("    default_backend", "".join(f"    {rule}\n" for rule in rules) + "    default_backend"),
            ("127.0.0.1:8000", self._behind),
        )
        file = data / "haproxy.cfg"
        file.write_text(text)
        return [find_program("haproxy"), "-db", "-f", str(file)]


PROXIES: dict[str, type[HTTPProxy]] = {"nginx": Nginx, "haproxy": HAProxy}
