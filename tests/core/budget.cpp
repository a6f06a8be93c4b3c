#include "core/budget.h"

#include "catch.h"
#include "strata/core/error.h"
#include "temp_dir.h"

using namespace strata;
using Catch::Contains;

namespace {

const std::vector<std::string> kClients = {"ct", "mri"};

Budgets read(const std::string& budget, const std::string& of = "") {
  return read_budgets(budget, of, kClients, 5, "--budget");
}

using Values = std::vector<std::int64_t>;

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
          "b.csv:1: the header must be client,budget, or client and");
  refused("name,budget\nct,1\nmri,1\n", "b.csv:1: the header must be");
  refused("client,budget\nct,1kB\nmri,1MFLOP\n",
          "b.csv:3: client \"mri\": \"1MFLOP\" counts flops, but an earlier budget bytes");
  refused("client,bytes\nct,1\nmri,1\n", "count bytes, but units were asked for", "units");
  refused("client,bytes\nct,1.5B\nmri,1\n",
          "b.csv:2: client \"ct\": a whole number of bytes, such as 400kB");
  refused("client,budget\nct,7\nmri,1\n", "b.csv:2: client \"ct\": a budget of 7 units");
  refused("client,budget\nct,1\ncd,1\n", "no client \"cd\" (did you mean \"ct\"?)");
  refused("client,budget\nct,1\nct,1\n", "b.csv:3: the client \"ct\" stands twice");
  refused("client,budget\nct,1\n", "no budget for the client \"mri\"");
}
