#include "optimizers/cohorts.h"

#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <queue>
#include <set>
#include <tuple>

#include "optimizers/certificate.h"
#include "optimizers/feasible.h"
#include "strata/core/error.h"
#include "strata/core/plan_archive.h"
#include "strata/optimizers/exact_front.h"

namespace strata::optimizers {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kSumRounding = 1e-12;  // of sums of scores

enum class Fate : std::uint8_t { kOpen, kTrained, kUntrained };
using Fates = std::vector<Fate>;

bool pinned_by_anyone(const PlanningProblem& problem, int unit) {
  for (int i = 0; i < problem.client_count(); ++i)
    if (problem.rule(i, unit) == Rule::kPinned) return true;
  return false;
}

int able(const PlanningProblem& problem, int unit) {
  int clients = 0;
  for (int i = 0; i < problem.client_count(); ++i) {
    const std::int64_t budget = problem.counts_units() ? problem.budgets[i] : problem.capacities[i];
    clients += problem.rule(i, unit) != Rule::kForbidden && problem.affordable(unit, budget) > 0;
  }
  return clients;
}

/// What is sure before the first branch.
Fates sure_fates(const PlanningProblem& problem) {
  Fates fates(problem.units.size(), Fate::kOpen);
  for (int l = 0; l < problem.unit_count(); ++l) {
    if (problem.least_usage(l) > 0 || pinned_by_anyone(problem, l))
      fates[l] = Fate::kTrained;
    else if (able(problem, l) < problem.least_cohort)
      fates[l] = Fate::kUntrained;
  }
  return fates;
}

PlanningProblem with_fates(const PlanningProblem& problem, const Fates& fates) {
  PlanningProblem fixed = without_cohorts(problem);
  const std::size_t units = problem.units.size();
  if (fixed.rules.empty()) fixed.rules.assign(problem.clients.size() * units, Rule::kFree);
  if (fixed.coverage.empty()) fixed.coverage.assign(units, 0);
  for (std::size_t l = 0; l < units; ++l) {
    if (fates[l] == Fate::kTrained)
      fixed.coverage[l] = std::max(fixed.coverage[l], problem.least_cohort);
    if (fates[l] != Fate::kUntrained) continue;
    for (std::size_t i = 0; i < problem.clients.size(); ++i)
      fixed.rules[i * units + l] = Rule::kForbidden;
  }
  return fixed;
}

/// The units that may be trained, those of whole cohorts first, then those of the most clients.
std::vector<int> by_usage(const std::vector<int>& usages, const Fates& sure) {
  std::vector<int> order;
  for (std::size_t l = 0; l < usages.size(); ++l)
    if (sure[l] == Fate::kOpen) order.push_back(static_cast<int>(l));
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return usages[a] > usages[b]; });
  return order;
}

/// Fixes sets of trained units near assignments that break the rule.
class TrainedSets {
 public:
  explicit TrainedSets(const PlanningProblem& problem)
      : problem_(problem), sure_(sure_fates(problem)) {}

  struct Set {
    Fates fates;
    PlanningProblem problem;
    Assignment feasible;
  };

  /// The units of whole cohorts, and as many more, by how many train them, as an assignment needs.
  /// nullptr where none was found.
  const Set* around(const Assignment& assignment) {
    const std::vector<int> usages = usage(assignment);
    const std::vector<int> order = by_usage(usages, sure_);
    const auto whole = std::count_if(order.begin(), order.end(),
                                     [&](int l) { return usages[l] >= problem_.least_cohort; });
    Fates fates = sure_;
    for (Fate& fate : fates)
      if (fate == Fate::kOpen) fate = Fate::kUntrained;
    for (std::ptrdiff_t k = 0; k < whole; ++k) fates[order[k]] = Fate::kTrained;
    for (auto k = static_cast<std::size_t>(whole);; ++k) {
      if (const Set* set = fixed(fates)) return set;
      if (k == order.size()) return nullptr;
      fates[order[k]] = Fate::kTrained;
    }
  }

  /// With exactly these units trained; nullptr where no assignment was found.
  const Set* fixed(const Fates& fates) {
    const auto [place, is_new] = sets_.try_emplace(fates);
    if (is_new) {
      try {
        PlanningProblem problem = with_fates(problem_, fates);
        Assignment feasible = feasible_assignment(problem);
        place->second = Set{fates, std::move(problem), std::move(feasible)};
      } catch (const InputError&) {
        // Budgets, rules and cohorts together have no assignment.
      }
    }
    return place->second ? &*place->second : nullptr;
  }

  const Fates& sure() const { return sure_; }

 private:
  const PlanningProblem& problem_;
  Fates sure_;
  std::map<Fates, std::optional<Set>> sets_;
};

