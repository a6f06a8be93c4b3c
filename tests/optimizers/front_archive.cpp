#include "optimizers/front_archive.h"

#include "catch.h"
#include "instances.h"
#include "strata/optimizers/hypervolume.h"

using namespace strata;
using namespace strata::optimizers;
using namespace strata::test;

TEST_CASE("front archive keeps what is nondominated") {
  Eigen::MatrixXd importance(2, 2);
  importance << 5, 0, 4, 1;
  const PlanningProblem problem = make_instance(importance, {1, 1});
  const LayerModel model(problem);
  const auto state = [&](int a, int b) {
    Assignment result = Assignment::Zero(2, 2);
    result(0, a) = 1;
    result(1, b) = 1;
    return UnitState(model, result);
  };
  FrontArchive archive;
  CHECK(archive.insert(state(1, 1)));  // usages (0, 2)
  CHECK(archive.insert(state(1, 0)));  // (1, 1): dominates it
  CHECK(archive.size() == 1);
  CHECK(archive.insert(state(0, 1)));  // (1, 1), more important
  CHECK_FALSE(archive.insert(state(1, 1)));
  CHECK_FALSE(archive.insert(state(0, 1)));
  CHECK(archive.size() == 1);
  CHECK(archive.insert(state(0, 0)));  // (2, 0)
  const auto front = archive.front(model);
  REQUIRE(front.size() == 2);
  CHECK(front[0].objectives.importance == 6);
  CHECK(front[1].objectives.importance == 9);
  // Between the two, importance grows by 3 while Σ n² grows by 2.
  const double unit = static_cast<double>(model.greatest_score()) / 5;
  CHECK(archive.slope(0, model) == Approx(1.5 * unit));
  CHECK(archive.hypervolume(model, {5, 2}) == Approx(hypervolume({{6, 0}, {9, 1}}, {5, 2})));
}

TEST_CASE("with further objectives the archive is a list of at most 1,000") {
  PlanningProblem problem = layered_instance(12, 24, 4, 1);
  Random random(3);
  for (int x = 0; x < 24; ++x) problem.uplink_bytes.push_back(random.between(1, 1000));
  const LayerModel model(problem);
  FrontArchive archive;
  Objectives best{0, 1e9, 1e18};  // in each objective on its own
  for (int i = 0; i < 20000; ++i) {
    Assignment assignment = Assignment::Zero(12, 24);
    for (int c = 0; c < 12; ++c) {
      for (const int x : random.sample(24, 4)) assignment(c, x) = 1;
    }
    archive.insert(UnitState(model, assignment));
    REQUIRE(archive.size() <= 1100);
    const Objectives found = evaluate(problem, assignment);
    best.importance = std::max(best.importance, found.importance);
    best.usage_variance = std::min(best.usage_variance, found.usage_variance);
    best.uplink_bytes = std::min(best.uplink_bytes, found.uplink_bytes);
  }
  const auto front = archive.front(model);
  CHECK(front.size() <= 1000);
  // What is crowded goes, so the ends of the front never do.
  Objectives kept{0, 1e9, 1e18};
  for (const auto& point : front) {
    kept.importance = std::max(kept.importance, point.objectives.importance);
    kept.usage_variance = std::min(kept.usage_variance, point.objectives.usage_variance);
    kept.uplink_bytes = std::min(kept.uplink_bytes, point.objectives.uplink_bytes);
  }
  CHECK(kept.importance == best.importance);
  CHECK(kept.usage_variance == best.usage_variance);
  CHECK(kept.uplink_bytes == best.uplink_bytes);
  for (const auto& a : front) {
    for (const auto& b : front) REQUIRE_FALSE(dominates(a.objectives, b.objectives));
  }
}
