#include "strata/ntk/private_scores.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "catch.h"
#include "strata/core/error.h"
#include "strata/core/random.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::ntk;
using Catch::Contains;

namespace {

ScoreTable table_of(const Eigen::MatrixXd& scores) {
  ScoreTable table;
  table.metric = "lntk";
  table.model_fingerprint = "00ff";
  table.samples = 8;
  for (Eigen::Index i = 0; i < scores.rows(); ++i) table.clients.push_back("c" + std::to_string(i));
  for (Eigen::Index l = 0; l < scores.cols(); ++l) table.units.push_back("u" + std::to_string(l));
  table.scores = scores;
  table.raw = scores * 1000;
  return table;
}

Eigen::MatrixXd random_rows(int rows, int units, Random& random) {
  Eigen::MatrixXd scores(rows, units);
  for (auto& value : scores.reshaped()) value = std::exp(2 * random.normal());
  return scores;
}

}  // namespace

TEST_CASE("the analytic Gaussian mechanism against 60-digit arithmetic") {
  // Balle & Wang's δ(ε, σ) at Δ = 1 and its inverse, evaluated by mpmath 1.3 with 60 digits.
  struct Calibrated {
    double epsilon, delta, multiplier;
  };
  for (const auto& [epsilon, delta, multiplier] :
       {Calibrated{0.1, 1e-5, 30.74956613197745}, Calibrated{1, 1e-5, 3.7306316348159418},
        Calibrated{1, 1e-6, 4.2246788893268353}, Calibrated{10, 1e-5, 0.49988861970900851},
        Calibrated{100, 1e-5, 0.094669907014746388}, Calibrated{1000, 1e-5, 0.024581783351654279},
        Calibrated{100000, 1e-10, 0.0022680894665558218},
        Calibrated{0.001, 1e-12, 5412.3021938439272}, Calibrated{1, 0.3, 0.69023058001459924}}) {
    CAPTURE(epsilon, delta);
    CHECK(gaussian_multiplier(epsilon, delta) == Approx(multiplier).epsilon(1e-9));
    CHECK(gaussian_epsilon(multiplier, delta) == Approx(epsilon).epsilon(1e-8));
  }
  CHECK(gaussian_delta(0, 1) == Approx(0.38292492254802621).epsilon(1e-14));
  CHECK(gaussian_delta(1, 1) == Approx(0.12693673750664395).epsilon(1e-14));
  CHECK(gaussian_delta(1, 3.73) == Approx(1.0028149557727745e-5).epsilon(1e-12));
  CHECK(gaussian_delta(5, 0.5) == Approx(0.032281984750072821).epsilon(1e-14));
  CHECK(gaussian_delta(20, 0.1) == Approx(0.99802918146542763).epsilon(1e-14));
  CHECK(gaussian_delta(200, 0.05) == Approx(0.48010238435167297).epsilon(1e-13));
  CHECK(gaussian_delta(2000, 0.02) == Approx(2.8202890555336322e-51).epsilon(1e-10));
  CHECK(gaussian_delta(50, 1) == 0);  // 1.4e-536
  CHECK(gaussian_delta(1, 0.01) == 1);
  CHECK(gaussian_delta(1e6, 1e6) == 0);
  CHECK(gaussian_delta(1e300, 1e300) == 0);
}

TEST_CASE("less noise than the classical mechanism, where that is proved") {
  // Dwork & Roth 2014, theorem A.1, for ε < 1.
  for (const double epsilon : {0.01, 0.1, 0.5, 0.99}) {
    for (const double delta : {1e-3, 1e-6, 1e-9}) {
      CHECK(gaussian_multiplier(epsilon, delta) < std::sqrt(2 * std::log(1.25 / delta)) / epsilon);
    }
  }
}

