#include "fedrunner/worker.h"

#include <cmath>
#include <filesystem>

#include "catch.h"
#include "core/document.h"
#include "fedrunner/remote_clients.h"
#include "fedrunner/run_folders.h"
#include "fedrunner/tiny_runs.h"
#include "strata/core/error.h"
#include "strata/core/plan.h"
#include "strata/core/sha256.h"

namespace fs = std::filesystem;
using namespace strata;
using namespace strata::fedrunner;
using Catch::Matchers::Contains;
using strata::test::RemoteClients;
using strata::test::slurp;
using strata::test::TinyRuns;

namespace {

const char* const kRun = R"(  rounds: 3
  budget: 1
  strategies: [f3ocus]
  score: {samples: 4, every: 2}
  local: {steps: 2, batch_size: 3, learning_rate: 0.01}
)";

struct Fixture : TinyRuns {
  Fixture() : TinyRuns(kRun) {}

  void run(const std::string& out, const std::vector<std::string>& set = {},
           const std::shared_ptr<Courier>& remote = nullptr, bool resume = false) {
    RunOptions options;
    options.threads = 1;
    options.remote = remote;
    options.resume = resume;
    run_experiment(dir / "tiny.yaml", set, dir / out, tools, options);
  }
  std::shared_ptr<RemoteClients> clients(RemoteClients::Fault fault = {},
                                         WorkerOptions options = {}) {
    return std::make_shared<RemoteClients>(tools, std::move(options), std::move(fault));
  }
  /// An order to greet, as a run would send it.
  Order greeting(const std::string& client) {
    run("greeting", {"run.rounds=1"});
    auto text = slurp(dir / "greeting" / "config.yaml");
    Order order{sha256_hex(text), 0, client, {"head"}, "", nullptr, HelloWork()};
    order.experiment = std::make_shared<const std::string>(std::move(text));
    order.base = ObjectReader(load_json(dir / "greeting" / "run.json")).text("foundation");
    return order;
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "a run whose clients are elsewhere leaves the same folder") {
  for (const std::vector<std::string>& set : std::vector<std::vector<std::string>>{
           {},
           {"run.strategies=[f3ocus, random]", "run.seeds=[1, 2]",
            "run.failures={dropout: 0.2, stragglers: 0.3, late: partial, corruption: 0.2}",
            "model.peft={adapters: {reduction: 4}, lora: {rank: 2}}", "units.scheme=adapter+lora"},
           {"model.answers=data", "run.server={algorithm: ditto}"},
           // Scores and trainings that come with an evaluation, and others; weights of PEFT that no
           // order carries.
           {"run.strategies=[random, full]", "run.evaluate_every=2"},
           {"run.evaluate_every=2", "run.score.every=1",
            "model.peft={prompts: {length: 2}, lora: {rank: 2}}", "units.scheme=lora"}}) {
    fs::remove_all(dir / "here");
    fs::remove_all(dir / "there");
    run("here", set);
    run("there", set, clients());
    test::check_same(dir / "here", dir / "there");
  }
}

TEST_CASE_METHOD(Fixture, "a round takes two exchanges where clients score, and else one") {
  const auto exchanges = [&](const std::vector<std::string>& set) {
    fs::remove_all(dir / "there");
    const auto remote = clients();
    run("there", set, remote);
    CHECK(remote->last_deadline.has_value() == !set.empty());
    if (remote->last_deadline) CHECK(remote->last_deadline->count() == 90000);
    return remote->exchanges;
  };
  using Exchanges = std::vector<std::string>;
  CHECK(exchanges({}) == Exchanges{"hello", "evaluate+score", "train", "evaluate+train",
                                   "evaluate+score", "train", "evaluate"});
  const std::string deadline = "run.server.deadline=90";
  CHECK(exchanges({deadline, "run.strategies=[random]"}) ==
        Exchanges{"hello", "evaluate+train", "evaluate+train", "evaluate+train", "evaluate"});
  CHECK(exchanges({deadline, "run.strategies=[random]", "run.evaluate_every=2"}) ==
        Exchanges{"hello", "evaluate+train", "train", "evaluate+train", "evaluate"});
}

TEST_CASE_METHOD(Fixture,
                 "a client that is away is out of scores, plan and round, and comes back") {
  const auto away = [](const Order& order, std::string bytes) {
    // Its scores for round 3, and its part in that round.
    return order.client == "mri" &&
                   (order.round == 3 || (order.round == 2 && order.phase() == Phase::kEvaluate))
               ? std::string()
               : bytes;
  };
  run("there", {"run.rounds=4", "run.score.every=1"}, clients(away));
  const auto scores = read_scores(dir / "there/rounds/003/scores.json");
  CHECK(scores.clients == std::vector<std::string>{"ct", "oct"});
  const Plan plan = read_plan(dir / "there/rounds/003/plan.json");
  CHECK(plan.clients == std::vector<std::string>{"ct", "mri", "oct"});
  CHECK(plan.assignment.row(1).sum() == 0);
  for (const int client : {0, 2}) {  // by its own scores
    Eigen::Index best = 0;
    scores.scores.row(client / 2).maxCoeff(&best);
    CHECK(plan.assignment(client, best) == 1);
  }
  CHECK(plan.assignment.row(0).sum() == 1);
  CHECK(read_plan(dir / "there/rounds/004/plan.json").assignment.row(1).sum() == 1);
  const auto aggregation = load_json(dir / "there/rounds/003/aggregation.json").root;
  CHECK(aggregation["dropped"] == Json{"mri"});
  CHECK(aggregation["clients"] == Json{"ct", "oct"});
  CHECK(std::isnan(row("there", 2, "mri").values.front()));
  CHECK(std::isnan(row("there", 3, "mri").values.front()));
  CHECK_FALSE(std::isnan(row("there", 3, "ct").values.front()));
  CHECK_FALSE(std::isnan(row("there", 4, "mri").values.front()));
  CHECK(load_json(dir / "there/rounds/004/aggregation.json").root["dropped"].empty());
}

TEST_CASE_METHOD(Fixture, "with clients away and no whole cohorts nobody trains a planned unit") {
  const auto planner = tools.plan;
  tools.plan = [planner](const PlanningProblem& problem, const PlanOptions& options) {
    CHECK(problem.least_cohort == 3);
    const int here = static_cast<int>(
        std::count_if(problem.budgets.begin(), problem.budgets.end(), [](int b) { return b > 0; }));
    if (here == 2) throw InputError("least_cohort: there is no assignment");
    return planner(problem, options);
  };
  const auto away = [](const Order& order, std::string bytes) {
    return order.client == "mri" && order.round == 2 && order.phase() == Phase::kEvaluate
               ? std::string()
               : bytes;
  };
  const auto without_scores = [&](const Order& order, std::string bytes) {
    return order.client == "mri" && order.round == 2 && order.phase() == Phase::kScore
               ? std::string()
               : away(order, std::move(bytes));
  };
  run("there", {"run.score.every=1", "run.plan.least_cohort=3"}, clients(without_scores));
  CHECK(read_plan(dir / "there/rounds/001/plan.json").assignment.sum() == 3);
  CHECK(read_plan(dir / "there/rounds/002/plan.json").assignment.sum() == 0);
  CHECK_THAT(slurp(dir / "there/run.log"),
             Contains("round 2: least_cohort: there is no assignment; nobody trains a planned unit "
                      "in this round"));
  // With everybody there it is the run's error.
  tools.plan = [](const PlanningProblem&, const PlanOptions&) -> Plan {
    throw InputError("least_cohort: there is no assignment");
  };
  CHECK_THROWS_WITH(run("here", {"run.plan.least_cohort=3"}), Contains("there is no assignment"));
}

TEST_CASE_METHOD(Fixture, "a site's least cohort is asked of every order to train") {
  WorkerOptions careful;
  experiment::SiteFile site;
  site.file = "site.yaml";
  site.data = (dir / "data").string();
  site.model = (dir / "foundation").string();
  site.least_cohort = 4;  // of three clients
  careful.site = site;
  run("there", {"run.rounds=1"}, clients({}, careful));
  const auto aggregation = load_json(dir / "there/rounds/001/aggregation.json").root;
  CHECK(aggregation["clients"].empty());
  CHECK_THAT(slurp(dir / "there/run.log"), Contains("site.yaml: least_cohort: the site does not"));
  careful.site->least_cohort = 1;
  run("open", {"run.rounds=1"}, clients({}, careful));
  CHECK(load_json(dir / "open/rounds/001/aggregation.json").root["clients"].size() == 3);
}

TEST_CASE_METHOD(Fixture, "what a site does not allow is answered with the rule's name") {
  const auto log_of = [&](const std::string& rule) {
    dir.write("site.yaml", "version: 1\ndata: data\nmodel: foundation\n" + rule);
    WorkerOptions options;
    options.site =
        experiment::read_site_file(dir / "site.yaml", phases().names(), {"lntk", "snip"});
    fs::remove_all(dir / "there");
    // Of a client alone, so that the others go on.
    const auto honest = clients();
    const auto careful = clients({}, options);
    struct Both : Courier {
      std::shared_ptr<Courier> one, rest;
      bool remote() const override { return true; }
      std::vector<Reply> exchange(const std::vector<Order>& orders, Deadline deadline,
                                  const Answered& answered) override {
        std::vector<Reply> replies;
        for (const Order& order : orders)
          for (Reply& reply :
               (order.client == "mri" ? one : rest)->exchange({order}, deadline, answered))
            replies.push_back(std::move(reply));
        return replies;
      }
    };
    const auto both = std::make_shared<Both>();
    both->one = careful;
    both->rest = honest;
    run("there", {"run.rounds=1", "run.budget=2"}, both);
    return slurp(dir / "there" / "run.log");
  };
  CHECK_THAT(log_of(""), !Contains("site.yaml"));
  for (const std::string rule :
       {"budget: 1", "least_samples: 1000", "metrics: [snip]", "phases: [hello, evaluate]"}) {
    CAPTURE(rule);
    CHECK_THAT(log_of(rule + "\n"),
               Contains("client mri") && Contains("site.yaml: " + rule.substr(0, rule.find(':')) +
                                                  ": the site does not"));
  }
}

TEST_CASE_METHOD(Fixture, "a run that was cut off in an exchange resumes to the same folder") {
  run("whole", {}, clients());
  struct Gone {};
  for (const int round : {1, 2, 3}) {
    const auto cut = [&](const Order& order, std::string bytes) -> std::string {
      if (order.round == round && order.phase() == Phase::kTrain && order.client == "oct")
        throw Gone();
      return bytes;
    };
    const std::string out = "cut" + std::to_string(round);
    CHECK_THROWS_AS(run(out, {}, clients(cut)), Gone);
    // The round before is kept, also where its evaluation was in the same exchange.
    CHECK(fs::exists(dir / out / "state") == (round > 1));
    if (round > 1) CHECK(fs::exists(state_file(out, round - 1)));
    run(out, {}, clients(), /*resume=*/true);
    test::check_same(dir / "whole", dir / out);
  }
}

TEST_CASE_METHOD(Fixture, "a client that cannot says why, and the run goes on without it") {
  auto scorer = tools.score;
  tools.score = [scorer](const models::Model& model, const tasks::Dataset& data,
                         const std::vector<std::string>& units, const ScoreRequest& request) {
    if (request.client == "ct") throw WorkError("no luck\nand a second line");
    return scorer(model, data, units, request);
  };
  run("there", {}, clients());
  CHECK(read_scores(dir / "there/rounds/001/scores.json").clients ==
        std::vector<std::string>{"mri", "oct"});
  CHECK_THAT(slurp(dir / "there/run.log"),
             Contains("round 1, client ct: the reply says that the client could not: round 1, "
                      "client ct: no luck") &&
                 !Contains("second line"));
  // In one process it is the run's error.
  CHECK_THROWS_WITH(run("here"), Contains("round 1, client ct: no luck"));
  tools.score = [](const models::Model&, const tasks::Dataset&, const std::vector<std::string>&,
                   const ScoreRequest&) -> std::vector<double> { throw WorkError("no luck"); };
  CHECK_THROWS_WITH(run("nobody", {}, clients()), "round 1: no client scored");
}

TEST_CASE_METHOD(Fixture, "every client has to greet") {
  const auto mute = [](const Order& order, std::string bytes) {
    return order.client == "oct" ? std::string() : bytes;
  };
  const auto silent = [&](const Order& order, std::string bytes) {
    return order.phase() == Phase::kHello ? mute(order, std::move(bytes)) : bytes;
  };
  CHECK_THROWS_WITH(run("there", {}, clients(silent)),
                    "round 0, client oct: no reply to the order \"hello\"");
  // A run that resumes has heard of it; who is away is out of the rounds until it is there again.
  run("whole", {}, clients());
  run("cut", {"run.rounds=1"}, clients());
  run("cut", {}, clients(silent), /*resume=*/true);
  test::check_same(dir / "whole", dir / "cut");
  run("away", {"run.rounds=1"}, clients());
  run("away", {}, clients(mute), /*resume=*/true);
  CHECK(load_json(dir / "away/rounds/003/aggregation.json").root["dropped"] == Json{"oct"});
  CHECK(row("away", 3, "oct").train_samples == row("whole", 3, "oct").train_samples);
  CHECK(load_json(dir / "away/run.json").root["synthetic"] == true);
}

TEST_CASE_METHOD(Fixture, "sites have their data to themselves: the server needs none") {
  run("here");
  const std::vector<std::string> sites = {"data={sites: [ct, mri, oct]}",
                                          "task=" + std::string("answer_classification")};
  WorkerOptions site;
  site.data = dir / "data";
  run("there", sites, clients({}, site));
  for (const char* file : {"rounds/001/plan.json", "rounds/003/aggregation.json", "questions.csv"})
    CHECK(slurp(dir / "here" / file) == slurp(dir / "there" / file));
  CHECK(test::reproducible(dir / "here/metrics.csv") ==
        test::reproducible(dir / "there/metrics.csv"));
  CHECK(slurp(state_file("here", 3)) == slurp(state_file("there", 3)));
  CHECK(load_json(dir / "there/run.json").root["synthetic"] == true);
  // What no site could decide by itself.
  CHECK_THROWS_WITH(run("a", sites), Contains("data.sites") && Contains("--courier"));
  auto of_data = sites, automatic = sites, dealt = sites;
  of_data.push_back("model.answers=data");
  CHECK_THROWS_WITH(run("b", of_data, clients({}, site)),
                    Contains("model.answers: data") && Contains("data.sites"));
  automatic.back() = "task=auto";
  CHECK_THROWS_WITH(run("c", automatic, clients({}, site)),
                    Contains("task: auto") && Contains("data.sites"));
  dealt.front() = "data={sites: [ct, mri, oct], partition: iid, clients: 3}";
  CHECK_THROWS_WITH(run("d", dealt, clients({}, site)), Contains("partition") && Contains("iid"));
  // A worker without the data says so.
  CHECK_THROWS_WITH(run("e", sites, clients()), Contains("the experiment names no data folder"));
  CHECK_FALSE(fs::exists(dir / "a"));
}

TEST_CASE_METHOD(Fixture, "a worker decodes the images of the clients that it answers for alone") {
  const Order ct = greeting("ct");
  Order mri = ct;
  mri.client = "mri";
  for (int i = 0; i < 7; ++i) dir.write("data/mri-" + std::to_string(i) + ".png", "no image");
  Worker worker(tools, {});
  const Reply reply = worker.serve(ct);
  CHECK(reply.failure.empty());
  CHECK(std::get<HelloResult>(reply.result).train_samples == 8);
  CHECK_THROWS_WITH(worker.serve(mri), Contains("mri-"));
}

TEST_CASE_METHOD(Fixture, "an order that the worker cannot answer is refused") {
  Order order = greeting("ct");
  Worker worker(tools, {});
  const Reply reply = worker.serve(order);
  CHECK(std::get<HelloResult>(reply.result).train_samples == 8);
  CHECK(std::get<HelloResult>(reply.result).synthetic);
  CHECK(reply.order == order.id());

  Order wrong = order;
  wrong.client = "cat";
  CHECK_THROWS_WITH(worker.serve(wrong), Contains("\"cat\"") && Contains("did you mean \"ct\""));
  wrong = order;
  wrong.base = "another";
  CHECK_THROWS_WITH(worker.serve(wrong), "client ct has another foundation than the order is for");
  wrong = order;
  wrong.units = {"tail"};
  CHECK_THROWS_WITH(worker.serve(wrong), Contains("tail"));
  wrong = order;
  wrong.run = "another";
  wrong.experiment = nullptr;
  CHECK_THROWS_WITH(worker.serve(wrong), Contains("the experiment is missing"));
  const Reply failed = serve_or_fail(worker, wrong);
  CHECK(failed.order == wrong.id());
  CHECK_THAT(failed.failure, Contains("the experiment is missing"));
  CHECK(failed.result.index() == 0);
}

TEST_CASE("a reason is one line of a thousand bytes at most") {
  set_quiet(true);
  const Order order{"run", 1, "ct", {}, "base", nullptr, EvaluateWork()};
  CHECK(failed_reply(order, "one\ntwo").failure == "one");
  CHECK(failed_reply(order, std::string(5000, 'x')).failure == std::string(1000, 'x'));
  CHECK_FALSE(failed_reply(order, "\n").failure.empty());
  CHECK(failed_reply(order, "a\rb").failure == "a\\rb");
  // Four bytes in place of each, and a character is not cut in two.
  const std::string escapes = failed_reply(order, std::string(999, '\x1b')).failure;
  CHECK(escapes.size() == 1000);
  CHECK(escapes.substr(996) == "\\x1b");
  const std::string cut = failed_reply(order, "\x1b" + std::string(995, 'x') + "üü").failure;
  CHECK(cut == "\\x1b" + std::string(995, 'x'));
}
