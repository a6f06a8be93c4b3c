"""What scripts/reproduce-* share."""

import os
import subprocess
import sys

STRATA = "build/release/bin/strata"


def strata(*arguments):
    print("strata", *arguments, file=sys.stderr)
    subprocess.run([STRATA, *arguments], check=True)


def version():
    return subprocess.run([STRATA, "--version"], check=True, capture_output=True, text=True).stdout.splitlines()[0]


def machine():
    model = next(line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    return f"{model}, {os.cpu_count()} cores"


def as_table(header, rows):
    return ["| " + " | ".join(line) + " |" for line in [header, ["---"] * len(header), *rows]]
