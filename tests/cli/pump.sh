#!/usr/bin/env bash
# A run with the real programs over a mailbox and over MPI: as the same run in one process, byte for byte.
#   pump.sh STRATA pump|mpi
set -euo pipefail
