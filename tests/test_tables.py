"""Tables in three formats, and how numbers are written."""

from normstudy.tables import Table


def test_a_table_in_three_formats():
    table = Table(("arm", "value"), (("A < B", "1.5"), ("C", "10.25")))
    assert str(table).splitlines() == [
        "arm    value",
        "-----  -----",
        "A < B    1.5",
        "C      10.25",
    ]
    assert table.markdown().splitlines() == [
        "| arm | value |",
        "| --- | --: |",
        "| A < B | 1.5 |",
        "| C | 10.25 |",
    ]
    assert "<td>A &lt; B</td><td>1.5</td>" in table._repr_html_()
