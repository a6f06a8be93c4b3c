#include "core/budget.h"

#include "catch.h"
#include "strata/core/error.h"
#include "temp_dir.h"

using namespace strata;
using Catch::Contains;

namespace {

const std::vector<std::string> kClients = {"ct", "mri"};

using Values = std::vector<std::int64_t>;

struct Read {
  std::string of;
  Values values;
};

Read read(const std::string& text, const std::string& of = "") {
  const Budget budget = parse_budget(text, of, "--budget");
  return {budget.of, budget.values(kClients, 5)};
}

/// The key of a document, and of what it is written back as.
Read read_key(const std::string& yaml, const std::string& of = "",
              const std::vector<std::string>& clients = kClients) {
  const auto budget_of = [&](const std::string& text) {
    const Document document = parse_yaml(text, "x.yaml");
    ObjectReader reader(document);
    Budget budget = read_budget(reader, "budget", of, [] { return std::string("no/file"); });
    reader.finish();
    return budget;
  };
  const Budget budget = budget_of("budget: " + yaml + "\n");
  const Read read{budget.of, budget.values(clients, 5)};
  const Budget again = budget_of(Json{{"budget", to_json(budget)}}.dump());
  CHECK((of.empty() ? again.of : budget.of) == budget.of);
  CHECK(again.values(clients, 5) == read.values);
  return read;
}

}  // namespace

TEST_CASE("an amount is everyone's budget, of what its unit says") {
  CHECK(read("4").of == "units");
  CHECK(read("4").values == Values{4, 4});
  CHECK(read("400kB").of == "bytes");
  CHECK(read("400kB").values == Values{400000, 400000});
  CHECK(read("2GFLOP").of == "flops");
  CHECK(read("4MiB", "memory").of == "memory");
  CHECK(read("4e6", "bytes").values == Values{4000000, 4000000});
}

TEST_CASE("a table has the clients' budgets, of what its column, its amounts or the option say") {
  const test::TempDir dir;
  const auto table = [&](const std::string& text, const std::string& of = "") {
    return read(dir.write("b.csv", text).string(), of);
  };
  CHECK(table("client,budget\nmri,1\nct,3\n").values == Values{3, 1});
  CHECK(table("client,budget\nmri,1\nct,3\n").of == "units");
  CHECK(table(",Budget\nmri,1\nct,3\n").values == Values{3, 1});
  CHECK(table("client;bytes\nmri;4MB\nct;300\n").of == "bytes");
  CHECK(table("client;bytes\nmri;4MB\nct;300\n").values == Values{300, 4000000});
  CHECK(table("client,flops\nmri,4\nct,300\n").of == "flops");
  CHECK(table("client,budget\nmri,4MB\nct,300\n").of == "bytes");
  CHECK(table("client\tbudget\nmri\t4\nct\t300\n", "flops").of == "flops");
  CHECK(table("client,budget\nmri,4MB\nct,300\n", "memory").of == "memory");
  CHECK(table("client,bytes\nmri,4MB\nct,300\n", "memory").of == "memory");
}

TEST_CASE(
    "a document has them as a number, an amount or a mapping, and reads back what it writes") {
  const auto is = [](const Read& found, const std::string& of, const Values& values) {
    CHECK(found.of == of);
    CHECK(found.values == values);
  };
  is(read_key("4"), "units", {4, 4});
  is(read_key("4e2", "bytes"), "bytes", {400, 400});
  is(read_key("2GFLOP"), "flops", {2000000000, 2000000000});
  is(read_key("4kB", "memory"), "memory", {4000, 4000});
  is(read_key("{mri: 0, ct: 3}"), "units", {3, 0});
  is(read_key("{mri: 4kB, ct: 300}"), "bytes", {300, 4000});
  is(read_key("{each: 2, clients: {mri: 0}}"), "units", {2, 0});
  is(read_key("{each: 4kB, clients: {mri: 7}}"), "bytes", {4000, 7});
  is(read_key("{clients: {mri: 4kB, ct: 7}, of: memory}"), "memory", {7, 4000});
  is(read_key("{each: 1, clients: {of: 2, clients: 0}}", "", {"each", "of", "clients"}), "units",
     {1, 2, 0});
  is(read_key("{clients: {each: 1, of: 2}}", "", {"each", "of"}), "units", {1, 2});

  const auto refused = [](const std::string& yaml, const std::string& message) {
    CAPTURE(yaml);
    CHECK_THROWS_WITH(read_key(yaml), Contains(message));
  };
  refused("6", "x.yaml:1: budget: client \"ct\": a budget of 6 units, but there are 5");
  refused("many",
          "x.yaml:1: budget: a whole number, an amount such as 400kB, a mapping or the name");
  refused("1.5", "budget: a whole number of units was expected, found 1.5");
  refused("{ct: 1}", "budget: no budget for the client \"mri\"");
  refused("{ct: 1, mir: 2, mri: 1}",
          "budget.mir: there is no client \"mir\" (did you mean \"mri\"?)");
  refused("{ct: 1, mri: 6}", "budget.mri: client \"mri\": a budget of 6 units, but there are 5");
  refused("{of: bites, each: 4}", "budget.of: ");
  refused("{each: 4kX, of: bytes}", "budget.each: a whole number of bytes, such as 400kB");
  refused("{each: 4, ct: 1}", "unknown key");
}

