#include "strata/core/score_table.h"

#include <fstream>

#include "catch.h"
#include "strata/core/error.h"
#include "strata/core/random.h"
#include "temp_dir.h"

using namespace strata;
using Catch::Contains;

namespace {

ScoreTable random_table() {
  ScoreTable table;
  table.metric = "lntk";
  table.model_fingerprint = "00ff";
  table.samples = 8;
  table.clients = {"ct", "a \"quoted\", name", "größe"};
  table.units = {"embeddings", "block.0", "head"};
  Random random(4);
  table.scores.resize(3, 3);
  for (auto& value : table.scores.reshaped()) value = random.uniform() * 1e-3;
  table.raw = table.scores * 1234.5;
  return table;
}

}  // namespace

TEST_CASE("JSON and CSV give back the same bits") {
  const test::TempDir dir;
  const ScoreTable table = random_table();
  write_scores(table, dir / "scores.json");
  const ScoreTable json = read_scores(dir / "scores.json");
  CHECK(json.clients == table.clients);
  CHECK(json.scores == table.scores);
  CHECK(json.raw == table.raw);
  CHECK(json.metric == "lntk");
  CHECK(json.samples == 8);
  CHECK(digest(json) == digest(table));
  write_scores(table, dir / "scores.csv");
  const ScoreTable csv = read_scores(dir / "scores.csv");
  CHECK(csv.units == table.units);
  CHECK(csv.scores == table.scores);
  CHECK(digest(csv) == digest(table));
}

TEST_CASE("the digest sees names and values") {
  ScoreTable table = random_table();
  const std::string before = digest(table);
  table.clients[0] = "mri";
  CHECK(digest(table) != before);
  table = random_table();
  table.scores(1, 1) += 1e-18;
  CHECK(digest(table) != before);
}

TEST_CASE("rows are divided by their sums; a row of zeros becomes uniform") {
  Eigen::MatrixXd scores(2, 4);
  scores << 1, 3, 4, 0, 0, 0, 0, 0;
  normalise_rows(scores);
  CHECK(scores(0, 1) == 0.375);
  CHECK(scores.row(1).isConstant(0.25));
}

TEST_CASE("wrong CSV is named by line, client and unit") {
  const test::TempDir dir;
  const auto read = [&](const std::string& text) { return read_scores(dir.write("s.csv", text)); };
  CHECK_THROWS_WITH(read("client,a,b\nct,1,nan\n"),
                    Contains("s.csv:2: client \"ct\", unit \"b\": a score is nan"));
  CHECK_THROWS_WITH(read("client,a,b\nct,1,-0.5\n"),
                    Contains("a score is -0.5; scores must be finite and at least 0"));
  CHECK_THROWS_WITH(read("client,a,b\nct,1,inf\n"), Contains("a score is inf"));
  CHECK_THROWS_WITH(read("client,a,b\nct,1,x\n"), Contains("a number was expected, found \"x\""));
  CHECK_THROWS_WITH(read("client,a,b\nct,1,2\nct,1,2\n"),
                    Contains("s.csv:3: the client \"ct\" stands twice"));
  CHECK_THROWS_WITH(read("client,a,a\nct,1,2\n"), Contains("the unit \"a\" stands twice"));
  CHECK_THROWS_WITH(read("name,a\nct,1\n"), Contains("the header must be client,"));
  CHECK_THROWS_WITH(read("client,a\n"), Contains("a header but no client"));
  CHECK_THROWS_WITH(read("client,a\nct,1,2\n"), Contains("s.csv:2: 3 fields"));
  CHECK_THROWS_WITH(
      read("client\nct\n"),
      Contains("client,<unit>,<unit>,…, or have the columns client, unit and value; it "
               "is \"client\""));
  CHECK_THROWS_WITH(read("client,a\n\"\",1\n"), Contains("s.csv:2: a client has no name"));
  CHECK_THROWS_WITH(read("client,a,b\nct,1e308,1e308\n"),
                    Contains("client \"ct\": the sum of scores is beyond"));
}

