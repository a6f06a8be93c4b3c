#pragma once
/// \file
/// Strata's metaheuristics as pagmo user-defined algorithms. Internal: pagmo's types show.

#include <chrono>
#include <cstdint>
#include <optional>
#include <pagmo/population.hpp>
#include <string>

#include "optimizers/front_archive.h"
#include "strata/optimizers/algorithms.h"

namespace strata::optimizers {

/// A method as a pagmo user-defined algorithm on LayerProblem, for pagmo's islands and
/// archipelagos. What it spends is added to the problem's evaluations.
class Metaheuristic {
 public:
  using Deadline = std::chrono::steady_clock::time_point;

  /// pagmo requires a default constructor.
  Metaheuristic() = default;
  /// Every evolve takes `evaluations`, or fewer where `deadline` ends it before.
  Metaheuristic(std::string method, std::int64_t evaluations, std::uint64_t seed,
                std::optional<Deadline> deadline = {});

  /// @throws std::invalid_argument unless the problem is a LayerProblem and the population has at
  /// least 2 individuals.
  pagmo::population evolve(pagmo::population population) const;
  void set_seed(unsigned seed) { seed_ = seed; }
  std::string get_name() const { return "Strata " + method_; }
  /// All nondominated assignments that evolve has met, its populations included.
  const FrontArchive& archive() const { return archive_; }
  /// Of all its evolves.
  std::int64_t evaluations() const { return spent_; }

 private:
  std::string method_ = metaheuristics().front();
  std::int64_t evaluations_ = 10000;
  std::optional<Deadline> deadline_;
  // pagmo's evolve is const by its interface; what evolves along is mutable in pagmo's own
  // algorithms, too.
  mutable std::uint64_t seed_ = 1;
  mutable FrontArchive archive_;
  mutable std::int64_t spent_ = 0;
};

}  // namespace strata::optimizers
