"""What scripts/measure-scale and scripts/measure-least-cohort share: plans of scores that are drawn."""

import csv
import os
import random
import sys

from reproduction import STRATA


def draw_scores(clients, units, seed):
    numbers = random.Random(seed)
    return [[numbers.lognormvariate(0, 1) for _ in range(units)] for _ in range(clients)]


def write_scores(rows, path, first=0):
    with open(path, "w") as file:
        file.write("client," + ",".join(f"block.{k}" for k in range(len(rows[0]))) + "\n")
        for i, row in enumerate(rows):
            total = sum(row)
            file.write(f"c{first + i}," + ",".join(f"{value / total:.9g}" for value in row) + "\n")


def run(*arguments):
    """Seconds of processor time and the largest resident memory (MiB) of one call."""
    print("strata", *arguments, file=sys.stderr)
    child = os.spawnv(os.P_NOWAIT, STRATA, [STRATA, *arguments])
    _, status, used = os.wait4(child, 0)
    if status != 0:
        sys.exit(f"strata ended with {os.waitstatus_to_exitcode(status)}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def hypervolume(points, reference):
    """Of importance (greater is better) and variance (smaller is better) beyond the reference."""
    volume, least = 0.0, reference[1]
    for importance, variance in sorted(points, key=lambda point: (-point[0], point[1])):
        if importance > reference[0] and variance < least:
            volume += (importance - reference[0]) * (least - variance)
            least = variance
    return volume


def write_csv(path, rows):
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        for row in rows:
            writer.writerow({key: f"{value:.6g}" if isinstance(value, float) else value for key, value in row.items()})
