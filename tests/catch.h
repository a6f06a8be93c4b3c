#pragma once
// The one place that knows which Catch2 this is.
#ifdef STRATA_CATCH2_V3
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif
