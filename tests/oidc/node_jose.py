"""npm's `jose`, which makes and signs the same tokens by other code. Fetched by npm, once."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

VERSION = "5.10.0"
SIGN = """
import { importJWK, SignJWT } from "jose";
let text = "";
for await (const part of process.stdin) text += part;
const { key, header, claims } = JSON.parse(text);
const token = new SignJWT(claims).setProtectedHeader(header);
process.stdout.write(await token.sign(await importJWK(key, header.alg)));
"""


def fetched(npm: str, cache: Path) -> Path:
    """The folder in which it is installed, from the cache or by npm.

    Raises:
        subprocess.CalledProcessError: npm cannot fetch it.
    """
    folder = cache / f"jose-{VERSION}"
    if not folder.exists():
        with TemporaryDirectory(dir=cache) as own:
            command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", own]
            subprocess.run([*command, f"jose@{VERSION}"], check=True, capture_output=True, timeout=300)
            (Path(own) / "sign.mjs").write_text(SIGN)
            try:
                os.replace(shutil.copytree(own, f"{own}-whole"), folder)  # of several processes each has a whole one
            except OSError:
                shutil.rmtree(f"{own}-whole")  # another one was faster
    return folder


def signed(node: str, folder: Path, key: dict[str, Any], header: dict[str, Any], claims: dict[str, Any]) -> str:
    """A token.

    Args:
        node: The program.
        folder: As `fetched`.
        key: A private JWK.
        header: Protected.
        claims: The content.
    """
    content = json.dumps({"key": key, "header": header, "claims": claims})
    command = [node, str(folder / "sign.mjs")]
    return subprocess.run(command, input=content, check=True, capture_output=True, text=True, timeout=60).stdout
