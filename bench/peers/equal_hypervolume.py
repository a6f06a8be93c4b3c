#!/usr/bin/env python3
"""How much longer pymoo's and pygmo's NSGA-II take than Strata's metaheuristics for the same front quality.

    strata compare --instances 9x24,20x48 --instance-seeds 3 --write-instances instances
    pip install -r bench/peers/requirements.txt
    python bench/peers/equal_hypervolume.py --instances instances --strata build/release/bin/strata \\
        --out equal_hypervolume.csv

Side by side in one run: a peer runs (optimizers.py has the details) and ends with some hypervolume. Then
`strata compare` runs from random assignments, too, with 1,000, 2,000, 4,000, … evaluations until it has at
least that hypervolume; its `seconds` are compared with the peer's. Both are wall-clock times of the search
alone, without interpreter or process start. `ratio` is the peer's over Strata's; the peer's evaluations
are numpy's, so it says what a user of these libraries waits, not how their C++ compares.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile

from optimizers import ALGORITHMS, Instance, listed

COLUMNS = ("instance instance_seed seed peer peer_evaluations peer_hypervolume_ratio peer_seconds strata "
           "evaluations hypervolume_ratio seconds ratio").split()
MOST = 2_048_000


def strata_until(strata, folder, stem, algorithm, ratio):
    """The first row of `strata compare` that reaches the ratio, or the last one tried."""
    evaluations = 1000
    while True:
        with tempfile.TemporaryDirectory() as work:
            command = [strata, "compare", "--quiet", "--instances", os.path.join(folder, stem + ".scores.csv"),
                       "--algorithms", algorithm, "--evaluations", str(evaluations), "--seeds", "1",
                       "--budget", os.path.join(folder, stem + ".budgets.csv"), "--out", os.path.join(work, "out")]
            subprocess.run(command, check=True)
            with open(os.path.join(work, "out", "compare.csv"), newline="", encoding="utf-8") as file:
                row = next(csv.DictReader(file))
        if float(row["hypervolume_ratio"]) >= ratio or evaluations >= MOST:
            return row
        evaluations *= 2


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--instances", required=True, help="folder of strata compare --write-instances")
    parser.add_argument("--strata", required=True, help="the program")
    parser.add_argument("--algorithms", type=listed(str), default=["nsga2", "mopso", "aco", "abc", "annealing"])
    parser.add_argument("--evaluations", type=int, default=20000, help="of the peers")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", required=True, help="CSV file to write")
    arguments = parser.parse_args()
    end = ".scores.csv"
    stems = sorted(name[: -len(end)] for name in os.listdir(arguments.instances) if name.endswith(end))
    if not stems:
        parser.error(f"{arguments.instances} holds no *{end}; `strata compare --write-instances` writes them")
    rows = []
    for stem in stems:
        instance = Instance(arguments.instances, stem)
        for peer, run_peer in ALGORITHMS.items():
            for seed in range(1, arguments.seeds + 1):
                run = run_peer(instance, arguments.evaluations, 100, seed)
                seconds, reached = run.seconds(), run.ratio()
                for algorithm in arguments.algorithms:
                    row = strata_until(arguments.strata, arguments.instances, stem, algorithm, reached)
                    met = float(row["hypervolume_ratio"]) >= reached
                    ratio = round(seconds / float(row["seconds"]), 1) if met else ""
                    rows.append([instance.name, instance.seed, seed, peer, arguments.evaluations, reached,
                                 round(seconds, 6), algorithm, row["evaluations"], row["hypervolume_ratio"],
                                 row["seconds"], ratio])
                    print(*rows[-1], file=sys.stderr)
    temporary = arguments.out + ".tmp"
    with open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    os.replace(temporary, arguments.out)


if __name__ == "__main__":
    main()
