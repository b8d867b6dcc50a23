"""The columns of a climate report go by its own header: each office chooses which ones it prints, and leaves some empty."""

import pytest

from stream_processors.parsers.iem import product

BEGIN = (
    "CDUS41 KOKX 030616\nCLINYC\n\nCLIMATE REPORT\nNATIONAL WEATHER SERVICE NEW YORK NY\n116 AM EST THU JAN 3 2013\n\n"
    "...THE CENTRAL PARK NY CLIMATE SUMMARY FOR JANUARY 2 2013...\n\n"
)
FULL = "WEATHER ITEM   OBSERVED TIME   RECORD YEAR NORMAL DEPARTURE LAST     "
# The headers and lines are those of offices that print fewer columns (BOI, EAR, MBS, DRT, MSO, MYV, ECP).
LINES = [
    (FULL, "  MAXIMUM         33    301 PM  68    1876  39     -6       50       ", "68 1876 39 -6 50"),
    (FULL, "  MAXIMUM         33    301 PM  68R   1876  39     -6       50       ", "68 1876 39 -6 50"),
    ("WEATHER ITEM   OBSERVED TIME   RECORD YEAR NORMAL  LAST              ",
     "  MAXIMUM         28    148 AM  64    1917  36      39               ", "64 1917 36 - 39"),
    ("WEATHER ITEM   OBSERVED TIME   NORMAL DEPARTURE LAST                 ",
     "  MAXIMUM         25    255 PM  51    -26       59                   ", "- - 51 -26 59"),
    ("WEATHER ITEM   OBSERVED TIME   NORMAL DEPARTURE                      ",
     "  MAXIMUM         29    423 PM  30     -1                            ", "- - 30 -1 -"),
    ("WEATHER ITEM   OBSERVED TIME   RECORD YEAR NORMAL DEPARTURE          ",
     "  MAXIMUM         42   1232 AM  83    1951  63                       ", "83 1951 63 - -"),
    ("WEATHER ITEM   OBSERVED RECORD YEAR NORMAL                           ",
     "  MAXIMUM         16    -16    1979  17                              ", "-16 1979 17 - -"),
    ("WEATHER ITEM   OBSERVED     LAST                                     ",
     "  MAXIMUM         60       63                                        ", "- - - - 63"),
    ("WEATHER ITEM   OBSERVED TIME       LAST                              ",
     "  MAXIMUM         70    151 AM                                       ", "- - - - -"),
    (FULL, "  MAXIMUM         33    301 PM              39              50       ", "- - 39 - 50"),
    # Two cells under one column, one under none, more than there are columns: unsure, so none of them is taken.
    (FULL, "  MAXIMUM         33    301 PM              39 5            50       ", "- - - - -"),
    (FULL, "  MAXIMUM         33    301 PM              39                  7    ", "- - - - -"),
    ("WEATHER ITEM   OBSERVED TIME   NORMAL ", "  MAXIMUM         33    301 PM  68    1876", "- - - - -"),
    ("ITEM OBSERVED TIME", "  MAXIMUM         33    301 PM  68    1876  39     -6       50       ", "- - - - -"),
]  # fmt: skip


@pytest.mark.parametrize(("header", "line", "expected"), LINES)
def test_cells_stand_under_the_columns_that_the_report_names(header, line, expected):
    """As many as columns: in their order. Fewer: by their place. Whatever happens, the line itself is kept."""
    text = f"{BEGIN}{header}\n                VALUE   (LST)  VALUE\n......\nTEMPERATURE (F)\n YESTERDAY\n{line}\n"
    [(_, row)], unfit = product.read(text.encode())
    assert [] == unfit
    names = ("record", "record_years", "normal", "depart", "last")
    assert expected == " ".join(str(row.get(f"high_{name}", "-")) for name in names)
    assert str(row["high"]) == line.split()[1]
    assert line.rstrip() in str(row["text"])
