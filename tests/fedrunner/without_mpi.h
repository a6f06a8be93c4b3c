#pragma once
// What a program without MPI has in place of it, under names of its own beside this program's.

#include "fedrunner/mpi.h"
#include "strata/core/error.h"

#define open_mpi open_without_mpi
#define serve_mpi serve_without_mpi
#define leads_mpi leads_without_mpi
#include "../../fedrunner/no_mpi.cpp"
#undef open_mpi
#undef serve_mpi
#undef leads_mpi
