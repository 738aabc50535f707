"""Draws docs/pictures/architecture.svg from the code: layers, files, and the way of a cookie through them."""

import tomllib
from pathlib import Path

from tests.architecture.guide import PACKAGE, ROOT, WAY
from tests.rotation_model.drawing import WIDTH, Drawing

FILE = ROOT / "docs" / "pictures" / "architecture.svg"
PURPOSES = {
    "cli": "commands",
    "oidc": "providers",
    "pages": "to drop in",
    "asgi": "connections",
    "manager": "sessions",
    "revocation": "who has ended",
    "store": "statements",
    "settings": "read once",
    "protocol": "rules, no I/O",
}
"""Of each part that has room for it."""
LEFT, GAP, ROW, PADDING = 118, 6, 26, 10


def layers() -> list[list[str]]:
    """The parts of the package from top to bottom, as the import contract has them."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    (contract,) = (contract for contract in contracts if contract["type"] == "layers")
    return [[part.strip().rpartition(".")[2] for part in layer.split("|")] for layer in contract["layers"]]


def files_of(part: str) -> list[str]:
    """Its files, below the package, those that only hand names on left out."""
    if (PACKAGE / f"{part}.py").exists():
        return [f"{part}.py"]
    found = sorted(PACKAGE.joinpath(part).rglob("*.py"))
    shown = [path for path in found if path.name != "__init__.py" and "versions" not in path.parts]
    return [str(path.relative_to(PACKAGE)) for path in shown or found]


def rows_of(part: str) -> list[list[tuple[str, float, float]]]:
    """Where the files stand: rows of file, left edge and width."""
    rows: list[list[tuple[str, float, float]]] = [[]]
    x = float(LEFT)
    for file in files_of(part):
        width = 16 + 7 * len(Path(file).stem) + 15 * len(steps_of(file))
        if x + width > WIDTH - 10 and rows[-1]:
            rows.append([])
            x = float(LEFT)
        rows[-1].append((file, x, width))
        x += width + GAP
    return rows


def steps_of(file: str) -> list[int]:
    """Which steps of the way are taken in a file, from 1."""
    return [number for number, place in enumerate(WAY, 1) if place.file == file]


def picture() -> str:
    parts = [part for layer in layers() for part in layer]
    heights = [ROW * len(rows_of(part)) + 2 * PADDING for part in parts]
    drawing = Drawing(
        40 + sum(heights) + GAP * len(parts),
        "The parts of asgi_sessions, from the outside down, and the way of a cookie through them",
        " ".join(f"{number}: {place.file}." for number, place in enumerate(WAY, 1)),
    )
    words = "Imports run down only. Numbers: the way of a cookie, from the request to Set-Cookie."
    drawing.text(10, 22, words, kind="faint")
    top = 34.0
    for part, height in zip(parts, heights, strict=True):
        drawing.rectangle(6, top, WIDTH - 12, height, "box")
        drawing.text(16, top + 24, part, kind="name")
        if len(rows_of(part)) > 1:
            drawing.text(16, top + 42, PURPOSES[part], kind="faint")
        for row, files in enumerate(rows_of(part)):
            for file, x, width in files:
                draw_file(drawing, file, x, top + PADDING + ROW * row, width)
        top += height + GAP
    return drawing.svg()


def draw_file(drawing: Drawing, file: str, x: float, y: float, width: float) -> None:
    steps = steps_of(file)
    drawing.rectangle(x, y, width, ROW - 4, "box good" if steps else "box", rounded=4)
    drawing.text(x + 7, y + 15, Path(file).stem, kind="" if steps else "faint")
    if steps:
        drawing.text(x + width - 6, y + 15, " ".join(map(str, steps)), kind="faint", anchor="end")