/// The upper hull of points by ascending usage variance and importance.
ExactFront hull_of(const std::vector<Objectives>& points) {
  std::vector<Objectives> hull;
  for (const Objectives& point : points) {
    const auto is_below = [&](const Objectives& a, const Objectives& b) {
      return (b.importance - a.importance) * (point.usage_variance - a.usage_variance) <=
             (point.importance - a.importance) * (b.usage_variance - a.usage_variance);
    };
    while (hull.size() > 1 && is_below(hull[hull.size() - 2], hull.back())) hull.pop_back();
    hull.push_back(point);
  }
  ExactFront front;
  for (const Objectives& point : hull) front.points.push_back({{}, point});
  return front;
}

[[noreturn]] void fail(const PlanningProblem& problem, bool proved) {
  throw InputError("least_cohort: " +
                   std::string(proved ? "there is no assignment within budgets and rules"
                                      : "no assignment was found within budgets and rules") +
                   " that trains each unit by nobody or by at least " +
                   std::to_string(problem.least_cohort) +
                   " clients; fewer clients a unit, or "
                   "budgets that more of them share, may help");
}

class CohortSearch {
 public:
  CohortSearch(const PlanningProblem& problem, const PlanOptions& options, const AlgorithmRow& row)
      : problem_(problem), options_(options), row_(row), sets_(problem) {
    // Usages of 0, or m and more: Σ n² ≥ m Σ n, where Σ n is known.
    const auto units = static_cast<double>(problem.unit_count());
    const double all = static_cast<double>(uses());
    if (problem.counts_units())
      least_variance_ =
          std::max(0.0, all / units * (problem.least_cohort - all / units)) * (1 - kSumRounding);
    const auto size = std::int64_t{problem.client_count()} * problem.unit_count();
    nodes_left_ = row.algorithm.kind == AlgorithmKind::kExact
                      ? std::clamp<std::int64_t>(kExactWork / std::max<std::int64_t>(1, size),
                                                 kFewNodes, kManyNodes)
                      : kFewNodes;
  }

  Certificate run() {
    look(sets_.sure(), nullptr);
    begin();
    improve(nodes_left_ / 2);
    while (!open_.empty() && nodes_left_ > 0) {
      Node node = open_.top();
      open_.pop();
      // Points found since may have closed it, or another may now be the farthest.
      const double before = node.excess;
      measure(node);
      if (node.unit < 0) {
        close(node.bound);
      } else if (node.excess < before && !open_.empty() && node.excess < open_.top().excess) {
        open_.push(std::move(node));
      } else {
        for (const Fate fate : {Fate::kTrained, Fate::kUntrained}) {
          Fates fates = node.fates;
          fates[node.unit] = fate;
          look(fates, &node.bound);
        }
      }
    }
    const bool complete = open_.empty() && !unproved_;
    for (; !open_.empty(); open_.pop()) close(open_.top().bound);
    if (kept_.empty()) fail(problem_, complete && problem_.counts_units());
    return certificate(complete);
  }

 private:
  static constexpr std::int64_t kExactWork = 800000, kManyNodes = 4000, kFewNodes = 16;

  struct Bound {
    CertificateKind kind = CertificateKind::kExact;
    std::function<double(double)> importance;
    double least = 0;  // usage variance
  };

  struct Node {
    Fates fates;
    Bound bound;
    std::vector<std::pair<Objectives, int>> broken;  // and the unit to divide at
    double excess = kInfinity;
    int unit = -1;  // to divide at; −1: closed
    std::int64_t number = 0;

    bool operator<(const Node& other) const {
      return excess != other.excess ? excess < other.excess : number > other.number;
    }
  };

  std::optional<Certificate> relax(const PlanningProblem& problem) {
    --nodes_left_;
    try {
      return row_.certify(problem, {.sweep = false});
    } catch (const InputError&) {
      return std::nullopt;
    }
  }

  /// A node: keeps its points, divides it later, or closes it.
  void look(const Fates& fates, const Bound* parent) {
    const auto certificate = relax(with_fates(problem_, fates));
    if (!certificate) {
      // With budgets of a resource that no assignment was found does not say that there is none.
      if (problem_.counts_units()) return;
      unproved_ = true;
      if (parent) close(*parent);
      return;
    }
    Node node;
    node.fates = fates;
    node.bound = {certificate->kind, certificate->importance_bound,
                  certificate->points.objectives().front().usage_variance};
    node.number = ++number_;
    std::vector<FrontPoint> whole;
    std::vector<Assignment> broken;
    for (const FrontPoint& point : certificate->points) {
      if (keeps_cohorts(problem_, point.assignment)) {
        whole.push_back(point);
        continue;
      }
      node.broken.emplace_back(point.objectives, unit_of(fates, point.assignment));
      broken.push_back(point.assignment);
    }
    keep(std::move(whole));
    for (const std::size_t k : evenly_spread(broken.size(), kNeighbours))
      settle(sets_.around(broken[k]));
    measure(node);
    if (node.unit < 0)
      close(node.bound);
    else
      open_.push(std::move(node));
  }

