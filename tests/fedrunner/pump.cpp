#include "fedrunner/pump.h"

#include <zlib.h>

#include <filesystem>
#include <functional>
#include <istream>
#include <limits>
#include <map>
#include <sstream>
#include <streambuf>

#include "catch.h"
#include "core/document.h"
#include "fedrunner/run_folders.h"
#include "fedrunner/tiny_runs.h"
#include "fedrunner/worker.h"
#include "models/tensor_bytes.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/fedrunner/round_folder.h"

namespace fs = std::filesystem;
using namespace strata;
using namespace strata::fedrunner;
using Catch::Matchers::Contains;
using strata::test::slurp;
using strata::test::TempDir;
using strata::test::TinyRuns;

namespace {

/// The driver at the other end: whenever the pump waits for a line, it reads what the pump has
/// written and answers.
class Driver : public std::streambuf {
 public:
  using Answer = std::function<std::string(const Json& line)>;
  explicit Driver(Answer answer) : answer_(std::move(answer)) {}

  std::ostream& lines_out() { return out_; }
  const std::vector<Json>& lines() const { return lines_; }

 protected:
  int_type underflow() override {
    std::string all = out_.str();
    const auto last = all.rfind('\n', all.size() - 2);
    lines_.push_back(Json::parse(all.substr(last == std::string::npos ? 0 : last + 1)));
    text_ = answer_(lines_.back());
    if (text_.empty()) return traits_type::eof();
    text_ += '\n';
    setg(text_.data(), text_.data(), text_.data() + text_.size());
    return traits_type::to_int_type(*gptr());
  }

 private:
  Answer answer_;
  std::ostringstream out_;
  std::vector<Json> lines_;
  std::string text_;
};

Order scoring(const std::string& client) {
  return {"run",
          2,
          client,
          {"a", "b"},
          "base",
          std::make_shared<const ModelState>(ModelState{{"w", torch::ones({2})}}),
          ScoreWork{"lntk", 4, 1}};
}

std::string gzipped(const TempDir& dir, const std::string& bytes) {
  const auto path = dir / "gzipped";
  gzFile file = gzopen(path.c_str(), "wb");
  REQUIRE(gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size())) ==
          static_cast<int>(bytes.size()));
  REQUIRE(gzclose(file) == Z_OK);
  return slurp(path);
}

/// The header of a file with so many tensors.
std::string million_keys() {
  std::string header(8, '\0');
  for (int i = 0; i < 1000000; ++i)
    header += (i ? ",\"" : "{\"") + std::to_string(i) +
              "\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}";
  header += "}";
  const auto length = static_cast<std::uint64_t>(header.size() - 8);
  for (int i = 0; i < 8; ++i)
    header[static_cast<std::size_t>(i)] = static_cast<char>(length >> 8 * i);
  return header;
}

/// What a client sends in place of its update, and what the log says of it.
struct Lie {
  std::string why;
  std::function<std::string(const Order& order, const std::string& honest)> bytes;
};

/// A reply that can be read, with another update.
Lie changed(const std::string& why, const std::function<void(ClientUpdate&)>& change) {
  return {why, [change](const Order&, const std::string& honest) {
            Reply reply = decode_reply(std::string(honest));
            change(std::get<ClientUpdate>(reply.result));
            return encode(reply);
          }};
}

Reply scored(const Order& order) {
  return {order.id(), order.client, ScoreResult{{1, 2}}};
}

}  // namespace