TEST_CASE("a file is JSON or a table by its name, and otherwise by how it begins") {
  const test::TempDir dir;
  const std::string text = "client,a\r\nct,1\r\n";
  const std::string json = R"({"version":1,"clients":["a"],"units":["u"],"scores":[[1]]})";
  CHECK(read_scores(dir.write("S.CSV", text)).units == std::vector<std::string>{"a"});
  CHECK(read_scores(dir.write("s.txt", text)).units == std::vector<std::string>{"a"});
  CHECK(read_scores(dir.write("s.txt", " \n" + json)).clients == std::vector<std::string>{"a"});
  CHECK_THROWS_WITH(read_scores(dir.write("s.json", text)),
                    Contains("s.json:1: is not valid JSON"));
  CHECK_THROWS_WITH(read_scores(dir.write("s.csv", json)), Contains("s.csv:1: "));
}

TEST_CASE(
    "a table has the header, the separators and the index that pandas or a spreadsheet writes") {
  const test::TempDir dir;
  const auto read = [&](const std::string& text, const std::string& name = "s.csv") {
    const ScoreTable table = read_scores(dir.write(name, text));
    CHECK(table.clients == std::vector<std::string>{"ct", "mri"});
    CHECK(table.units == std::vector<std::string>{"a", "b"});
    CHECK(table.scores(1, 0) == 0.25);
    CHECK(table.scores(0, 1) == 2);
  };
  read(",a,b\nct,1,2\nmri,0.25,4\n");             // df.to_csv()
  read("Client,a,b\nct,1,2\nmri,0.25,4\n");       // df.rename_axis("Client").to_csv()
  read(",client,a,b\n0,ct,1,2\n1,mri,0.25,4\n");  // a column client beside a range
  read("client\ta\tb\nct\t1\t2\nmri\t0.25\t4\n", "s.tsv");
  read("\xef\xbb\xbf\"client\";a;b\r\nct;1;2\r\nmri;0.25;4\r\n");
  CHECK_THROWS_WITH(read_scores(dir.write("c.csv", "client;a\nct;0,5\n")),
                    Contains("found \"0,5\" (numbers have a point, not a comma)"));
  CHECK_THROWS_WITH(read_scores(dir.write("t.tsv", "name\ta\nct\t1\n")),
                    Contains("it begins with \"name\""));
}

TEST_CASE("a long table has one row a value, in any order") {
  const test::TempDir dir;
  const ScoreTable table =
      read_scores(dir.write("s.csv", "unit,client,value\na,ct,1\nb,mri,4\nb,ct,2\na,mri,0.25\n"));
  CHECK(table.clients == std::vector<std::string>{"ct", "mri"});
  CHECK(table.units == std::vector<std::string>{"a", "b"});
  CHECK(table.scores(1, 0) == 0.25);
  CHECK(table.scores(0, 1) == 2);
  CHECK(read_scores(dir.write("p.csv", ",Client,Unit,Score\n0,ct,a,3\n")).scores(0, 0) == 3);
  CHECK_THROWS_WITH(read_scores(dir.write("m.csv", "client,unit,value\nct,a,1\nmri,b,1\n")),
                    Contains("m.csv: no value for client \"ct\", unit \"b\""));
  CHECK_THROWS_WITH(read_scores(dir.write("d.csv", "client,unit,value\nct,a,1\nct,a,1\n")),
                    Contains("d.csv:3: client \"ct\", unit \"a\": stands twice"));
  CHECK_THROWS_WITH(read_scores(dir.write("n.csv", "client,unit,value\nct,a,-1\n")),
                    Contains("n.csv:2: client \"ct\", unit \"a\": a score is -1"));
}