TEST_CASE("noise, ε and δ: monotone, and inverse of each other") {
  const std::vector<double> epsilons = {1e-3, 0.1, 1, 3, 10, 30, 100, 1e3, 1e5};
  const std::vector<double> deltas = {1e-12, 1e-9, 1e-5, 1e-3, 0.1, 0.5, 0.9};
  for (const double delta : deltas) {
    double before = std::numeric_limits<double>::infinity();
    for (const double epsilon : epsilons) {
      const double multiplier = gaussian_multiplier(epsilon, delta);
      CAPTURE(epsilon, delta, multiplier);
      CHECK(multiplier < before);
      before = multiplier;
      CHECK(gaussian_delta(epsilon, multiplier) <= delta);
      CHECK(gaussian_delta(epsilon, multiplier) == Approx(delta).epsilon(1e-9));
      CHECK(gaussian_epsilon(multiplier, delta) == Approx(epsilon).epsilon(1e-6));
    }
  }
  for (const double epsilon : epsilons) {
    double before = std::numeric_limits<double>::infinity();
    for (const double delta : deltas) {
      const double multiplier = gaussian_multiplier(epsilon, delta);
      CHECK(multiplier < before);
      before = multiplier;
    }
  }
  CHECK(gaussian_epsilon(1e9, 1e-5) == 0);
}

TEST_CASE("δ as an experiment finds it in one dimension") {
  // f is 0 for one data set and Δ = 1 for its neighbour. The event that tells them apart best is
  // that the density at f + noise is more than e^ε times as great under the neighbour: y > ε σ² +
  // 1/2. δ is its probability there less e^ε times that here.
  Random random(11);
  const double epsilon = 1, delta = 0.1;
  const double sigma = gaussian_multiplier(epsilon, delta);
  const int draws = 400000;
  int here = 0, there = 0;
  for (int i = 0; i < draws; ++i) {
    here += sigma * random.normal() > epsilon * sigma * sigma + 0.5;
    there += 1 + sigma * random.normal() > epsilon * sigma * sigma + 0.5;
  }
  const double found = (there - std::exp(epsilon) * here) / draws;
  // Its standard error is below √(0.25 + e² 0.25)/√draws = 0.0023.
  CHECK(found == Approx(delta).margin(0.008));
}

TEST_CASE("the published rows of neighbouring data sets are (ε, δ)-indistinguishable") {
  // Two units and the two rows that are farthest apart; the events are thresholds on the published
  // share of the first unit.
  const double epsilon = 1, delta = 0.3;
  const int draws = 40000;
  const auto shares = [&](double first, const PrivacyOptions& options) {
    Eigen::MatrixXd rows(draws, 2);
    rows.col(0).setConstant(first);
    rows.col(1).setConstant(1 - first);
    const Eigen::VectorXd share = privatise_scores(table_of(rows), options).table.scores.col(0);
    return std::vector<double>(share.begin(), share.end());
  };
  const auto greatest_excess = [&](PrivacyOptions options) {
    const std::vector<double> one = shares(1, options);
    options.seed = 2;
    const std::vector<double> other = shares(0, options);
    const auto above = [](const std::vector<double>& values, double threshold) {
      const auto count = std::count_if(values.begin(), values.end(),
                                       [&](double value) { return value > threshold; });
      return static_cast<double>(count) / draws;
    };
    double greatest = 0;
    for (double threshold = -0.01; threshold < 1; threshold += 0.01) {
      const double excess = above(one, threshold) - std::exp(epsilon) * above(other, threshold);
      greatest = std::max(greatest, excess);
    }
    return greatest;
  };
  PrivacyOptions options;
  options.epsilon = epsilon;
  options.delta = delta;
  CHECK(greatest_excess(options) < delta + 0.02);
  // The experiment can tell: half the noise breaks the promise.
  options.epsilon = gaussian_epsilon(gaussian_multiplier(epsilon, delta) / 2, delta);
  CHECK(greatest_excess(options) > delta + 0.1);
}

TEST_CASE("no two clipped rows are farther apart than the sensitivity") {
  Random random(5);
  for (const double clip : {0.1, 0.3, 0.6, 0.9, 1.0, 3.0}) {
    double farthest = 0;
    for (int trial = 0; trial < 2000; ++trial) {
      // Few large entries, so that rows come near the corners, where the distance is greatest.
      Eigen::MatrixXd rows(2, 2 + static_cast<int>(random.below(6)));
      for (auto& value : rows.reshaped()) value = std::exp(6 * random.normal());
      normalise_rows(rows);
      clip_rows(rows, clip);
      CHECK(rows.row(0).norm() <= clip * (1 + 1e-12));
      farthest = std::max(farthest, (rows.row(0) - rows.row(1)).norm());
    }
    CAPTURE(clip, farthest);
    CHECK(farthest <= row_sensitivity(clip) * (1 + 1e-12));
    CHECK(farthest > 0.95 * row_sensitivity(clip));
  }
  Eigen::MatrixXd corners = Eigen::MatrixXd::Identity(2, 5);
  clip_rows(corners, 0.5);
  CHECK((corners.row(0) - corners.row(1)).norm() == Approx(row_sensitivity(0.5)).epsilon(1e-14));
  CHECK(row_sensitivity(7) == row_sensitivity(1));
}

