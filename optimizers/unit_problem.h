#pragma once
/// \file
/// The layer-assignment problem as a pagmo user-defined problem. Internal: pagmo's types show.

#include <cstdint>
#include <functional>
#include <memory>
#include <pagmo/types.hpp>
#include <string>
#include <utility>

#include "strata/core/planning_problem.h"

namespace strata::optimizers {

/// Minimises (−importance, usage variance) and, where the problem has them, bytes and seconds.
///
/// Budgets of units: a decision vector holds the unit indices of every client, one client after the
/// other: Σ budgets integers in [0, units − 1], at least one. The first of equal entries of a
/// client stands; where a client then lacks units, its best ones are added. Budgets of a resource:
/// clients · units integers in [0, 1].
///
/// Every vector has a meaning, so that pagmo's own algorithms can be used: entries are rounded and
/// clamped, and `repair` makes the assignment feasible.
class UnitProblem {
 public:
  /// pagmo requires a default constructor: one client that trains the only unit.
  UnitProblem();
  /// `relaxed`: the variables are announced as continuous, for algorithms that know no integers.
  /// @throws InputError for an invalid or infeasible problem, or one without any slot.
  explicit UnitProblem(PlanningProblem problem, bool relaxed = false);

  pagmo::vector_double fitness(const pagmo::vector_double& x) const;
  /// In parallel (TBB), with the same values for any number of threads.
  pagmo::vector_double batch_fitness(const pagmo::vector_double& xs) const;
  std::pair<pagmo::vector_double, pagmo::vector_double> get_bounds() const;
  pagmo::vector_double::size_type get_nobj() const { return objectives_; }
  pagmo::vector_double::size_type get_nix() const { return relaxed_ ? 0 : slots_; }
  std::string get_name() const { return "Strata layer assignment"; }

  const PlanningProblem& problem() const { return problem_; }
  pagmo::vector_double fitness_of(const Objectives& objectives) const;
  /// From now on every assignment whose fitness is computed, of this and of copies of it, is shown
  /// to `watch`, one at a time.
  void watch(std::function<void(const Assignment&)> watch);
  /// The feasible assignment that a decision vector means.
  Assignment decode(const double* x) const;
  /// The decision vector of a feasible assignment, each client's units ascending.
  pagmo::vector_double encode(const Assignment& assignment) const;

 private:
  struct Watch;
  PlanningProblem problem_;
  Assignment fallback_;  ///< feasible
  std::size_t slots_ = 0, objectives_ = 2;
  bool relaxed_ = false;
  std::shared_ptr<Watch> watch_;
};

}  // namespace strata::optimizers
