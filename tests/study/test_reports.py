"""The public reports: read as they were printed, and their best numbers found."""

import pytest

from normstudy.study import reports
from normstudy.study.reports import LIMITS, REPORTS, best, reports_on
from normstudy.study.studies import STUDIES


def test_every_network_is_read_as_it_was_printed():
    assert len(REPORTS) == len({report.name for report in REPORTS}) == 36
    first = REPORTS[0]
    assert (first.name, first.data) == ("R01", "cifar10")
    assert first.accuracies == {"Batch norm": 81.67, "Group norm": 74.97, "Layer norm": 73.7}
    assert first.parameters == dict.fromkeys(first.accuracies, 48_136)
    assert all(report.parameters.keys() <= report.accuracies.keys() for report in REPORTS)


def test_arms_have_sizes_of_their_own_where_the_reports_say_so():
    sizes = {report.name: report.parameters for report in REPORTS}
    assert sizes["R02"]["Layer norm"] == 219_552
    assert sizes["R02"]["Group norm"] == sizes["R02"]["Batch norm"] == 48_736
    assert sizes["R14"] == {}


def test_a_report_that_did_not_train_is_left_out():
    assert [report.name for report in REPORTS if not report.trained] == ["R30"]
    assert {report.data for report in reports_on("cifar10")} == {"cifar10"}
    assert len(reports_on("cifar10")) == 29
    assert len(reports_on("mnist")) == 6


def test_the_best_numbers_are_those_of_networks_within_the_limit():
    found = best("cifar10")
    assert found == {"Batch norm": 81.67, "Group norm": 78.84, "Layer norm": 77.04}
    for arm, accuracy in found.items():
        sizes = [r.parameters.get(arm, 0) for r in REPORTS if r.accuracies.get(arm) == accuracy]
        assert min(sizes) < LIMITS["cifar10"]
    higher = [r for r in REPORTS if r.accuracies.get("Layer norm", 0) > 77.04 and r.trained]
    assert [r.name for r in higher if r.data == "cifar10"] == ["R02"]  # which is too large
    assert best("mnist")["Batch norm + L1"] == 99.47
    assert best("digits") == {}


def test_the_main_study_is_compared_with_them():
    reference = STUDIES["cifar10"].reference
    assert reference.values == best("cifar10")
    assert f"among {len(reports_on('cifar10'))} networks of class reports" in reference.source


@pytest.mark.parametrize("line", ["R99,svhn,,,,80,,,,", "R99,cifar10,,,,,,,,"])
def test_a_line_without_a_data_set_or_an_accuracy_is_refused(line, monkeypatch, tmp_path):
    header = "report,dataset,parameters,group_parameters,layer_parameters,batch,group,layer"
    (tmp_path / "reports.csv").write_text(f"{header},batch_l1,remark\n{line}\n")
    monkeypatch.setattr(reports.resources, "files", lambda _: tmp_path)
    with pytest.raises(ValueError, match=r"R99.* has no known data set, or no accuracy"):
        reports._read()