TEST_CASE("published rows are scores, and carry nothing else") {
  Random random(8);
  const ScoreTable table = table_of(random_rows(40, 12, random));
  PrivacyOptions options;
  options.epsilon = 20;
  const PrivateScores result = privatise_scores(table, options);
  CHECK_NOTHROW(result.table.validate("result"));
  CHECK(result.table.metric == "lntk");
  CHECK(result.table.model_fingerprint == "00ff");
  CHECK(result.table.clients == table.clients);
  CHECK(result.table.units == table.units);
  CHECK(result.table.samples == 0);
  CHECK(result.table.raw.size() == 0);
  CHECK(result.table.scores.minCoeff() == 0);
  for (int client = 0; client < 40; ++client) {
    CHECK(result.table.scores.row(client).sum() == Approx(1).epsilon(1e-14));
  }
  CHECK(result.clip == Approx(1 / std::sqrt(12.0)));
  CHECK(result.sensitivity == row_sensitivity(result.clip));
  CHECK(result.sigma == Approx(result.sensitivity * gaussian_multiplier(20, 1e-5)));
  CHECK(result.epsilon == 20);
  CHECK(result.delta == 1e-5);
  CHECK(result.release_epsilon == Approx(20).epsilon(1e-6));
  CHECK(result.uniform.empty());
}

TEST_CASE("the noise has the standard deviation that is stated") {
  // With little noise the published entry of a uniform row of 4 is 1/4 + nᵢ − (Σ n)/4, of variance
  // 3/4 σ² (a row of norm 1/2 is not scaled).
  PrivacyOptions options;
  options.epsilon = 1e5;
  options.clip = 0.5;
  const Eigen::MatrixXd uniform = Eigen::MatrixXd::Constant(5000, 4, 0.25);
  const PrivateScores result = privatise_scores(table_of(uniform), options);
  const double variance = (result.table.scores - uniform).squaredNorm() / 20000;
  CHECK(std::sqrt(variance / 0.75) == Approx(result.sigma).epsilon(0.02));
}

TEST_CASE("many releases together are as private as asked for") {
  Random random(8);
  const ScoreTable table = table_of(random_rows(3, 6, random));
  PrivacyOptions options;
  options.epsilon = 2;
  const PrivateScores once = privatise_scores(table, options);
  options.releases = 60;
  const PrivateScores many = privatise_scores(table, options);
  CHECK(many.sigma == Approx(once.sigma * std::sqrt(60.0)).epsilon(1e-14));
  CHECK(many.epsilon == 2);
  CHECK(many.release_epsilon < once.release_epsilon);
  CHECK(gaussian_epsilon(many.sigma / many.sensitivity / std::sqrt(60.0), many.delta) ==
        Approx(2).epsilon(1e-6));
  // Equal noise in two releases would cancel in their difference.
  options.release = 2;
  CHECK(privatise_scores(table, options).table.scores != many.table.scores);
}

TEST_CASE("a client's row depends on its own row, name, seed and release alone") {
  Random random(8);
  const ScoreTable table = table_of(random_rows(3, 6, random));
  ScoreTable alone = table;
  alone.clients = {"c2"};
  alone.scores = table.scores.row(2);
  alone.raw.resize(0, 0);
  PrivacyOptions options;
  options.epsilon = 30;
  const Eigen::MatrixXd rows = privatise_scores(table, options).table.scores;
  CHECK(privatise_scores(table, options).table.scores == rows);
  CHECK(privatise_scores(alone, options).table.scores.row(0) == rows.row(2));
  // Scores count by their shares, so that the scale of the raw values is not published.
  ScoreTable scaled = table;
  scaled.scores *= 4;
  CHECK(privatise_scores(scaled, options).table.scores == rows);
  options.seed = 2;
  CHECK(privatise_scores(table, options).table.scores != rows);
}

TEST_CASE("below the least norm of a row the clip does not matter") {
  Random random(8);
  const ScoreTable table = table_of(random_rows(20, 9, random));
  PrivacyOptions options;
  options.epsilon = 30;
  const Eigen::MatrixXd rows = privatise_scores(table, options).table.scores;
  options.clip = 0.01;
  CHECK(privatise_scores(table, options).table.scores.isApprox(rows, 1e-12));
  options.clip = 1;
  CHECK(!privatise_scores(table, options).table.scores.isApprox(rows, 1e-3));
}

