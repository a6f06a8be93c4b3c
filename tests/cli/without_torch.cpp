// A plan-only build says clearly what it lacks.
#include "catch.h"
#include "command.h"

using namespace strata;

TEST_CASE("subcommands that need LibTorch name the build option") {
  const test::TempDir dir;
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"run", "c.yaml", "--out", "o"},
        std::vector<std::string>{"pretrain", "c.yaml", "--out", "o"},
        std::vector<std::string>{"score", "--model", "m", "--data", "d", "--out", "s.json"}}) {
    const auto outcome = test::run_strata(arguments, dir.path());
    CHECK(outcome.code == 1);
    CHECK_THAT(outcome.err, Catch::Contains("-DSTRATA_WITH_TORCH=ON"));
    CHECK(std::filesystem::is_empty(dir.path()));
  }
}

TEST_CASE("--version names the build and the missing LibTorch") {
  const test::TempDir dir;
  const auto outcome = test::run_strata({"--version"}, dir.path());
  CHECK(outcome.code == 0);
  CHECK_THAT(outcome.out,
             Catch::Contains("strata 0.1.0") && Catch::Contains("LibTorch: not built"));
}
