"""`python -m tests.architecture` draws the picture of docs/architecture.md and writes its tables, from the code."""

from tests.architecture.page import PAGE, page
from tests.architecture.picture import FILE, picture

FILE.write_text(picture())
PAGE.write_text(page(PAGE.read_text()))
