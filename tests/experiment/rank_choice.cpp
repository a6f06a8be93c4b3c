#include "experiment/rank_choice.h"

#include "catch.h"
#include "experiment/files.h"
#include "experiment/run_section.h"

using namespace strata;
using namespace strata::experiment;
using namespace strata::test;
using Catch::Matchers::Contains;

namespace {

using Ranks = std::vector<std::int64_t>;

RankChoice ranks(const std::string& text) {
  return read_experiment(kExperiment, {"run.ranks=" + text}).run->ranks;
}

std::string error(const std::string& text) {
  return error_of([&] { ranks(text).values({"ct", "mri"}, 8); });
}

}  // namespace

TEST_CASE("ranks are one for everyone, of all clients, or of some beside one for the rest") {
  const std::vector<std::string> clients = {"ct", "mri"};
  CHECK(ranks("4").values(clients, 8) == Ranks{4, 4});
  CHECK(ranks("{mri: 8, ct: 1}").values(clients, 8) == Ranks{1, 8});
  CHECK(ranks("{each: 8, clients: {ct: 2}}").values(clients, 8) == Ranks{2, 8});
  CHECK(ranks("{each: 3}").values(clients, 8) == Ranks{3, 3});
  CHECK(ranks("{clients: {ct: 2, mri: 3}}").values(clients, 8) == Ranks{2, 3});
  const RankChoice none = read_experiment(kExperiment).run->ranks;
  CHECK_FALSE(none.given());
  CHECK(none.values(clients, 8).empty());
}

TEST_CASE("ranks that are none, of nobody, or above the pairs' are refused by name") {
  CHECK_THAT(error("0"), Contains("run.ranks: "));
  CHECK_THAT(error("two"), Contains("run.ranks: "));
  CHECK_THAT(error("{ct: 0, mri: 1}"), Contains("run.ranks.ct: "));
  CHECK_THAT(error("{each: 0}"), Contains("run.ranks.each: "));
  CHECK_THAT(error("{}"), Contains("run.ranks: no client has a rank"));
  CHECK_THAT(error("{each: 2, client: {ct: 1}}"), Contains("client"));
  CHECK_THAT(error("{ct: 2}"), Contains("run.ranks: no rank for the client \"mri\""));
  CHECK_THAT(error("{ct: 2, mir: 3}"),
             Contains("run.ranks.mir: there is no client \"mir\" (did you mean \"mri\"?)"));
  CHECK_THAT(error("9"), Contains("run.ranks: client \"ct\": a rank of 9, but the model's LoRA "
                                  "pairs have 8; allowed is 1 to 8"));
  CHECK_THAT(error("{ct: 2, mri: 9}"), Contains("run.ranks.mri: client \"mri\": a rank of 9"));
}

TEST_CASE("ranks are written as they are read, and not where there are none") {
  ToolNames names = kNames;
  names.plan_ranks = {"topk"};
  const auto fields = run_fields(names);
  const auto write = [&](const std::string& ranks) {
    return fields.write(read_section(fields,
                                     "{strategies: [{name: topk}], rounds: 3, budget: 2, local: "
                                     "{learning_rate: 0.5}" +
                                         ranks + "}"));
  };
  CHECK_FALSE(write("").contains("ranks"));
  CHECK(write(", ranks: 4")["ranks"] == Json(4));
  CHECK(write(", ranks: plan")["ranks"] == Json("plan"));
  const Json named = {{"clients", {{"each", 2}, {"mri", 3}}}};
  CHECK(write(", ranks: {clients: {each: 2, mri: 3}}")["ranks"] == named);
  CHECK(write(", ranks: {ct: 2, mri: 3}")["ranks"] == Json{{"clients", {{"ct", 2}, {"mri", 3}}}});
  CHECK(write(", ranks: {each: 8, clients: {ct: 2}}")["ranks"] ==
        Json{{"clients", {{"ct", 2}}}, {"each", 8}});
}

TEST_CASE("ranks may be those of plans, where strategies plan any; nobody has them beforehand") {
  ToolNames names = kNames;
  names.plan_ranks = {"topk"};
  const auto run = [](const std::string& more) {
    return "{strategies: [{name: topk}], rounds: 3, ranks: plan, local: {learning_rate: 0.5}" +
           more + "}";
  };
  const RankChoice planned = read_section(run_fields(names), run(", budget: 2")).ranks;
  CHECK(planned.given());
  CHECK(planned.planned);
  CHECK(planned.values({"ct", "mri"}, 8).empty());
  CHECK_FALSE(ranks("4").planned);
  CHECK(section_error(run_fields(kNames), run(", budget: 2")) ==
        "ranks: the strategy topk plans with topk, which gives clients units, not ranks of units");
  CHECK(section_error(run_fields(names), run(", budget: 4kB")) ==
        "ranks: the strategy topk plans with topk, which gives clients no ranks in budgets of "
        "bytes");
  ToolNames costs = kNames;
  costs.plan_rank_costs = {"topk"};
  CHECK(section_error(run_fields(costs), run(", budget: 4kB")).empty());
  CHECK_FALSE(section_error(run_fields(costs), run(", budget: 2")).empty());
  CHECK(section_error(run_fields(names), run(", budget: 2, plan: {warm: true}")) ==
        "plan.warm: searches begin with a front, and none plans ranks");
}

TEST_CASE("hetlora may prune ranks, but none that plans give") {
  ToolNames names = kNames;
  names.plan_ranks = {"topk"};
  const auto run = [](const std::string& ranks, const std::string& server) {
    return "{strategies: [{name: topk}], rounds: 3, budget: 2, ranks: " + ranks +
           ", local: {learning_rate: 0.5}, server: {" + server + "}}";
  };
  const auto fields = run_fields(names);
  const std::string prunes = "lora: hetlora, rank_decay: 0.5, rank_penalty: 2";
  const AggregationOptions read = read_section(fields, run("4", prunes)).server.aggregation;
  CHECK(read.rank_decay == 0.5);
  CHECK(read.rank_penalty == 2);
  CHECK(section_error(fields, run("plan", prunes)) ==
        "server.rank_decay: the ranks of plans are not pruned, too");
  CHECK(section_error(fields, run("4", "lora: product, rank_decay: 0.5")) ==
        "server.rank_decay: ranks are pruned with lora hetlora alone, found product");
  CHECK(section_error(fields, run("4", "lora: hetlora, rank_penalty: 0.5")) ==
        "server.rank_penalty: it is of ranks that may go; without rank_decay none does");
}

TEST_CASE("ranks of clients go with averages alone") {
  const auto fields = run_fields(kNames);
  const auto run = [](const std::string& algorithm) {
    return "{strategies: [{name: topk}], rounds: 3, budget: 2, ranks: 2, local: {learning_rate: "
           "0.5, optimizer: sgd}, server: {algorithm: " +
           algorithm + "}}";
  };
  for (const std::string algorithm : {"scaffold", "feddyn", "ditto"})
    CHECK(section_error(fields, run(algorithm)) ==
          "ranks: ranks of clients go with run.server.algorithm fedavg alone");
  CHECK(section_error(fields, run("fedavg")).empty());
}