TEST_CASE_METHOD(TinyRuns, "a run over a mailbox leaves the same folder, and an empty mailbox") {
  dir.write("tiny.yaml", test::tiny_experiment(dir, R"(  rounds: 2
  budget: 1
  strategies: [f3ocus, topk]
  score: {samples: 4}
  local: {steps: 2, batch_size: 3, learning_rate: 0.01}
  server: {deadline: 12.5}
)"));
  RunOptions options;
  options.threads = 1;
  run_experiment(dir / "tiny.yaml", {}, dir / "here", tools, options);
  Worker worker(tools, {});
  Driver driver([&](const Json& line) -> std::string {
    for (const auto& task : line.at("tasks")) {
      const auto order = decode_order(read_file(task.at("order").get<std::string>()));
      CHECK(order.client == task.at("client"));
      CHECK(order.round == task.at("round"));
      CHECK(phases().name(order.phase()) == task.at("phase"));
      // Nothing of a client's name is in a path.
      CHECK(task.at("reply").get<std::string>().find(order.client + ".") == std::string::npos);
      write_file(task.at("reply").get<std::string>(), encode(worker.serve(order)));
    }
    return R"({"missing": []})";
  });
  std::istream in(&driver);
  options.remote = std::make_shared<Pump>(dir / "mail", driver.lines_out(), in);
  run_experiment(dir / "tiny.yaml", {}, dir / "there", tools, options);
  test::check_same(dir / "here", dir / "there");
  CHECK(fs::is_empty(dir / "mail"));
  REQUIRE(driver.lines().size() == 2 * (2 + 2 * 2));
  for (std::size_t i = 0; i < driver.lines().size(); ++i) {
    CHECK(driver.lines()[i]["version"] == 1);
    CHECK(driver.lines()[i]["exchange"] == i + 1);
    CHECK(driver.lines()[i]["deadline"] == 12.5);
  }
  CHECK(driver.lines()[1]["tasks"].size() == 6);
  CHECK(driver.lines()[2]["tasks"].size() == 3);
}

TEST_CASE_METHOD(TinyRuns,
                 "a client that sends what it should not is refused by name, and the run goes on") {
  const std::vector<Lie> lies = {
      {"refused", [](const auto&, const std::string& honest) { return honest.substr(0, 20); }},
      {"refused", [](const auto&, const auto&) { return million_keys(); }},
      {"are the most",
       [](const Order& order, const auto&) {
         return std::string(static_cast<std::size_t>(largest_reply(order)) + 1, '\0');
       }},
      {"to another order, of another run",
       [](const Order& order, const std::string& honest) {
         Order other = order;
         other.run = "another run";
         Reply reply = decode_reply(std::string(honest));
         reply.order = other.id();
         return encode(reply);
       }},
      changed("../../etc/passwd, which it was not asked for",
              [](ClientUpdate& update) { update.weights["../../etc/passwd"] = torch::ones({2}); }),
      changed("as F32 3, not F32",
              [](ClientUpdate& update) { update.weights.begin()->second = torch::ones({3}); }),
      changed("is not finite",
              [](ClientUpdate& update) {
                update.weights.begin()->second.view(-1)[0] =
                    std::numeric_limits<float>::quiet_NaN();
              }),
  };
  dir.write("tiny.yaml", test::tiny_experiment(dir, R"(  rounds: 7
  budget: 1
  strategies: [random]
  evaluate_every: 7
  local: {steps: 1, batch_size: 3, learning_rate: 0.01}
)"));
  RunOptions options;
  options.threads = 1;
  Worker worker(tools, {});
  Driver driver([&](const Json& line) -> std::string {
    for (const auto& task : line.at("tasks")) {
      const auto order = decode_order(read_file(task.at("order").get<std::string>()));
      std::string bytes = encode(worker.serve(order));
      if (order.phase() == Phase::kTrain && order.client == "mri")
        bytes = lies[static_cast<std::size_t>(order.round) - 1].bytes(order, bytes);
      write_file(task.at("reply").get<std::string>(), bytes);
    }
    return R"({"missing": []})";
  });
  std::istream in(&driver);
  options.remote = std::make_shared<Pump>(dir / "mail", driver.lines_out(), in);
  run_experiment(dir / "tiny.yaml", {}, dir / "there", tools, options);
  std::istringstream log(slurp(dir / "there" / "run.log"));
  std::map<int, std::string> said;  // by round
  for (std::string text; std::getline(log, text);) {
    const auto at = text.find("round ");
    if (at != std::string::npos && text.find("client mri") != std::string::npos)
      said[std::stoi(text.substr(at + 6))] += text + "\n";
  }
  for (int round = 1; round <= 7; ++round) {
    CAPTURE(round);
    CHECK(load_json(round_folder(dir / "there", round) / "aggregation.json").root["clients"] ==
          Json{"ct", "oct"});
    CHECK_THAT(said[round],
               Contains("refused") && Contains(lies[static_cast<std::size_t>(round) - 1].why));
  }
}

TEST_CASE("a reply that is not the order's is refused, and the others count") {
  const TempDir dir;
  set_log_file((dir / "log").string());
  set_quiet(true);
  const std::vector<Order> orders = {scoring("ct"), scoring("mri"), scoring("oct")};
  const std::string good = encode(scored(orders[1]));
  Order earlier = orders[1];
  earlier.round = 1;
  Order of_run = orders[1], of_base = orders[1], of_units = orders[1];
  of_run.run = "another run";
  of_base.base = "another base";
  of_units.units = {"a"};
  struct Case {
    std::string bytes, why;
  };
  const std::vector<Case> cases = {
      {"", ""},
      {good.substr(0, good.size() - 1), ""},
      {good.substr(0, 7), ""},
      {good + "x", ""},
      {"PK\3\4 a pickle of some kind", ""},
      {gzipped(dir, good), "header length"},  // which could be of any size unpacked
      {million_keys(), ""},
      {encode(scored(earlier)), "another order"},
      {encode(scored(of_run)), "another order, of another run"},
      {encode(scored(of_base)), "another order"},
      {encode(scored(of_units)), "another order"},
      {encode(Reply{orders[1].id(), "oct", ScoreResult{{1, 2}}}), "of client oct"},
      {encode(orders[1]), "message"},
      {std::string(static_cast<std::size_t>(largest_reply(orders[1])) + 1, '\0'), "are the most"},
  };
  for (const auto& [bytes, why] : cases) {
    INFO(bytes.substr(0, 60));
    Driver driver([&](const Json& line) -> std::string {
      const auto& tasks = line.at("tasks");
      write_file(tasks[0].at("reply").get<std::string>(), encode(scored(orders[0])));
      write_file(tasks[1].at("reply").get<std::string>(), bytes);
      return R"({"missing": ["oct"]})";
    });
    std::istream in(&driver);
    Pump pump(dir / "mail", driver.lines_out(), in);
    const auto before = slurp(dir / "log").size();
    const auto replies = pump.exchange(orders, {}, {});
    REQUIRE(replies.size() == 1);
    CHECK(replies.front().client == "ct");
    CHECK_THAT(slurp(dir / "log").substr(before),
               Contains("round 2, client mri: the reply to the order \"score\" is refused: ") &&
                   Contains(why));
  }
  // What can be read is the server's to check: it comes through, and goes no further.
  Driver nan([&](const Json& line) -> std::string {
    write_file(line.at("tasks")[1].at("reply").get<std::string>(),
               encode(Reply{orders[1].id(), "mri",
                            ScoreResult{{1, std::numeric_limits<double>::quiet_NaN()}}}));
    return R"({"missing": ["ct", "oct"]})";
  });
  std::istream nan_in(&nan);
  Pump pump(dir / "mail", nan.lines_out(), nan_in);
  const auto before = slurp(dir / "log").size();
  const auto usable = usable_replies(pump, orders, {}, {{.name = "a"}, {.name = "b"}});
  for (const auto& reply : usable) CHECK_FALSE(reply.has_value());
  CHECK_THAT(slurp(dir / "log").substr(before),
             Contains("round 2, client mri: the reply") && Contains("scores are finite"));
  // A link to somewhere else is no reply.
  dir.write("outside", good);
  Driver driver([&](const Json& line) -> std::string {
    fs::create_symlink(dir / "outside", line.at("tasks")[1].at("reply").get<std::string>());
    return "{}";
  });
  std::istream in(&driver);
  CHECK(Pump(dir / "mail", driver.lines_out(), in).exchange(orders, {}, {}).empty());
  set_log_file("");
}

TEST_CASE("a driver that goes away, or answers nonsense, ends the run; a mailbox is one") {
  const TempDir dir;
  set_quiet(true);
  const auto exchange = [&](const std::string& answer) {
    Driver driver([&](const Json&) { return answer; });
    std::istream in(&driver);
    Pump(dir / "mail", driver.lines_out(), in).exchange({scoring("ct")}, {}, {});
  };
  CHECK_THROWS_AS(exchange(""), WorkError);
  CHECK_THROWS_WITH(exchange(""), "exchange 1: the pump's driver has gone without an answer");
  CHECK_THROWS_WITH(exchange("done"), Contains("the pump's answer"));
  CHECK_THROWS_WITH(
      exchange(R"({"lost": []})"),
      Contains("the pump's answer") && Contains("did you mean \"missing\"") || Contains("lost"));
  CHECK_NOTHROW(exchange("{}"));
  dir.write("mail/letter.txt", "no exchange");
  CHECK_THROWS_WITH(exchange("{}"), Contains("letter.txt"));
}
