"""SVG that can be read by night, by day and aloud, and that is the same byte for byte whenever it is drawn."""

from xml.etree import ElementTree

WIDTH = 700

# Where a picture is embedded as an image only the browser's own setting reaches it, not the page's: so it brings its
# own paper. Classes and no custom properties, which some renderers do not know.
_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1f2328; }
.name { font-size: 14px; font-weight: 600; }
.faint { fill: #59636e; }
.paper { fill: #ffffff; }
.box { fill: #f6f8fa; stroke: #59636e; stroke-width: 1.5; }
.good { fill: #ddf4ff; stroke: #0969da; }
.theft { fill: #ffebe9; stroke: #cf222e; }
.group { fill: none; stroke: #0969da; stroke-dasharray: 2 3; }
.open { fill: none; stroke-dasharray: 6 4; }
.way { fill: none; stroke: #59636e; stroke-width: 1.5; }
.alarm { stroke: #cf222e; }
.tip { fill: #59636e; }
.grid { stroke: #d1d9e0; stroke-width: 1; }
.bar { fill: #818b98; stroke: #818b98; stroke-width: 1.5; }
.bar.open { fill: none; }
.ours { fill: #0969da; stroke: #0969da; }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc; }
.faint { fill: #9198a1; }
.paper { fill: #0d1117; }
.box { fill: #151b23; stroke: #9198a1; }
.good { fill: #121d2f; stroke: #4493f8; }
.theft { fill: #25171c; stroke: #f85149; }
.group { fill: none; stroke: #4493f8; }
.open { fill: none; }
.way { stroke: #9198a1; }
.alarm { stroke: #f85149; }
.tip { fill: #9198a1; }
.grid { stroke: #3d444d; }
.bar { fill: #656c76; stroke: #9198a1; }
.bar.open { fill: none; }
.ours { fill: #4493f8; stroke: #4493f8; }
}
"""


class Drawing:
    """An SVG of `WIDTH` that reads aloud as its title and its description."""

    def __init__(self, height: int, title: str, description: str) -> None:
        self._svg = ElementTree.Element(
            "svg",
            {
                "xmlns": "http://www.w3.org/2000/svg",
                "viewBox": f"0 0 {WIDTH} {height}",
                "width": str(WIDTH),
                "height": str(height),
                "role": "img",
                "aria-labelledby": "title description",
            },
        )
        self._add("title", id="title").text = title
        self._add("desc", id="description").text = description
        self._add("style").text = _STYLE
        marker = ElementTree.SubElement(
            self._add("defs"),
            "marker",
            {"id": "tip", "viewBox": "0 0 8 8", "refX": "7", "refY": "4", "orient": "auto-start-reverse"}
            | {"markerWidth": "7", "markerHeight": "7"},
        )
        ElementTree.SubElement(marker, "path", {"class": "tip", "d": "M0 0 L8 4 L0 8 Z"})
        self.rectangle(0, 0, WIDTH, height, "paper", rounded=0)

    def _add(self, tag: str, **attributes: object) -> ElementTree.Element:
        named = {name.rstrip("_").replace("_", "-"): str(value) for name, value in attributes.items()}
        return ElementTree.SubElement(self._svg, tag, named)

    def rectangle(self, x: float, y: float, width: float, height: float, kind: str, *, rounded: int = 6) -> None:
        self._add(
            "rect", class_=kind, x=f"{x:g}", y=f"{y:g}", width=f"{width:g}", height=f"{height:g}", rx=str(rounded)
        )

    def text(self, x: float, y: float, *lines: str, kind: str = "", anchor: str = "start") -> None:
        for number, line in enumerate(lines):
            text = self._add("text", x=f"{x:g}", y=f"{y + 15 * number:g}")
            if kind:
                text.set("class", kind)
            if anchor != "start":
                text.set("text-anchor", anchor)
            text.text = line

    def box(self, x: float, y: float, width: float, height: float, kind: str, name: str, *lines: str) -> None:
        self.rectangle(x, y, width, height, f"box {kind}".strip())
        self.text(x + width / 2, y + 21, name, kind="name", anchor="middle")
        self.text(x + width / 2, y + 39, *lines, anchor="middle")

    def arrow(self, *points: tuple[float, float], kind: str = "") -> None:
        way = " L".join(f"{x:g} {y:g}" for x, y in points)
        self._add("path", class_=f"way {kind}".strip(), d=f"M{way}", marker_end="url(#tip)")

    def line(self, x: float, top: float, bottom: float) -> None:
        self._add("path", class_="grid", d=f"M{x:g} {top:g} V{bottom:g}")

    def svg(self) -> str:
        ElementTree.indent(self._svg)
        return ElementTree.tostring(self._svg, encoding="unicode") + "\n"
