"""axe-core, which finds what keeps people from using a page: contrast, names, roles, headings. Fetched by npm, once."""

import os
import subprocess
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from selenium.webdriver.remote.webdriver import WebDriver

VERSION = "4.14.1"
RUN = """;
const [rules, done] = arguments;
(globalThis.axe ?? window.axe).run(document, {resultTypes: ["violations"], runOnly: rules}).then(
  found => done(found.violations.map(
    each => [each.id, ...each.nodes.map(node => `${node.html} ${node.failureSummary}`)]
  )),
  error => done([["failed", String(error)]]),
);
"""
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


def script(npm: str, cache: Path) -> str:
    """Its text, from the cache or by npm.

    Raises:
        subprocess.CalledProcessError: npm cannot fetch it.
    """
    file = cache / f"axe-{VERSION}.js"
    if not file.exists():
        with TemporaryDirectory(dir=cache) as folder:
            command = [npm, "pack", f"axe-core@{VERSION}", "--silent", "--pack-destination", folder]
            subprocess.run(command, check=True, capture_output=True, cwd=folder, timeout=300)
            (archive,) = Path(folder).glob("*.tgz")
            with tarfile.open(archive) as files:
                member = files.extractfile("package/axe.min.js")
                assert member is not None
                own = Path(folder) / "axe.js"
                own.write_bytes(member.read())
            os.replace(own, file)  # of several processes each has a whole one
    return file.read_text()


def complaints(browser: WebDriver, source: str) -> list[Any]:
    """What it finds wrong with the page that the browser shows."""
    found: list[Any] = browser.execute_async_script(source + RUN, list(RULES))  # no eval: the page forbids it
    return found
