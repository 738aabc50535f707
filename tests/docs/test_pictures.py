"""docs/rotation-proved.md shows what the model finds: its pictures, its tables and its stories."""

import re
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from asgi_sessions.protocol.rotation import THEFT, Verdict
from tests.docs.pages import ROOT, blocks_of
from tests.rotation_model import open_worlds, pictures
from tests.rotation_model.drawing import WIDTH
from tests.rotation_model.explore import explore
from tests.rotation_model.pictures import FIGURES, PAGE, Fares
from tests.rotation_model.policies import Numbers, Ours
from tests.rotation_model.scenarios import FULL, FULL_INLINE, NUMBERS, SHORT
from tests.rotation_model.world import ALARM, LOCKSTEP, Bounds, World

SVG = "{http://www.w3.org/2000/svg}"
PICTURES = pictures.pictures()
DRAW = "python -m tests.rotation_model.pictures draws it anew"
THIEF = next(scenario for scenario in SHORT if scenario.name == "endpoint, thief")


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def words_of(svg: str) -> str:
    return " ".join(text.text or "" for text in parsed(svg).iter(f"{SVG}text"))


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_what_figures_and_code_draw(name: str) -> None:
    assert (FIGURES.parent / name).read_text() == PICTURES[name], DRAW


def test_no_other_picture_is_checked_in_and_each_is_shown() -> None:
    assert {path.name for path in FIGURES.parent.glob("rotation-*.svg")} == set(PICTURES)
    assert {f"pictures/{name}" for name in PICTURES} <= set(re.findall(r"!\[[^\]]+\]\(([^)]+)\)", PAGE.read_text()))


def test_the_tables_of_the_page_are_what_figures_and_code_say() -> None:
    text = PAGE.read_text()
    assert pictures.page(text) == text, DRAW


def test_a_page_without_a_place_for_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for the mutations"):
        pictures.page("# Empty")


@pytest.mark.parametrize("verdict", Verdict)
def test_every_verdict_is_in_the_life_of_a_token(verdict: Verdict) -> None:
    named = [text for text in parsed(pictures.machine()).iter(f"{SVG}text") if text.get("class") == "name"]
    assert verdict.name.replace("_", " ") in [text.text for text in named]


def test_theft_and_nothing_else_is_drawn_as_theft() -> None:
    drawn = list(parsed(pictures.machine()))
    names = [
        (after.text or "").replace(" ", "_")
        for box, after in pairwise(drawn)
        if "theft" in box.get("class", "").split()
    ]
    assert sorted(names) == sorted(verdict.name for verdict in THEFT)


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_can_be_read_by_night_aloud_and_without_a_network(name: str) -> None:
    svg = PICTURES[name]
    root = parsed(svg)
    labels = [element.get("id") for element in root if element.tag in {f"{SVG}title", f"{SVG}desc"} and element.text]
    assert (root.get("role"), root.get("aria-labelledby")) == ("img", " ".join(map(str, labels)))
    assert "prefers-color-scheme: dark" in svg
    assert re.findall(r"https?://", svg.replace("http://www.w3.org/2000/svg", "")) == []
    assert "@import" not in svg
    assert int(root.get("width", "0")) == WIDTH <= 700


def bars(svg: str) -> list[ElementTree.Element]:
    return [rect for rect in parsed(svg).iter(f"{SVG}rect") if "bar" in rect.get("class", "").split()]


def fares(alarms: int, out: int | None) -> Fares:
    return Fares("some", None, 1000, alarms, out, 4, 10, True)


def test_no_alarm_is_no_bar_and_says_so() -> None:
    svg = pictures.alarms([fares(0, 1), fares(7, 1), fares(700, 1)])
    assert len(bars(svg)) == 2
    assert "0: none in 1,000 refreshes" in words_of(svg)
    assert "7.0" in words_of(svg)
    assert "700" in words_of(svg)


def test_a_thief_who_is_not_found_is_an_open_bar() -> None:
    svg = pictures.thief([fares(0, 3), fares(0, None)])
    assert [bar.get("class") for bar in bars(svg)] == ["bar ours", "bar open"]
    found, never = (float(bar.get("width", "0")) for bar in bars(svg))
    assert found == pytest.approx(never * 3 / 4, rel=0.01)
    assert "never found" in words_of(svg)


@pytest.mark.parametrize(
    ("numbers", "bounds", "wrong"),
    [
        (NUMBERS._replace(window=4), FULL, ALARM),
        (NUMBERS._replace(window=5), replace(FULL_INLINE, first_use=True), ALARM),
        (NUMBERS._replace(late=2), FULL, ALARM),
        (NUMBERS._replace(young=5), FULL, ALARM),
        (THIEF.numbers, replace(THIEF.bounds, refreshes=2), LOCKSTEP),
    ],
    ids=["sibling_window", "sibling_window inline", "late_parent_window", "min_refresh_age", "two refreshes"],
)
def test_a_story_on_the_page_is_the_one_that_the_model_finds(numbers: Numbers, bounds: Bounds, wrong: str) -> None:
    story = explore(World(Ours(numbers), bounds), stop_at=wrong).stories[wrong]
    told = [block.code.rstrip("\n") for block in blocks_of(PAGE) if block.language == "text"]
    assert "\n".join(story) in told, "\n".join(story)


def test_the_story_of_an_idle_timeout_for_connections_is_the_one_that_the_model_finds() -> None:
    name = "each refresh of its session begins its time anew"
    story = open_worlds.caught(name).stories[open_worlds.CATCHES[name][0]]
    told = [block.code.rstrip("\n") for block in blocks_of(PAGE) if block.language == "text"]
    assert "\n".join(story) in told, "\n".join(story)


def test_every_test_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`(tests/[\w/.]+)`", PAGE.read_text()))
    assert named
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