TEST_CASE("of several metrics one is chosen by name") {
  const test::TempDir dir;
  const auto path = dir.write("s.csv",
                              "metric,client,unit,value,residual,status\nlntk,ct,a,1,0,ok\n"
                              "fisher,ct,a,5,0,ok\nlntk,ct,b,2,0,ok\nfisher,ct,b,6,0,ok\n");
  CHECK_THROWS_WITH(read_scores(path), Contains("it holds 2 metrics, \"lntk\", \"fisher\"; choose "
                                                "one: --metric lntk"));
  const ScoreTable table = read_scores(path, "fisher");
  CHECK(table.metric == "fisher");
  CHECK(table.scores(0, 1) == 6);
  CHECK_THROWS_WITH(read_scores(path, "fischer"),
                    Contains("there is no metric \"fischer\" (did you mean \"fisher\"?)"));
  const auto wide = dir.write("w.csv", "client,a\nct,1\n");
  CHECK_THROWS_WITH(read_scores(wide, "lntk"), Contains("does not say which metric it holds"));
  const auto json = dir.write("s.json", R"({"version":1,"metric":"lntk","clients":["a"],)"
                                        R"("units":["u"],"scores":[[1]]})");
  CHECK(read_scores(json, "lntk").metric == "lntk");
  CHECK_THROWS_WITH(read_scores(json, "trace"), Contains("the metric is \"lntk\", not \"trace\""));
}

TEST_CASE("the units' roles are kept in JSON, and only there") {
  const test::TempDir dir;
  ScoreTable table = random_table();
  table.roles = {Role::kEmbeddings, Role::kBody, Role::kHead};
  write_scores(table, dir / "scores.json");
  CHECK(read_scores(dir / "scores.json").roles == table.roles);
  CHECK_THAT(test::slurp(dir / "scores.json"),
             Contains("\"roles\": [\n  \"embeddings\",\n  \"body\",\n  \"head\"\n ]"));
  write_scores(table, dir / "scores.csv");
  CHECK(read_scores(dir / "scores.csv").roles.empty());
  const auto read = [&](const std::string& roles) {
    return read_scores(dir.write(
        "r.json",
        R"({"version":1,"clients":["a"],"units":["u"],"roles":)" + roles + R"(,"scores":[[1]]})"));
  };
  CHECK(read(R"(["prompt"])").roles == std::vector<Role>{Role::kPrompt});
  CHECK_THROWS_WITH(read(R"(["haed"])"), Contains("r.json: roles: \"haed\" is not one of") &&
                                             Contains("(did you mean \"head\"?)"));
  CHECK_THROWS_WITH(read("[]"), Contains("roles: a list of 1 texts (one per unit) was expected"));
  table.roles.pop_back();
  CHECK_THROWS_WITH(table.validate("s"), Contains("3 units, but 2 roles"));
  // Files of one folder must agree.
  dir.write("f/a.json", R"({"version":1,"clients":["a"],"units":["u"],"scores":[[1]]})");
  dir.write("f/b.json",
            R"({"version":1,"clients":["b"],"units":["u"],"roles":["head"],"scores":[[1]]})");
  CHECK_THROWS_WITH(read_scores(dir / "f"), Contains("b.json: its units have other roles"));
}

TEST_CASE("wrong JSON is named by key") {
  const test::TempDir dir;
  const auto read = [&](const std::string& text) { return read_scores(dir.write("s.json", text)); };
  CHECK_THROWS_WITH(read(R"({"version":2,"clients":["a"],"units":["u"],"scores":[[1]]})"),
                    Contains("reads version 1, found 2"));
  CHECK_THROWS_WITH(
      read(R"({"version":1,"clients":["a"],"units":["u"],"scores":[[1]],"metrik":"x"})"),
      Contains("metrik: unknown key (did you mean \"metric\"?)"));
  CHECK_THROWS_WITH(read(R"({"version":1,"clients":["a","b"],"units":["u"],"scores":[[1]]})"),
                    Contains("found 1 rows"));
  CHECK_THROWS_WITH(read(R"({"version":1,"clients":["a"],"units":["u","v"],"scores":[[1]]})"),
                    Contains("client \"a\"") && Contains("found 1"));
  CHECK_THROWS_WITH(read(R"({"version":1,"clients":["a","a"],"units":["u"],"scores":[[1],[1]]})"),
                    Contains("\"a\" stands twice"));
  CHECK_THROWS_WITH(read(R"({"version":1,"clients":["a"],"units":["u"],"scores":[[-1]]})"),
                    Contains("a score is -1"));
  CHECK_THROWS_WITH(read(R"({"version":1,"clients":["a"],"units":["u"],"scores":[[null]]})"),
                    Contains("a number was expected"));
}

