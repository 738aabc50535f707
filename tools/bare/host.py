"""What bare systems get from this machine: where its apt and its pip fetch from, read when they are needed."""

import os
import platform
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

VARIABLES = re.compile(r"(PIP_\w+|(https?|ftp|all|no)_proxy)$", re.IGNORECASE)
APT_SETTINGS = re.compile(r"Acquire::(https?::|Retries|Check-).+")
CERTIFICATES = Path("/usr/local/share/ca-certificates")


class NoMirror(Exception):
    """This machine's apt fetches from no mirror of Debian."""


@dataclass(frozen=True, slots=True)
class Mirrors:
    """Where Debian's packages are fetched from.

    Attributes:
        main: The archive.
        security: What mends released systems, None where apt here uses none.
    """

    main: str
    security: str | None

    def sources(self, codename: str) -> str:
        """The lines of a ``sources.list`` for a release of Debian."""
        lines = [f"deb {self.main} {codename} main"]
        if codename != "sid":
            lines.append(f"deb {self.main} {codename}-updates main")
            if self.security:
                lines.append(f"deb {self.security} {codename}-security main")
        return "\n".join(lines) + "\n"


def mirrors() -> Mirrors:
    """Those that apt is configured with here.

    Raises:
        NoMirror: apt has none, or none of Debian.
    """
    codename = platform.freedesktop_os_release().get("VERSION_CODENAME", "sid")
    command = ["apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)", "Created-By: Packages"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    found = dict(reversed([(suite, uri) for suite, _, uri in (line.partition(" ") for line in lines)]))
    if platform.freedesktop_os_release().get("ID") != "debian" or codename not in found:
        raise NoMirror(f"apt here fetches {', '.join(found) or 'nothing'}, so that no mirror of Debian is known")
    return Mirrors(found[codename], found.get(f"{codename}-security"))


def apt_settings() -> str:
    """How apt reaches its mirrors here: proxies, and which dates it believes."""
    dump = subprocess.run(["apt-config", "dump"], check=True, capture_output=True, text=True).stdout
    return "".join(f"{line}\n" for line in dump.splitlines() if APT_SETTINGS.match(line) and not line.endswith('"";'))


def variables() -> dict[str, str]:
    """Of pip and of proxies."""
    return {name: value for name, value in os.environ.items() if VARIABLES.match(name)}


def pip_files() -> list[Path]:
    """The configuration files that pip reads here."""
    home = Path.home()
    named = os.environ.get("PIP_CONFIG_FILE")
    places = [Path("/etc/pip.conf"), home / ".config/pip/pip.conf", home / ".pip/pip.conf"]
    return [place for place in [*places, *([Path(named)] if named else [])] if place.is_file()]


def pip_paths() -> list[Path]:
    """Files and folders of this machine that pip's configuration names: certificates, folders with packages."""
    texts = [*variables().values(), *(place.read_text() for place in pip_files())]
    return sorted(set(_paths_in(" ".join(texts))))


def _paths_in(text: str) -> Iterator[Path]:
    for word in re.split(r"[\s=,]+", text):
        path = Path(word.removeprefix("file://"))
        if path.is_absolute() and len(path.parts) > 2 and path.exists():
            # An index of links to files beside it is of use with those files only.
            yield path.parent if path.name == "simple" else path
