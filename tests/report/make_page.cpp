// Writes the reports that tests/report/chromium.sh looks at: make_page OUT.

#include <exception>
#include <iostream>

#include "report/report.h"
#include "strata/optimizers/comparison_files.h"
#include "synthetic_runs.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: make_page OUT\n";
    return 2;
  }
  try {
    const std::filesystem::path out = argv[1];
    using strata::test::SyntheticRun;
    strata::test::write_synthetic_experiment(out / "one-seed", 3, 1);
    // Clients of one size: one accuracy, not two.
    SyntheticRun even;
    even.further_questions = 0;
    even.name = "A name that is long enough to need two lines on a telephone";
    strata::test::write_synthetic_experiment(out / "even", 3, 1, even);
    SyntheticRun large;
    large.name = "Example with made-up numbers";
    large.rounds = 12;
    large.budget = 6;
    large.units.clear();
    for (int l = 0; l < 24; ++l) large.units.push_back("encoder.layer." + std::to_string(l));
    for (int i = 9; i < 20; ++i) large.clients.push_back("hospital number " + std::to_string(i));
    strata::test::write_synthetic_experiment(out / "three-seeds", 4, 3, large);
    // The longest names, so that the tables are as wide as they get.
    strata::optimizers::ComparisonOptions options;
    options.algorithms = {"annealing", "pagmo:simulated_annealing"};
    options.starts = {"random", "greedy"};
    options.evaluations = {2000};
    options.seeds = 2;
    strata::optimizers::write_comparison(
        strata::optimizers::compare(strata::optimizers::load_instances({"9x24"}, 2, ""), options),
        out / "comparison");
    for (const char* name : {"one-seed", "even", "three-seeds", "comparison"}) {
      std::cout << strata::report::write_report(out / name).page.string() << "\n";
    }
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
  return 0;
}
