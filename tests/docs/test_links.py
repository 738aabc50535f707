"""Links lead somewhere, and the documentation names nothing that only the authors' machines have."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, README, ROOT, name_of

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def prose_of(page: Path) -> str:
    return _FENCED.sub("", page.read_text())


def anchors_of(page: Path) -> set[str]:
    """The anchors that Markdown renderers make of headings."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
        for heading in _HEADING.findall(prose_of(page))
    }


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_between_documents_resolve(page: Path) -> None:
    broken = []
    for target in _LINK.findall(prose_of(page)):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        if not linked.is_file() or (anchor and anchor not in anchors_of(linked)):
            broken.append(target)
    assert broken == []


def test_every_page_of_the_documentation_can_be_reached_from_the_readme() -> None:
    linked = {(ROOT / target.partition("#")[0]).resolve() for target in _LINK.findall(prose_of(README))}
    assert set(PAGES) - {README} <= linked


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pages_name_no_package_index_and_no_machine_of_ours(page: Path) -> None:
    text = page.read_text()
    forbidden = r"pypi|pythonhosted|\bconda\b|artifactory|nexus|index-url|npmjs|/work/|/home/|/tmp/|/root/|venv/bin"
    assert re.findall(forbidden, text, re.IGNORECASE) == []


def test_the_readme_offers_the_two_commands_of_a_checkout() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in ("run", "test"):
        assert f"$ make {target} " in README.read_text()
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_target_of_make_that_a_page_names_is_there(page: Path) -> None:
    targets = set(re.findall(r"^([\w-]+)(?=:| [\w -]+:)", (ROOT / "Makefile").read_text(), re.MULTILINE))
    targets |= set(re.findall(r"benchmark-\w+", (ROOT / "Makefile").read_text()))
    named = set(re.findall(r"(?:`|^\$ )make ([\w-]+)", page.read_text(), re.MULTILINE))
    assert named - targets == set()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_of_the_repository_that_a_page_names_exists(page: Path) -> None:
    named = set(re.findall(r"`((?:asgi_sessions|benchmarks|example_app|tests|tools)/[\w./-]+)`", page.read_text()))
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