TEST_CASE("wrong budgets are named with file, line and client") {
  const test::TempDir dir;
  const auto refused = [&](const std::string& text, const std::string& message,
                           const std::string& of = "") {
    CAPTURE(text);
    CHECK_THROWS_WITH(read(dir.write("b.csv", text).string(), of), Contains(message));
  };
  CHECK_THROWS_WITH(read("6"),
                    "--budget 6: client \"ct\": a budget of 6 units, but there are 5; "
                    "allowed is 0 to 5");
  CHECK_THROWS_WITH(read("4kX"),
                    "--budget 4kX: neither a whole number of units nor the name of a "
                    "CSV file that is there");
  CHECK_THROWS_WITH(read("4kX", "bytes"),
                    Contains("neither a whole number of bytes, such as 400kB"));
  CHECK_THROWS_WITH(read("400kB", "units"), Contains("neither a whole number of units"));
  refused("client,bites\nct,1\nmri,1\n",
          "b.csv:1: the header must be client,budget, or client and one of units, bytes, flops, "
          "memory");
  refused("name,budget\nct,1\nmri,1\n", "b.csv:1: the header must be");
  refused("client,budget\nct,1kB\nmri,1MFLOP\n",
          "b.csv:3: client \"mri\": \"1MFLOP\" counts flops, but an earlier budget bytes");
  refused("client,bytes\nct,1\nmri,1\n", "count bytes, but units were asked for", "units");
  refused("client,memory\nct,1\nmri,1\n", "count memory, but bytes were asked for", "bytes");
  refused("client,bytes\nct,1.5B\nmri,1\n",
          "b.csv:2: client \"ct\": a whole number of bytes, such as 400kB");
  refused("client,budget\nct,7\nmri,1\n", "b.csv:2: client \"ct\": a budget of 7 units");
  refused("client,budget\nct,1\ncd,1\n", "no client \"cd\" (did you mean \"ct\"?)");
  refused("client,budget\nct,1\nct,1\n", "b.csv:3: the client \"ct\" stands twice");
  refused("client,budget\nct,1\n", "no budget for the client \"mri\"");
}

TEST_CASE("budgets become a problem's, of units or of a resource with its costs") {
  PlanningProblem problem;
  problem.clients = {"ct", "mri"};
  problem.units = {"a", "b"};
  problem.importance = Eigen::MatrixXd::Ones(2, 2);
  const std::vector<Unit> units = {{.name = "a", .bytes = 10, .forward_flops = 7},
                                   {.name = "b", .bytes = 30, .forward_flops = 9}};
  set_budgets(problem, "bytes", {15, 40}, costs_of(units, "bytes"));
  CHECK_NOTHROW(problem.validate());
  CHECK(problem.resource == "bytes");
  CHECK(problem.capacities == std::vector<std::int64_t>{15, 40});
  CHECK(problem.unit_costs == std::vector<std::int64_t>{10, 30});
  CHECK(problem.budgets.empty());

  // Nothing of the resource is left where units are counted, and the other way round.
  set_budgets(problem, "units", {1, 2}, costs_of(units, "units"));
  CHECK_NOTHROW(problem.validate());
  CHECK(problem.counts_units());
  CHECK(problem.budgets == std::vector<int>{1, 2});
  CHECK(problem.capacities.empty());
  CHECK(problem.unit_costs.empty());
  set_budgets(problem, "bytes", {15, 40}, costs_of(units, "bytes"));
  CHECK_NOTHROW(problem.validate());
}