  /// The importance of the unit's best cohort.
  double best_cohort(int unit) const {
    const Eigen::VectorXd column = problem_.importance.col(unit);
    std::vector<double> best(column.data(), column.data() + column.size());
    std::sort(best.rbegin(), best.rend());
    return std::accumulate(best.begin(), best.begin() + problem_.least_cohort, 0.0);
  }

  /// With budgets of units: how many all clients train together.
  std::int64_t uses() const {
    return std::accumulate(problem_.budgets.begin(), problem_.budgets.end(), std::int64_t{0});
  }

  /// Sets of the units with the best cohorts, of many sizes, up to as many as there can be whole
  /// cohorts: large ones are even, and no exchange of single units leads there where cohorts are
  /// large. With at most half of the nodes.
  void begin() {
    Fates fates = sets_.sure();
    std::vector<std::pair<double, int>> open;
    for (int l = 0; l < problem_.unit_count(); ++l) {
      if (fates[l] != Fate::kOpen) continue;
      open.emplace_back(-best_cohort(l), l);
      fates[l] = Fate::kUntrained;
    }
    std::sort(open.begin(), open.end());
    std::size_t most = open.size();
    if (problem_.counts_units())
      most = std::min(most, static_cast<std::size_t>(uses() / problem_.least_cohort));
    const auto sizes = static_cast<std::size_t>(std::max<std::int64_t>(1, nodes_left_ / 2));
    for (const std::size_t k : evenly_spread(most, std::min(kSizes, sizes))) {
      Fates some = fates;
      for (std::size_t i = 0; i <= k; ++i) some[open[i].second] = Fate::kTrained;
      settle(sets_.fixed(some));
    }
  }

  /// Local search: exchanges single units of the sets that the hull's points train, the most
  /// promising first, as long as the hull rises, until so many nodes are left.
  void improve(std::int64_t left) {
    for (bool rises = true; rises && nodes_left_ > left;) {
      rises = false;
      const std::vector<FrontPoint> points = kept_;
      for (const std::size_t k : evenly_spread(points.size(), kImproved)) {
        const TrainedSets::Set* set = sets_.around(points[k].assignment);
        if (!set) continue;
        for (const Fates& fates : neighbours(*set, points[k].assignment)) {
          if (nodes_left_ <= left) return;
          const auto before = hull_.points.objectives();
          settle(sets_.fixed(fates));
          rises |= !is_same(before, hull_.points.objectives());
        }
      }
    }
  }

