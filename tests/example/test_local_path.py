import pytest

from example_app.local_path import local_path


@pytest.mark.parametrize("path", ["/", "/devices", "/a/b?c=d&e=%2F#f", "/~x"])
def test_a_path_of_this_site_is_kept(path: str) -> None:
    assert local_path(path) == path


@pytest.mark.parametrize(
    "elsewhere",
    [
        None,
        "",
        "devices",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "/a\\b",
        "\\/evil.example",
        "https://evil.example",
        "https:/evil.example",
        " /devices",
        "/ /evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "/devices\n",
        "/\0",
        "/ü",
        "/" + "a" * 5000,
    ],
)
def test_anything_else_becomes_the_start_page(elsewhere: str | None) -> None:
    assert local_path(elsewhere) == "/"
