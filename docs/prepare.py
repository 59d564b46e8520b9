"""Choose the data set of the report, train the runs that are missing, and print the set's name.

All in one process: where nothing is to be trained, importing torch is what takes the time.
"""

import argparse
import sys

from normstudy.study.data import DataError, load
from normstudy.study.recipes import Dataset, shown
from normstudy.study.runs import RunError, run_all


def choose_data(asked: Dataset | None) -> Dataset:
    """Return the set that was asked for, or CIFAR-10, or digits where CIFAR-10 cannot be had.

    Raises
    ------
    DataError
        If a set was asked for and cannot be had: only a report that names none falls back.
    """
    wanted = asked or "cifar10"
    try:
        load(wanted)
    except DataError as error:
        if asked:
            raise
        print(error, "The report shows the embedded digits instead.", sep="\n", file=sys.stderr)
        return "digits"
    return wanted


def main() -> None:
    """Read the arguments that the noxfile hands on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset")
    parser.add_argument("--retrain", action="store_true")
    options = parser.parse_args()
    try:
        data = choose_data(options.dataset)
        recipes = shown(data)
        run_all([r for r in recipes if r.data == data], retrain=options.retrain)
        run_all([r for r in recipes if r.data != data])  # the published search, on any report
    except (DataError, RunError) as error:
        sys.exit(str(error))
    print(data)


if __name__ == "__main__":
    main()
