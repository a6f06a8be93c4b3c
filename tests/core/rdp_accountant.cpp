#include "strata/core/rdp_accountant.h"

#include "catch.h"
#include "strata/core/error.h"

using namespace strata;

TEST_CASE("the accountant gives what Google's dp_accounting 0.6.0 gives at the same orders") {
  struct Case {
    double rate, noise;
    std::int64_t steps;
    double delta, epsilon;
  };
  for (const Case& c :
       {Case{0.01, 1.1, 1000, 1e-5, 1.7252908180449444},
        Case{0.25, 2.0, 30, 1e-3, 2.6843772926033456}, Case{1.0, 4.0, 10, 1e-5, 3.6278518728252274},
        Case{0.004, 0.8, 5000, 1e-6, 3.3924876536804707},
        Case{0.5, 0.7, 3, 1e-5, 10.952773645681924}}) {
    CAPTURE(c.rate, c.noise);
    RdpAccountant accountant;
    accountant.add_sampled(c.rate, c.noise, c.steps);
    CHECK(accountant.epsilon(c.delta) == Approx(c.epsilon).epsilon(1e-10));
  }
  RdpAccountant both;
  both.add_sampled(0.01, 1.1, 1000);
  both.add_gaussian(20, 3);
  CHECK(both.epsilon(1e-5) == Approx(1.7590408180449444).epsilon(1e-10));
}

TEST_CASE("privacy adds up, whoever adds it in which parts") {
  RdpAccountant at_once, in_parts, nothing;
  at_once.add_sampled(0.1, 1, 30);
  for (int k = 0; k < 3; ++k) in_parts.add_sampled(0.1, 1, 10);
  CHECK(in_parts.epsilon(1e-5) == Approx(at_once.epsilon(1e-5)).epsilon(1e-12));
  CHECK(nothing.epsilon(1e-5) == 0);
  nothing.add_sampled(0, 1, 1000);
  nothing.add_sampled(0.5, 1, 0);
  CHECK(nothing.epsilon(1e-5) == 0);
}

TEST_CASE("the accountant refuses what is no mechanism") {
  RdpAccountant accountant;
  CHECK_THROWS_AS(accountant.add_sampled(1.5, 1, 1), InputError);
  CHECK_THROWS_AS(accountant.add_sampled(0.5, 0, 1), InputError);
  CHECK_THROWS_AS(accountant.add_sampled(0.5, 1, -1), InputError);
  CHECK_THROWS_AS(accountant.epsilon(0), InputError);
  CHECK_THROWS_AS(accountant.epsilon(1), InputError);
}
