"""The page of promises says what each test of the storm counted, when, and on what."""

import storm_figures


def counted(date, machine="a machine", **figures):
    about = {"date": date, "machine": machine, "python": "3", "torch": "2", "joblib": "1"}
    return {"counted": about, "figures": figures}


def test_each_row_has_the_day_on_which_it_was_counted():
    old = counted("2026-01-01", damages=300, damages_refused=300, damages_harmless=0)
    old["figures"]["damages_accepted"] = 0
    crowd = counted("2026-01-02", crowd=8, crowd_trainings_of_one_recipe=1)
    many = counted("2026-01-03", crowd_recipes=6, crowd_trainings_of_many=6)
    names = counted("2026-01-04", "another machine", named_stores=5)
    lines = storm_figures.told({"a": old, "b": crowd, "c": many, "d": names})
    days = [line.removeprefix("     - ") for line in lines if "- 2026" in line]
    assert days == ["2026-01-02, 2026-01-03", "2026-01-01", "2026-01-04"]
    assert lines[-1] == (
        "Counted on 2026-01-01 and 2026-01-02 and 2026-01-03 on a machine, with Python 3, torch 2 "
        "and joblib 1; on 2026-01-04 on another machine, with Python 3, torch 2 and joblib 1."
    )


def test_names_of_folders_are_counted():
    assert any("umlauts" in cell for row in storm_figures.ROWS for cell in row)
    (line,) = [
        x for x in storm_figures.told({"a": counted("2026-01-01", named_stores=5)}) if "5" in x
    ]
    assert line.startswith("     - 5 of them, with spaces")
