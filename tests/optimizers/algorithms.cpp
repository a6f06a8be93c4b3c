#include "optimizers/algorithms.h"

#include <set>

#include "catch.h"
#include "instances.h"

using namespace strata;
using namespace strata::optimizers;
using namespace strata::test;

TEST_CASE("every algorithm has its own name and one thing that runs it, which its kind fits") {
  std::set<std::string> names = {kAuto};
  for (const AlgorithmRow& row : algorithm_rows()) {
    const Algorithm& algorithm = row.algorithm;
    CAPTURE(algorithm.name);
    CHECK(names.insert(algorithm.name).second);
    CHECK(!!row.certify + !!row.plan + !!row.search + !!row.pagmo == 1);
    const bool searches = row.search || row.pagmo;
    CHECK(searches == (algorithm.kind == AlgorithmKind::kSearch));
    CHECK(searches == algorithm.uses.search);
    CHECK(algorithm.uses.islands == !!row.search);
    CHECK(algorithm.uses.unsupported == (algorithm.kind == AlgorithmKind::kExact));
    CHECK(algorithm.kind != AlgorithmKind::kUnknown);
    CHECK(!!row.certify == !!row.suits);
    CHECK(find_algorithm(algorithm.name) == &algorithm);
    CHECK(&row_of(algorithm.name) == &row);
  }
  CHECK(find_algorithm(kAuto) == nullptr);
  CHECK(find_algorithm("nsga") == nullptr);
}

TEST_CASE("lists of names are those of the rows, in their order") {
  CHECK(algorithm_names() ==
        std::vector<std::string>{"auto", "exact", "prices", "nsga2", "mopso", "aco", "abc",
                                 "annealing", "pagmo:nsga2", "pagmo:nspso", "pagmo:maco",
                                 "pagmo:bee_colony", "pagmo:simulated_annealing", "greedy",
                                 "roundrobin", "topk", "random"});
  CHECK(metaheuristics() == std::vector<std::string>{"nsga2", "mopso", "aco", "abc", "annealing"});
  CHECK(search_algorithms() ==
        std::vector<std::string>(algorithm_names().begin() + 3, algorithm_names().begin() + 13));
  CHECK(algorithms_with(&AlgorithmUses::unsupported) == std::vector<std::string>{"exact"});
}

TEST_CASE("the exact front certifies budgets of units up to 200,000 choices, prices all others") {
  const auto name = [](const PlanningProblem& problem) {
    return certifying_row(problem).algorithm.name;
  };
  const auto flat = [](int clients, int units) {
    return make_instance(Eigen::MatrixXd::Ones(clients, units),
                         std::vector<int>(static_cast<std::size_t>(clients), 1));
  };
  CHECK(name(flat(2000, 100)) == "exact");
  CHECK(name(flat(2001, 100)) == "prices");
  CHECK(name(tiny_resource_instance(1)) == "prices");
}
