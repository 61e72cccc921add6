"""Pages of PDFs: numbered, headed, broken where they should be, and with every letter of a name."""

import io
import subprocess
import sys

import pytest
from django.conf import settings

from apps.reports import rules
from apps.reports.services.documents import (
    Banner,
    Document,
    Facts,
    Grid,
    Heading,
    ReportColumn,
    Signatures,
    Words,
)
from apps.reports.services.paper import paper_made
from apps.reports.tests import factories

COLUMNS = (
    ReportColumn(title="No.", width=10),
    ReportColumn(title="Full name", width=60),
    ReportColumn(title="Only there"),
)


def told_nothing(phase, done, total):
    pass


def pages(*blocks, **fields):
    given = {"title": "Master list", "subtitle": "A term", "origin": "Generated today", **fields}
    made = paper_made(Document(blocks=blocks, **given), told_nothing)
    found = factories.pages_of(made.content)
    assert len(found) == made.pages
    return found


def rows(count):
    return [[number, f"Peñaranda, María {number}", "hidden"] for number in range(1, count + 1)]


def test_a_long_table_is_broken_with_its_titles_on_each_page_and_no_row_is_lost():
    found = pages(Heading(text="Alpha Company"), Grid(columns=COLUMNS, rows=rows(150)))
    assert len(found) == 3
    for number, page in enumerate(found, start=1):
        assert "Full name" in page
        assert f"Page {number} of 3" in page
        assert "Generated today" in page
        assert "Only there" not in page
        assert "hidden" not in page
    named = [f"Peñaranda, María {number}" for number in range(1, 151)]
    text = " ".join(found) + " "
    assert [name for name in named if f"{name} " not in text] == []
    assert "Master list · Alpha Company" in found[2]
    assert found[0].startswith(rules.HEADING[0])
    assert rules.HEADING[0] not in found[1]


def test_what_must_not_be_overlooked_stands_on_every_page():
    found = pages(Banner(text="PROVISIONAL today"), Grid(columns=COLUMNS, rows=rows(100)), mark="PROVISIONAL")
    assert all("PROVISIONAL" in page for page in found)


def test_signatures_are_never_torn_apart():
    places = [("Prepared by", "Instructor"), ("Noted by", "Commandant")]
    for count in range(30, 50):
        found = pages(Grid(columns=COLUMNS, rows=rows(count)), Signatures(places=places))
        (page,) = [page for page in found if "Prepared by" in page]
        assert "Instructor" in page
        assert "Commandant" in page


def test_a_heading_never_stands_alone_at_the_foot_of_a_page():
    for count in range(25, 50):
        found = pages(
            Grid(columns=COLUMNS, rows=rows(count)), Heading(text="The next table"), Grid(columns=COLUMNS, rows=rows(3))
        )
        page = next(page for page in found if "The next table" in page)
        assert "Peñaranda, María 1 " in page.partition("The next table")[2] + " "


def test_a_new_page_is_begun_where_it_is_wanted_but_never_an_empty_one():
    one = (Heading(text="Alpha", new_page=True), Grid(columns=COLUMNS, rows=rows(5)))
    assert len(pages(*one)) == 1
    assert len(pages(*one, *one)) == 2


def test_long_texts_are_broken_and_the_longest_end_in_an_ellipsis():
    long = " ".join(["Administration"] * 12)
    (page,) = pages(Grid(columns=COLUMNS, rows=[[1, long, ""], [2, "A" * 500, ""], [3, "Short", ""]]))
    assert page.count("Administration") == 12
    assert "…" in page
    assert "Short" in page


@pytest.mark.parametrize(
    "name",
    [
        "Peñaranda",
        "Ñuñez",
        "De los Reyes-Ibañez",
        "Müller",
        "Łukasz",
        "O\u2019Brien",
        "n\u0303",
        "Đặng",
        "Иван",
        "Ωμέγα",
    ],
)
def test_every_letter_that_names_have_is_there(name):
    import unicodedata

    (page,) = pages(Facts(pairs=[("Name", name)]), Words(text=name))
    assert page.count(unicodedata.normalize("NFC", name)) == 2
    assert "\ufffd" not in page


def test_what_cannot_be_shown_breaks_nothing():
    (page,) = pages(
        Words(text="a\x00b\u202ec\u200bd \U0001f600 \ufffe"), Grid(columns=COLUMNS, rows=[[None, "\n", ""]])
    )
    assert "abcd" in page


def test_letters_are_embedded_and_only_those_that_are_used():
    made = paper_made(Document(title="T", subtitle="S", origin="O", blocks=[Words(text="Ñuñez")]), told_nothing)
    assert b"/FontFile2" in made.content
    assert len(made.content) < 30_000


def test_progress_is_told_and_who_raises_stops_the_writing():
    told = []

    def tell(phase, done, total):
        told.append((phase, done, total))
        if done == 300:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        paper_made(Document(title="T", subtitle="S", origin="O", blocks=[Grid(columns=COLUMNS, rows=rows(1000))]), tell)
    assert told == [("writing", 100, 1000), ("writing", 200, 1000), ("writing", 300, 1000)]


def test_web_does_not_load_what_only_the_worker_needs():
    program = (
        "import sys, django; django.setup(); import config.urls, config.celery; "
        "config.celery.app.loader.import_default_modules(); "
        "sys.exit(str({name.split('.')[0] for name in sys.modules} & {'reportlab', 'segno'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=settings.BASE_DIR, capture_output=True, text=True, check=False
    )
    assert done.stderr.strip() == "set()"


def test_a_page_can_be_drawn_by_another_program():
    import pypdfium2

    made = paper_made(
        Document(title="T", subtitle="S", origin="O", landscape=True, blocks=[Grid(columns=COLUMNS, rows=rows(3))]),
        told_nothing,
    )
    document = pypdfium2.PdfDocument(io.BytesIO(made.content))
    try:
        width, height = document[0].get_size()
        assert (round(width), round(height)) == (842, 595)  # A4
        assert document.get_metadata_dict()["Title"] == "T"
    finally:
        document.close()
