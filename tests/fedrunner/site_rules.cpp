#include "fedrunner/site_rules.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "catch.h"
#include "strata/core/error.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::fedrunner;
using Catch::Matchers::Contains;
using strata::test::slurp;
using strata::test::TempDir;

namespace {

const std::vector<std::string> kMetrics = {"lntk", "magnitude"};

experiment::SiteFile site(const TempDir& dir, const std::string& lines) {
  dir.write("site.yaml", "version: 1\ndata: scans\nmodel: /models/vilt\n" + lines);
  return experiment::read_site_file(dir / "site.yaml", phases().names(), kMetrics);
}

Order order_to(const Work& work, const std::vector<std::string>& units = {"block.0", "head"}) {
  return {"run", 3, "st. mary", units, "base", nullptr, work};
}

const std::vector<Unit> kUnits = {{.name = "block.0", .bytes = 4000},
                                  {.name = "block.1", .bytes = 8000}};

}  // namespace

TEST_CASE("a site's file has folders from where it is, and lets everything be by default") {
  const TempDir dir;
  const auto open = site(dir, "");
  CHECK(open.data == (dir / "scans").string());
  CHECK(open.model == "/models/vilt");
  for (const Work& work :
       std::vector<Work>{HelloWork(), ScoreWork{"lntk"}, TrainWork(), EvaluateWork()}) {
    CHECK_NOTHROW(check_order(open, order_to(work)));
    CHECK_NOTHROW(check_budget(open, order_to(work), kUnits));
    CHECK_NOTHROW(check_samples(open, order_to(work), 1));
  }
  CHECK_THROWS_WITH(site(dir, "phase: [hello]\n"), Contains("phase") && Contains("phases"));
  CHECK_THROWS_WITH(site(dir, "phases: [sore]\n"), Contains("did you mean \"score\""));
  CHECK_THROWS_WITH(site(dir, "private_scores: {epsilon: 1}\n"), Contains("releases"));
  CHECK_THROWS_WITH(site(dir, "least_samples: 0\n"), Contains("least_samples"));
}

TEST_CASE("a site answers its own clients, and what its file names") {
  const TempDir dir;
  const auto named = site(dir, "clients: [st. mary]\nphases: [hello, score]\nmetrics: [lntk]\n");
  CHECK_NOTHROW(check_order(named, order_to(ScoreWork{"lntk"})));
  CHECK_THROWS_WITH(check_order(named, order_to(ScoreWork{"magnitude"})),
                    (dir / "site.yaml").string() +
                        ": metrics: the site does not allow it: an order is to score by magnitude");
  CHECK_THROWS_WITH(check_order(named, order_to(TrainWork())),
                    Contains("phases: the site does not allow it: an order is to train"));
  Order other = order_to(HelloWork());
  other.client = "st. john";
  CHECK_THROWS_WITH(check_order(named, other), Contains("clients: ") && Contains("st. john"));
}

TEST_CASE("what a plan spends at a site is within its largest budget") {
  const TempDir dir;
  const auto by_units = site(dir, "budget: 1\n"), by_bytes = site(dir, "budget: 9kB\n");
  // The head is always trained and is no part of it.
  CHECK_NOTHROW(check_budget(by_units, order_to(TrainWork()), kUnits));
  const Order both = order_to(TrainWork(), {"block.0", "block.1", "head"});
  CHECK_THROWS_WITH(check_budget(by_units, both, kUnits),
                    Contains("budget: the site does not allow it: an order is to train 2 units, "
                             "where 1 are the most"));
  CHECK_NOTHROW(check_budget(by_bytes, order_to(TrainWork(), {"block.1"}), kUnits));
  CHECK_THROWS_WITH(check_budget(by_bytes, both, kUnits), Contains("12000 bytes"));
  CHECK_NOTHROW(check_budget(by_units, order_to(ScoreWork{"lntk"}, both.units), kUnits));
  const auto by_client = site(dir, "budget: {st. john: 2, st. mary: 1}\n");
  CHECK_NOTHROW(check_budget(by_client, order_to(TrainWork()), kUnits));
  CHECK_THROWS_WITH(check_budget(by_client, both, kUnits), Contains("where 1 are the most"));
}

TEST_CASE("a site trains what as many clients train as it wants, by what the order says") {
  const TempDir dir;
  const auto careful = site(dir, "least_cohort: 3\n");
  TrainWork work;
  work.cohorts = {{"block.0", 3}, {"head", 9}};
  CHECK_NOTHROW(check_cohorts(careful, order_to(work)));
  work.cohorts["block.0"] = 2;
  CHECK_THROWS_WITH(check_cohorts(careful, order_to(work)),
                    Contains("least_cohort: the site does not allow it: an order is to train the "
                             "unit block.0, of which it says that 2 clients train it, where 3"));
  work.cohorts.erase("block.0");
  CHECK_THROWS_WITH(check_cohorts(careful, order_to(work)), Contains("that 0 clients train it"));
  CHECK_NOTHROW(check_cohorts(careful, order_to(EvaluateWork())));
  CHECK_NOTHROW(check_cohorts(site(dir, ""), order_to(TrainWork())));
  CHECK_THROWS_WITH(site(dir, "least_cohort: 0\n"), Contains("least_cohort"));
}

TEST_CASE("a client with few examples neither scores nor trains") {
  const TempDir dir;
  const auto careful = site(dir, "least_samples: 20\n");
  CHECK_NOTHROW(check_samples(careful, order_to(TrainWork()), 20));
  CHECK_THROWS_WITH(check_samples(careful, order_to(TrainWork()), 19), Contains("least_samples"));
  CHECK_THROWS_WITH(check_samples(careful, order_to(ScoreWork{"lntk"}), 19),
                    Contains("client st. mary has 19 training examples"));
  CHECK_NOTHROW(check_samples(careful, order_to(EvaluateWork()), 1));
  CHECK_NOTHROW(check_samples(careful, order_to(TrainWork(), {}), 1));
}

TEST_CASE("scores leave a site as often as its file says, whoever asks at the same time") {
  const TempDir dir;
  const auto counted = site(dir, "private_scores: {epsilon: 2, releases: 5, ledger: ledger.txt}\n");
  std::atomic<int> released = 0, refused = 0;
  std::vector<std::thread> askers;
  for (int i = 0; i < 8; ++i) {
    askers.emplace_back([&] {
      try {
        count_release(counted, order_to(ScoreWork{"lntk"}));
        ++released;
      } catch (const InputError&) {
        ++refused;
      }
    });
  }
  for (auto& asker : askers) asker.join();
  CHECK(released == 5);
  CHECK(refused == 3);
  CHECK_THROWS_WITH(count_release(counted, order_to(ScoreWork{"lntk"})),
                    Contains("private_scores.releases: the site does not allow it: client st. mary "
                             "has released its scores 5 times") &&
                        Contains("ledger.txt"));
  Order other = order_to(ScoreWork{"lntk"});
  other.client = "mary";  // the end of the other's name
  CHECK_NOTHROW(count_release(counted, other));
  const std::string text = slurp(dir / "ledger.txt");
  CHECK(std::count(text.begin(), text.end(), '\n') == 6);
  dir.write("ledger.txt", text + "3 abc st. ma");
  CHECK_THROWS_WITH(count_release(counted, other), Contains("the last line is not whole"));
}
