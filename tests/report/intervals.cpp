#include "report/intervals.h"

#include <cmath>

#include "catch.h"

using namespace strata;
using namespace strata::report;

TEST_CASE("Student's distribution has the quantiles of the printed tables") {
  CHECK(student_quantile(1) == Approx(12.7062).margin(5e-5));
  CHECK(student_quantile(2) == Approx(4.30265).margin(5e-6));
  CHECK(student_quantile(4) == Approx(2.77645).margin(5e-6));
  CHECK(student_quantile(30) == Approx(2.04227).margin(5e-6));
  CHECK(student_quantile(1e6) == Approx(1.95997).margin(1e-5));
  // One degree is Cauchy's distribution, and two have a closed form.
  CHECK(student_cdf(1, 1) == Approx(0.75).epsilon(1e-12));
  CHECK(student_cdf(-3, 1) == Approx(0.5 + std::atan(-3.0) / M_PI).epsilon(1e-12));
  CHECK(student_cdf(2, 2) == Approx(0.5 + 1 / std::sqrt(6.0)).epsilon(1e-12));
  CHECK(student_cdf(0, 7) == Approx(0.5).epsilon(1e-12));
}

TEST_CASE("Wilson's interval is that of Newcombe's table of 1998") {
  const auto check = [](int right, int all, double low, double high) {
    const Interval interval = wilson(right, all);
    CHECK(interval.value == Approx(static_cast<double>(right) / all));
    CHECK(interval.low == Approx(low).margin(5e-5));
    CHECK(interval.high == Approx(high).margin(5e-5));
  };
  check(81, 263, 0.2553, 0.3662);
  check(15, 148, 0.0624, 0.1605);
  check(0, 20, 0, 0.1611);
  check(1, 29, 0.0061, 0.1718);
}

TEST_CASE("the same questions are compared by McNemar's test and Agresti and Min's interval") {
  // Fagerland, Lydersen and Laake (2014), airway hyper-responsiveness: 1 and 7 of 21 discordant.
  const Difference published = paired_questions(1, 7, 21);
  CHECK(published.interval.value == Approx(-6.0 / 21));
  CHECK(published.interval.low == Approx(-0.493).margin(5e-4));
  CHECK(published.interval.high == Approx(-0.029).margin(5e-4));
  CHECK(published.p == Approx(0.0703).margin(5e-5));
  // Swapped, the sign turns.
  CHECK(paired_questions(7, 1, 21).interval.low == Approx(-published.interval.high));
  CHECK(paired_questions(7, 1, 21).p == Approx(published.p));
  CHECK(paired_questions(0, 0, 40).p == 1);
  CHECK(paired_questions(5, 5, 40).p == 1);
  CHECK(paired_questions(0, 10, 10).p == Approx(std::pow(2, -9)));
  CHECK(paired_questions(300, 100, 1000).p < 1e-20);
}

TEST_CASE("different questions are compared by Agresti and Caffo's interval") {
  const Difference far = unpaired_questions(10, 10, 0, 10);
  CHECK(far.interval.value == 1);
  CHECK(far.interval.low == Approx(0.6122).margin(5e-4));
  CHECK(far.interval.high == 1);
  CHECK(far.p < 1e-9);
  CHECK(unpaired_questions(40, 100, 40, 100).p == Approx(1));
  // 57 and 42 of 102 after one success and one failure are added to each: z = 2.1244.
  CHECK(unpaired_questions(56, 100, 41, 100).p == Approx(0.0336).margin(5e-5));
}

TEST_CASE("seeds give Student's interval, which agreement to a question does not make a point") {
  const Interval interval = mean_interval({1, 2, 3}, 0);
  CHECK(interval.value == Approx(2));
  CHECK(interval.low == Approx(2 - 4.30265 / std::sqrt(3.0)).margin(1e-5));
  CHECK(interval.high == Approx(2 + 4.30265 / std::sqrt(3.0)).margin(1e-5));
  CHECK(std::isnan(mean_interval({5}, 1).low));
  const Difference difference = paired_seeds({1, 2, 3}, 0);
  // t = 2 · √3 with two degrees.
  CHECK(difference.p == Approx(2 * student_cdf(-2 * std::sqrt(3.0), 2)));
  CHECK(difference.p == Approx(0.0742).margin(5e-5));
  // Three seeds that agree on one question more of 200: no certainty.
  const Difference agreed = paired_seeds({0.5, 0.5, 0.5}, 0.5);
  CHECK(agreed.interval.low < 0);
  CHECK(agreed.p > 0.05);
  CHECK(paired_seeds({5, 5, 5}, 0.5).p < 0.001);
  CHECK(paired_seeds({5}, 0.5).p == 1);
}
