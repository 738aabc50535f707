"""The application of docs/browser-helper.md, as it stands there."""

from typing import Any

from tests.docs.pages import ROOT, as_one_module

PAGE = ROOT / "docs" / "browser-helper.md"

_namespace: dict[str, Any] = {"__name__": "docs_browser_helper"}
exec(compile(as_one_module(PAGE), str(PAGE), "exec"), _namespace)
app = _namespace["app"]
