#include "experiment/run_section.h"

#include "catch.h"
#include "experiment/files.h"

using namespace strata;
using namespace strata::experiment;
using namespace strata::test;
using Catch::Matchers::Contains;

TEST_CASE("budgets are those of a problem file, with something for somebody") {
  const std::vector<std::string> clients = {"ct", "mri"};
  using Values = std::vector<std::int64_t>;
  const auto budget = [&](const std::string& text) {
    return read_experiment(kExperiment, {"run.budget=" + text}).run->budget;
  };
  CHECK(budget("2").values(clients, 3) == Values{2, 2});
  CHECK(budget("{mri: 0, ct: 3}").values(clients, 3) == Values{3, 0});
  CHECK(budget("400kB").of == "bytes");
  CHECK(read_experiment(kExperiment, {"run.budget=400kB", "run.plan={}"}).run->plan.algorithm ==
        "prices");
  CHECK(read_experiment(kExperiment, {"run.plan={}"}).run->plan.algorithm == "exact");
  CHECK(budget("{of: memory, each: 4MiB}").values(clients, 3) == Values{4194304, 4194304});
  CHECK_THROWS_WITH(budget("4").values(clients, 3),
                    Contains("run.budget: client \"ct\": a budget of 4 units, but there are 3"));
  CHECK_THROWS_WITH(budget("0"), Contains("run.budget: at least 1 was expected, found 0"));
  CHECK_THROWS_WITH(budget("{}"), Contains("run.budget: no client has a budget"));
}

TEST_CASE("a run is written with its defaults, and without what is not in use") {
  const auto fields = run_fields(kNames);
  const std::string plain =
      R"({"strategies":[{"name":"topk","metric":"auto","algorithm":"topk","choose":"knee"}],)"
      R"("seeds":[1],"rounds":3,"budget":2,"score":{"metric":"auto","samples":32,"every":1},)"
      R"("plan":{"algorithm":"exact","choose":"knee","evaluations":20000},)"
      R"("local":{"epochs":1,"batch_size":32,"learning_rate":0.5,"schedule":"constant",)"
      R"("weight_decay":0.01,"clip_norm":1.0,"flips":"none","calibrate_labels":false},)"
      R"("evaluate_every":1})";
  CHECK(written(fields,
                "{strategies: [{name: topk}], rounds: 3, budget: 2, local: {learning_rate: "
                "0.5}}") == plain);
  CHECK(written(fields, plain) == plain);
  const auto full = fields.write(read_section(
      fields,
      "{strategies: [{name: topk}], rounds: 3, budget: 2, local: {learning_rate: 0.5}, plan: "
      "{every: 2, warm: true}, server: {min_clients: 2}, failures: {dropout: 0.5}}"));
  CHECK(full["plan"]["every"] == 2);
  CHECK(full["plan"]["warm"] == true);
  CHECK(full["server"] == Json{{"min_clients", 2}});
  CHECK(full["failures"] == Json{{"dropout", 0.5}});
}

TEST_CASE("scaffold is of local steps of SGD") {
  const auto run = [](const std::string& optimizer) {
    return "{strategies: [{name: topk}], rounds: 3, budget: 2, local: {learning_rate: 0.5, "
           "optimizer: " +
           optimizer + "}, server: {algorithm: scaffold}}";
  };
  const auto fields = run_fields(kNames);
  CHECK(section_error(fields, run("adamw")) ==
        "server.algorithm: scaffold goes with run.local.optimizer sgd alone");
  CHECK(section_error(fields, run("sgd")).empty());
  CHECK(fields.write(read_section(fields, run("sgd")))["local"]["optimizer"] == "sgd");
}

TEST_CASE("rounds, strategies and local training have no defaults") {
  const auto fields = run_fields(kNames);
  CHECK(section_error(fields, "{budget: 2, rounds: 3, strategies: [{name: topk}]}") ==
        "local: the key is missing (a mapping was expected)");
  CHECK_THAT(section_error(fields, "{budget: 2, rounds: 3, local: {learning_rate: 1}}"),
             Contains("strategies: at least one strategy is needed: \"f3ocus\""));
  CHECK_THAT(section_error(fields, "{budget: 2}"), Contains("rounds: the key is missing"));
}
