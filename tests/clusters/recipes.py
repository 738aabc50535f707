"""The recipes of docs/databases.md: with what an operator is told to write, the servers of these tests run."""

from configparser import ConfigParser

from tests.docs.pages import ROOT, file_of

PAGE = ROOT / "docs" / "databases.md"


def recipe(file: str) -> str:
    """Return the block whose first line names this file."""
    return file_of(PAGE, file)


def server_options(file: str, **own: str) -> list[str]:
    """Return a recipe's options for a server's command line.

    Args:
        file: Of MariaDB or MySQL, with one section.
        own: What differs from server to server, each an option of the recipe.
    """
    parser = ConfigParser(delimiters=["="])
    parser.read_string(recipe(file))
    (section,) = parser.sections()
    options = dict(parser[section])
    if unknown := own.keys() - options.keys():
        raise ValueError(f"{file} has no {', '.join(sorted(unknown))}")
    return [f"--{name.replace('_', '-')}={value}" for name, value in (options | own).items()]


def statements(file: str) -> list[str]:
    """Return a recipe's statements, each a line."""
    return recipe(file).strip().split("\n")[1:]