TEST_CASE("nothing is written when the table is wrong") {
  const test::TempDir dir;
  ScoreTable table = random_table();
  table.scores(0, 0) = -1;
  CHECK_THROWS_AS(write_scores(table, dir / "scores.json"), InputError);
  CHECK(std::filesystem::is_empty(dir.path()));
}

TEST_CASE(
    "a folder's files of different samples have none in common, and raw scores where all have "
    "them") {
  const auto joined = [](std::int64_t first_samples, bool first_raw, bool second_raw) {
    const test::TempDir dir;
    ScoreTable table;
    table.units = {"a", "b"};
    for (const bool first : {true, false}) {
      table.clients = {first ? "ct" : "mri"};
      table.samples = first ? first_samples : 8;
      table.scores = Eigen::MatrixXd::Constant(1, 2, first ? 1 : 2);
      table.raw = Eigen::MatrixXd();
      if (first ? first_raw : second_raw) table.raw = 10 * table.scores;
      write_scores(table, dir / (first ? "1.json" : "2.json"));
    }
    return read_scores(dir.path());
  };
  CHECK(joined(8, true, true).samples == 8);
  CHECK(joined(6, true, true).samples == 0);
  Eigen::MatrixXd raw(2, 2);
  raw << 10, 10, 20, 20;
  CHECK(joined(8, true, true).raw == raw);
  CHECK(joined(8, true, false).raw.size() == 0);
  CHECK(joined(8, false, true).raw.size() == 0);
  CHECK(joined(8, false, false).raw.size() == 0);
  CHECK(joined(8, false, true).scores == raw / 10);
}

TEST_CASE("a folder of clients' files is one table; files that cannot be compared are refused") {
  test::TempDir dir;
  const auto write = [&](const std::string& name, const std::string& client, double first,
                         const std::string& metric = "lntk", const std::string& unit = "head") {
    ScoreTable table;
    table.metric = metric;
    table.model_fingerprint = "abc";
    table.samples = 8;
    table.clients = {client};
    table.units = {"block.0", unit};
    table.scores = Eigen::MatrixXd(1, 2);
    table.scores << first, 1 - first;
    table.raw = 3 * table.scores;
    write_scores(table, dir / name);
  };
  CHECK_THROWS_WITH(read_scores(dir.path()), Contains("holds no scores"));
  write("b.json", "mri", 0.25);
  write("a.json", "ct", 0.75);
  std::ofstream(dir / "notes.txt") << "not scores";
  const ScoreTable joined = read_scores(dir.path());
  CHECK(joined.clients == std::vector<std::string>{"ct", "mri"});
  CHECK(joined.units == std::vector<std::string>{"block.0", "head"});
  CHECK(joined.metric == "lntk");
  CHECK(joined.samples == 8);
  Eigen::MatrixXd expected(2, 2);
  expected << 0.75, 0.25, 0.25, 0.75;
  CHECK(joined.scores == expected);
  CHECK(joined.raw == 3 * expected);

  write("c.json", "ct", 0.5);
  CHECK_THROWS_WITH(read_scores(dir.path()), Contains("\"ct\""));
  write("c.json", "xray", 0.5, "trace");
  CHECK_THROWS_WITH(read_scores(dir.path()),
                    Contains("c.json") && Contains("metric is \"trace\"") && Contains("\"lntk\""));
  write("c.json", "xray", 0.5, "lntk", "tail");
  CHECK_THROWS_WITH(read_scores(dir.path()), Contains("c.json") && Contains("\"tail\""));
}
