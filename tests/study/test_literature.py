"""Somebody else's numbers are whole, name their source, and lead to sentences."""

import pytest

from normstudy.study import literature
from normstudy.study.literature import REPLICATIONS, WU_HE_BATCHES, Published

ALL = [one for one in vars(literature).values() if isinstance(one, Published)] + [*REPLICATIONS]


@pytest.mark.parametrize("published", ALL, ids=lambda one: f"{one.what}, {one.axis}")
def test_every_row_has_a_number_for_each_value_and_a_source(published):
    assert published.source.endswith(".")
    assert published.better in (-1, 1)
    for values in published.rows.values():
        assert len(values) == len(published.places)
        assert all(20 < value < 90 for value in values)
    found = published.table()
    assert len(found.rows) == len(published.rows)
    assert len({len(cell.partition(".")[2]) for row in found.rows for cell in row[1:]}) == 1
    assert found.header[0] == f"{published.axis}: {published.unit}"


def test_what_is_lost_counts_downwards_in_accuracy_and_upwards_in_error():
    assert WU_HE_BATCHES.lost("Batch norm", "32", "2") == pytest.approx(34.7 - 23.6)
    assert REPLICATIONS[0].lost("Batch norm", "32", "2") == pytest.approx(86.40 - 80.30)
    said = WU_HE_BATCHES.sentence("32", "2")
    assert said.startswith("ResNet-50 on ImageNet, one training each, images per device 2 instead")
    assert "batch norm 11.1 points; group norm 0.0 points" in said
