#include "fedrunner/site_rules.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "catch.h"
#include "strata/core/error.h"
#include "strata/core/rdp_accountant.h"
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

TEST_CASE("weights leave a site after private steps, as long as the site's epsilon lasts") {
  const TempDir dir;
  const auto strict = site(dir,
                           "private_training: {epsilon: 2, ledger: steps.txt}\n"
                           "private_scores: {epsilon: 1, releases: 4, ledger: scores.txt}\n");
  TrainWork work;
  work.local.steps = 10;
  work.local.training.batch_size = 10;
  CHECK_THROWS_WITH(
      check_order(strict, order_to(work)),
      Contains("private_training: the site does not allow it") && Contains("without noise"));
  CHECK_NOTHROW(check_order(strict, order_to(TrainWork(), {})));
  work.local.privacy = experiment::PrivateTraining{.noise = 2, .clip = 1};
  CHECK_NOTHROW(check_order(strict, order_to(work)));
  CHECK_NOTHROW(check_order(strict, order_to(ScoreWork{"lntk"})));
  const auto mute = site(dir, "private_training: {epsilon: 2, ledger: steps.txt}\n");
  CHECK_THROWS_WITH(check_order(mute, order_to(ScoreWork{"lntk"})),
                    Contains("private_scores gives no noise"));

  // As often as the accountant says, scores counted once for all of their releases.
  const NoiseMultiplier score_noise = [](double epsilon, double delta) {
    CHECK(epsilon == 1);
    CHECK(delta == 1e-5);
    return 3.7306;
  };
  const auto spent = [](int orders, bool scores) {
    RdpAccountant accountant;
    accountant.add_sampled(0.1, 2, 10 * orders);
    if (scores) accountant.add_gaussian(3.7306, 1);
    return accountant.epsilon(1e-5);
  };
  int allowed = 0;
  while (spent(allowed + 1, true) <= 2) ++allowed;
  REQUIRE(allowed > 1);
  REQUIRE(spent(allowed + 1, false) <= 2);  // the scores decide
  for (int k = 0; k < allowed; ++k)
    CHECK_NOTHROW(count_training(strict, order_to(work), 100, score_noise));
  CHECK_THROWS_WITH(count_training(strict, order_to(work), 100, score_noise),
                    Contains("private_training.epsilon: the site does not allow it: client st. "
                             "mary would come from ") &&
                        Contains("where 2 is the most"));
  Order other = order_to(work);
  other.client = "mary";
  CHECK_NOTHROW(count_training(strict, other, 100, score_noise));
  const std::string ledger = slurp(dir / "steps.txt");
  CHECK(std::count(ledger.begin(), ledger.end(), '\n') == allowed + 1);
  CHECK_THAT(ledger, Contains(" 10 0.1 2 st. mary\n"));
  CHECK_NOTHROW(count_training(strict, order_to(work, {}), 100, score_noise));
  CHECK(slurp(dir / "steps.txt") == ledger);
  dir.write("steps.txt", "one two three\n");
  CHECK_THROWS_WITH(count_training(strict, other, 100, score_noise),
                    Contains("steps.txt: a line that is no count"));
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
