#include "experiment/strategy.h"

#include "catch.h"
#include "experiment/files.h"

using namespace strata;
using namespace strata::experiment;
using namespace strata::test;
using Catch::Matchers::Contains;

TEST_CASE("a name alone makes a strategy: the runner's, a metric, an algorithm") {
  const auto config = read_experiment(
      kExperiment, {"run.strategies=[head, dropout, roundrobin, sba, gradient, exact, {name: mine, "
                    "algorithm: rotate}]"});
  const std::vector<std::vector<std::string>> expected = {
      {"head", "none", "none"},         {"dropout", "none", "dropout"},
      {"roundrobin", "none", "rotate"}, {"sba", "none", "shared_dropout"},
      {"gradient", "gradient", "topk"}, {"exact", "auto", "exact"},
      {"mine", "none", "rotate"}};
  REQUIRE(config.run->strategies.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto& strategy = config.run->strategies[i];
    CHECK(std::vector<std::string>{strategy.name, strategy.metric, strategy.algorithm} ==
          expected[i]);
  }
}

TEST_CASE("a choice rule with a number is checked by the planner that is handed in") {
  ToolNames names = kNames;
  names.check_choice = [](const std::string& rule) {
    if (rule != "knee" && rule != "weights:0.3") throw InputError("unknown rule " + rule);
  };
  const auto read_with = [&](const std::string& rule) {
    return read_experiment(kExperiment, {"run.plan.choose=" + rule}, names);
  };
  CHECK(read_with("weights:0.3").run->plan.choose == "weights:0.3");
  CHECK_THAT(error_of([&] { read_with("weights:2"); }),
             Contains("run.plan.choose: unknown rule weights:2"));
}

TEST_CASE("a strategy is written with its metric, its algorithm and its rule, and reads back") {
  const auto fields = strategy_fields(kNames, {"lntk", "nsga2", "knee"});
  CHECK(written(fields, "{name: f3ocus, choose: importance}") ==
        R"({"name":"f3ocus","metric":"lntk","algorithm":"nsga2","choose":"importance"})");
  CHECK(read_section(fields, "{name: mine, algorithm: dropout}").own == OwnAlgorithm::kDropout);
  CHECK_FALSE(read_section(fields, "{name: topk}").own);
  const std::string text = R"({"name":"a","metric":"gradient","algorithm":"topk","choose":"knee"})";
  CHECK(written(fields, text) == text);
}

TEST_CASE("a strategy that scores names its metric, one that does not needs none") {
  const auto fields = strategy_fields(kNames, {"lntk", "nsga2", "knee"});
  CHECK(section_error(fields, "{name: a, algorithm: topk, metric: none}") ==
        "metric: the algorithm topk needs scores");
  CHECK(read_section(fields, "{name: a, algorithm: rotate}").metric == "none");
  CHECK(section_error(fields, "{name: .a, algorithm: topk}") ==
        "name: \".a\" cannot name a folder (letters, digits, '_', '-' and '.' can)");
  CHECK_THAT(section_error(fields, "{name: a}"), Contains("name: \"a\" is not one of \"f3ocus\""));
}

TEST_CASE("every named strategy can be named, once, if its name can name a folder") {
  ToolNames names = kNames;
  names.algorithms.push_back("pagmo:nsga2");
  CHECK(strategy_names(names) == std::vector<std::string>{"f3ocus", "topk", "random", "full",
                                                          "head", "dropout", "roundrobin", "sba",
                                                          "lntk", "gradient", "exact", "nsga2"});
}

TEST_CASE("a strategy may have units of its own, by the name of a mode") {
  const auto fields = strategy_fields(kNames, {"lntk", "nsga2", "knee"});
  CHECK(written(fields, "{name: flap, mode: flap}") ==
        R"({"name":"flap","metric":"none","algorithm":"full","choose":"knee","mode":"flap"})");
  CHECK(read_section(fields, "{name: flap, mode: flap}").own == OwnAlgorithm::kFull);
  CHECK(read_section(fields, "{name: f3ocus, mode: flap}").algorithm == "nsga2");
  CHECK(read_section(fields, "{name: planned, mode: flap, algorithm: nsga2}").metric == "lntk");
  CHECK(read_section(fields, "{name: full}").mode.empty());
  CHECK_THAT(section_error(fields, "{name: flap, mode: flab}"),
             Contains("mode: \"flab\" is not one of") && Contains("did you mean \"flap\"?"));
}