  static bool is_same(const std::vector<Objectives>& a, const std::vector<Objectives>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const Objectives& x, const Objectives& y) {
                        return x.importance == y.importance && x.usage_variance == y.usage_variance;
                      });
  }

  /// One trained unit less, one more, or one in another's place: first what loses least of the
  /// point's importance and adds most of the best cohorts'.
  std::vector<Fates> neighbours(const TrainedSets::Set& set, const Assignment& assignment) const {
    std::vector<std::pair<double, int>> out = {{0, -1}}, in = {{0, -1}};
    for (int l = 0; l < problem_.unit_count(); ++l) {
      if (sets_.sure()[l] != Fate::kOpen) continue;
      const Eigen::VectorXd column = problem_.importance.col(l);
      if (set.fates[l] == Fate::kTrained) {
        out.emplace_back(assignment.col(l).cast<double>().dot(column), l);
      } else {
        in.emplace_back(best_cohort(l), l);
      }
    }
    std::vector<std::tuple<double, int, int>> moves;
    for (const auto& [lost, from] : out)
      for (const auto& [won, to] : in)
        if (from >= 0 || to >= 0) moves.emplace_back(lost - won, from, to);
    std::sort(moves.begin(), moves.end());
    std::vector<Fates> found;
    for (const auto& [loss, from, to] : moves) {
      found.push_back(set.fates);
      if (from >= 0) found.back()[from] = Fate::kUntrained;
      if (to >= 0) found.back()[to] = Fate::kTrained;
    }
    return found;
  }

  /// The front of a trained set.
  void settle(const TrainedSets::Set* set) {
    if (!set || !settled_.insert(set->fates).second) return;
    keep({{set->feasible, evaluate(problem_, set->feasible)}});
    const auto certificate = relax(set->problem);
    if (!certificate) return;
    keep({certificate->points.begin(), certificate->points.end()});
  }

  /// Of the units with too few clients the one farthest from both ways out.
  int unit_of(const Fates& fates, const Assignment& assignment) const {
    const std::vector<int> usages = usage(assignment);
    int best = -1, farthest = 0;
    for (int l = 0; l < problem_.unit_count(); ++l) {
      const int n = usages[l], far = std::min(n, problem_.least_cohort - n);
      if (fates[l] == Fate::kOpen && far > farthest) best = l, farthest = far;
    }
    return best;
  }

  /// How far the node's broken points are beyond what is kept, and where to divide it.
  void measure(Node& node) const {
    node.excess = 0;
    node.unit = -1;
    const double scale = kept_.empty() ? 0 : kept_.back().objectives.importance;
    for (const auto& [point, unit] : node.broken) {
      // No cohorts are whole at less variance; there the bound counts at the least that can be.
      const double variance = std::max(point.usage_variance, least_variance_);
      const double importance =
          variance == point.usage_variance ? point.importance : node.bound.importance(variance);
      double excess = kInfinity;
      if (!kept_.empty()) {
        excess = importance - hull_.importance_bound(variance);
        if (excess <= kSumRounding * scale) continue;
      }
      if (excess <= node.excess) continue;
      node.excess = excess;
      node.unit = unit;
    }
  }

  void keep(std::vector<FrontPoint> points) {
    if (points.empty()) return;
    for (FrontPoint& point : kept_) points.push_back(std::move(point));
    kept_ = nondominated(std::move(points));
    hull_ = hull_of(objectives_of(kept_));
  }

  void close(const Bound& bound) { closed_.push_back(bound); }

  /// Unsupported points of the sets that the front's points train.
  void sweep() {
    std::set<Fates> swept;
    const std::vector<FrontPoint> points = kept_;
    for (const FrontPoint& point : points) {
      const TrainedSets::Set* set = sets_.around(point.assignment);
      if (!set || !swept.insert(set->fates).second) continue;
      const Certificate whole = row_.certify(set->problem, options_);
      keep({whole.points.begin(), whole.points.end()});
    }
  }

  Certificate certificate(bool complete) {
    Certificate found;
    const bool exact = std::all_of(closed_.begin(), closed_.end(), [](const Bound& bound) {
      return bound.kind == CertificateKind::kExact;
    });
    found.kind = !complete ? CertificateKind::kBranches
                 : exact   ? CertificateKind::kExact
                           : CertificateKind::kPrices;
    const double most = kept_.back().objectives.usage_variance;
    double least = most;
    if (complete && exact) {
      auto hull = std::make_shared<ExactFront>(hull_);
      least = kept_.front().objectives.usage_variance;
      found.importance_bound = [hull](double variance) { return hull->importance_bound(variance); };
    } else {
      auto bounds = std::make_shared<std::vector<Bound>>(closed_);
      for (const Bound& bound : closed_)
        least = std::min(least, std::max(least_variance_, bound.least));
      found.importance_bound = [bounds, from = least_variance_](double variance) {
        double highest = -kInfinity;
        if (variance < from) return highest;
        for (const Bound& bound : *bounds) highest = std::max(highest, bound.importance(variance));
        return highest;
      };
    }
    // What the exact front is measured by; elsewhere unsupported points count, too.
    found.bounds =
        complete && exact && row_.algorithm.kind == AlgorithmKind::kExact
            ? hull_.points.objectives()
            : staircase(least, most, kept_.front().objectives.importance, found.importance_bound);
    if (options_.sweep) sweep();
    found.points = kept_;
    return found;
  }

  static constexpr std::size_t kNeighbours = 4, kImproved = 8, kSizes = 64;

  const PlanningProblem& problem_;
  const PlanOptions& options_;
  const AlgorithmRow& row_;
  TrainedSets sets_;
  double least_variance_ = 0;
  std::int64_t nodes_left_ = 0, number_ = 0;
  bool unproved_ = false;
  std::priority_queue<Node> open_;
  std::vector<Bound> closed_;
  std::set<Fates> settled_;
  std::vector<FrontPoint> kept_;  // nondominated, by ascending usage variance
  ExactFront hull_;               // of these
};

}  // namespace

PlanningProblem without_cohorts(const PlanningProblem& problem) {
  PlanningProblem relaxed = problem;
  relaxed.least_cohort = 1;
  return relaxed;
}

Certificate certify_cohorts(const PlanningProblem& problem, const PlanOptions& options,
                            const AlgorithmRow& row) {
  return CohortSearch(problem, options, row).run();
}

FrontPoints keep_cohorts(const PlanningProblem& problem, const FrontPoints& points) {
  TrainedSets sets(problem);
  std::vector<FrontPoint> kept;
  for (FrontPoint point : points) {
    if (!keeps_cohorts(problem, point.assignment)) {
      const TrainedSets::Set* set = sets.around(point.assignment);
      if (!set) fail(problem, false);
      repair(set->problem, set->feasible, point.assignment);
      point.objectives = evaluate(problem, point.assignment);
    }
    kept.push_back(std::move(point));
  }
  return nondominated(std::move(kept));
}

}  // namespace strata::optimizers
