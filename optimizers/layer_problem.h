#pragma once
/// \file
/// The layer-assignment problem as a pagmo user-defined problem. Internal: pagmo's types show.

#include <cstdint>
#include <pagmo/types.hpp>
#include <string>
#include <utility>

#include "strata/core/planning_problem.h"

namespace strata {

/// Minimises (−importance, usage variance). A decision vector holds the unit indices of every
/// client, one client after the other: Σ budgets integers in [0, units − 1], which must be at least
/// one.
///
/// Every vector has a meaning, so that pagmo's own algorithms can be used: entries are rounded and
/// clamped, the first of equal entries of a client stands, and each further one is replaced by the
/// client's best unit that is not taken (equal scores: the lower unit).
class LayerProblem {
 public:
  /// pagmo requires a default constructor: one client that trains the only unit.
  LayerProblem();
  /// @throws InputError for an invalid problem, or one without any slot.
  explicit LayerProblem(PlanningProblem problem);

  pagmo::vector_double fitness(const pagmo::vector_double& x) const;
  pagmo::vector_double batch_fitness(const pagmo::vector_double& xs) const;
  std::pair<pagmo::vector_double, pagmo::vector_double> get_bounds() const;
  pagmo::vector_double::size_type get_nobj() const { return 2; }
  pagmo::vector_double::size_type get_nix() const { return slots_; }
  std::string get_name() const { return "Strata layer assignment"; }

  const PlanningProblem& problem() const { return problem_; }
  /// The feasible assignment that a decision vector means.
  Assignment decode(const double* x) const;
  /// The decision vector of a feasible assignment, each client's units ascending.
  pagmo::vector_double encode(const Assignment& assignment) const;

 private:
  PlanningProblem problem_;
  std::size_t slots_ = 0;
};

}  // namespace strata