TEST_CASE("a noised row without a positive entry becomes uniform, and is named") {
  PrivacyOptions options;
  options.epsilon = 0.01;
  const PrivateScores result =
      privatise_scores(table_of(Eigen::MatrixXd::Identity(2, 2).replicate(50, 1)), options);
  // About a quarter of the 100 rows.
  CHECK(result.uniform.size() > 10);
  CHECK(result.uniform.size() < 45);
  for (int client = 0; client < 100; ++client) {
    const auto row = result.table.scores.row(client);
    const bool named =
        std::count(result.uniform.begin(), result.uniform.end(), result.table.clients[client]) == 1;
    CHECK(named == (row(0) == 0.5 && row(1) == 0.5));
  }
}

TEST_CASE("wrong options are named with what was found") {
  const ScoreTable table = table_of(Eigen::MatrixXd::Ones(2, 3));
  const auto with = [&](auto change) {
    PrivacyOptions options;
    change(options);
    return privatise_scores(table, options);
  };
  CHECK_THROWS_WITH(with([](auto& o) { o.clip = 0; }), Contains("clip: found 0, a finite number"));
  CHECK_THROWS_WITH(with([](auto& o) { o.clip = -1; }), Contains("clip: found -1"));
  CHECK_THROWS_WITH(with([](auto& o) { o.clip = std::nan(""); }), Contains("clip: found nan"));
  CHECK_THROWS_WITH(with([](auto& o) { o.epsilon = 0; }), Contains("epsilon: found 0"));
  CHECK_THROWS_WITH(with([](auto& o) { o.epsilon = -2; }), Contains("epsilon: found -2"));
  CHECK_THROWS_WITH(with([](auto& o) { o.epsilon = INFINITY; }), Contains("epsilon: found inf"));
  CHECK_THROWS_WITH(with([](auto& o) { o.delta = 0; }),
                    Contains("delta: found 0, a number between"));
  CHECK_THROWS_WITH(with([](auto& o) { o.delta = 1; }), Contains("delta: found 1"));
  CHECK_THROWS_WITH(with([](auto& o) { o.delta = std::nan(""); }), Contains("delta: found nan"));
  CHECK_THROWS_WITH(with([](auto& o) { o.releases = 0; }), Contains("releases: found 0"));
  CHECK_THROWS_WITH(with([](auto& o) { o.release = 2; }), Contains("release: found 2, 1 to 1"));
  CHECK_THROWS_WITH(gaussian_delta(-1, 1), Contains("epsilon: found -1"));
  CHECK_THROWS_WITH(gaussian_delta(1, 0), Contains("noise multiplier: found 0"));
  CHECK_THROWS_WITH(gaussian_epsilon(-1, 0.1), Contains("noise multiplier: found -1"));
  CHECK_THROWS_WITH(gaussian_epsilon(1, 1), Contains("delta: found 1"));
  ScoreTable wrong = table;
  wrong.scores(1, 2) = -1;
  CHECK_THROWS_WITH(privatise_scores(wrong, {}), Contains("client \"c1\", unit \"u2\""));
}

TEST_CASE("score files are what docs/score_files.md shows, to the byte") {
  const std::string page = test::slurp(STRATA_SOURCE_DIR "/docs/score_files.md");
  REQUIRE(!page.empty());
  const test::TempDir dir;
  ScoreTable table;
  table.metric = "lntk";
  table.model_fingerprint = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
  table.samples = 8;
  table.clients = {"ct, \"A\""};
  table.units = {"block.0", "block.1", "head"};
  table.roles = {Role::kBody, Role::kBody, Role::kHead};
  table.raw.resize(1, 3);
  table.raw << 3, 0.00003, 1e21;
  table.scores.resize(1, 3);
  table.scores << 0.1, 0.9, 0;
  const auto shown = [&](const std::string& name) {
    write_scores(table, dir / name);
    const std::string file = test::slurp(dir / name);
    CAPTURE(file);
    CHECK(page.find("```\n" + file + "```\n") != std::string::npos);
  };
  shown("scores.json");
  shown("scores.csv");
  table = privatise_scores(table, {}).table;
  table.scores << 0.25, 0, 0.75;
  shown("scores.json");
}
