#include "fedrunner/private_gradient.h"

#include <cmath>

#include "catch.h"
#include "core/csv.h"
#include "fedrunner/client.h"
#include "fedrunner/remote_clients.h"
#include "fedrunner/run_folders.h"
#include "fedrunner/tiny_runs.h"
#include "strata/core/error.h"
#include "strata/core/rdp_accountant.h"
#include "tasks/task.h"

using namespace strata;
using namespace strata::fedrunner;
using Catch::Matchers::Contains;

namespace {

/// A sample's gradient by itself, as one row.
torch::Tensor gradient_of(const models::Model& model, const tasks::Task& task,
                          const models::Batch& batch, std::int64_t row,
                          std::vector<torch::Tensor> weights) {
  const auto losses = task.losses(model.run(batch), batch);
  std::vector<torch::Tensor> flat;
  const auto gradients = torch::autograd::grad({losses[row]}, weights, {}, false, false, true);
  for (std::size_t i = 0; i < weights.size(); ++i)
    flat.push_back((gradients[i].defined() ? gradients[i] : torch::zeros_like(weights[i]))
                       .flatten()
                       .to(torch::kFloat64));
  return torch::cat(flat);
}

std::vector<torch::Tensor> weights_of(const models::Model& model, const std::vector<Unit>& units) {
  std::vector<torch::Tensor> weights;
  for (const Unit& unit : units)
    for (const auto& name : unit.parameters) weights.push_back(model.weight(name));
  return weights;
}

/// Gradient by gradient, which the scorer's never is.
Eigen::MatrixXd plain_gram(const models::Model& model, const tasks::Task& task,
                           const models::Batch& batch, const std::vector<Unit>& units) {
  std::vector<torch::Tensor> rows;
  for (std::int64_t i = 0; i < batch.size(); ++i)
    rows.push_back(gradient_of(model, task, batch, i, weights_of(model, units)));
  const auto all = torch::stack(rows);
  const auto gram = all.mm(all.t()).contiguous();
  return Eigen::Map<Eigen::MatrixXd>(gram.data_ptr<double>(), gram.size(0), gram.size(0));
}

struct Fixture {
  test::TempDir dir;
  data::Manifest manifest = test::write_tiny_data(dir / "data");
  test::ModelShape config = test::tiny_config();
  data::WordPiece tokenizer = test::tiny_tokenizer();
  models::Model model = test::make_model(config, 3);
  GradientGram gram = plain_gram;
  std::shared_ptr<const tasks::Dataset> data =
      test::answers(manifest, test::examples_of(manifest, "ct", "train"), config, tokenizer);
  PrivateWork work{{.noise = 0.5, .clip = 0.2}, 100, {model.unit("block.1"), model.unit("head")}};
  std::vector<std::vector<std::int64_t>> patients = {{0, 1, 2}, {3}, {4, 5}, {6}, {7}};

  Fixture() { model.train_only({"block.1", "head"}); }

  /// Of the means of patients' rows, each of a length of its own.
  std::vector<torch::Tensor> patient_gradients() {
    std::vector<torch::Tensor> found;
    for (const auto& rows : patients) {
      const auto batch = data->batch(rows, model.device());
      torch::Tensor sum;
      for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto row = gradient_of(model, data->task(), batch, static_cast<std::int64_t>(i),
                                     weights_of(model, work.units));
        sum = sum.defined() ? sum + row : row;
      }
      found.push_back(sum / static_cast<double>(rows.size()));
    }
    return found;
  }

  torch::Tensor left(const Chance& chance) {
    const auto weights = weights_of(model, work.units);
    leave_private_gradient(model, *data, work, patients, gram, chance, weights);
    std::vector<torch::Tensor> flat;
    for (const auto& weight : weights) flat.push_back(weight.grad().flatten().to(torch::kFloat64));
    return torch::cat(flat);
  }
};

double largest(const torch::Tensor& tensor) {
  return tensor.abs().max().item<double>();
}

const Chance kAll{[] { return 0.0; }, [] { return 0.0; }};

}  // namespace

TEST_CASE_METHOD(Fixture, "a step's gradient is the mean of patients' gradients, each clipped") {
  const auto own = patient_gradients();
  std::vector<double> norms;
  for (const auto& gradient : own) norms.push_back(gradient.norm().item<double>());
  // Some are clipped, and some are not.
  work.privacy.clip = (*std::min_element(norms.begin(), norms.end()) +
                       *std::max_element(norms.begin(), norms.end())) /
                      2;
  torch::Tensor sum = torch::zeros_like(own.front());
  for (std::size_t p = 0; p < own.size(); ++p)
    sum += own[p] * std::min(1.0, work.privacy.clip / norms[p]);
  const auto found = left(kAll);
  CHECK(largest(found - sum / 5) < 2e-3 * largest(sum / 5));
  // Taken one patient or two at a time it is the same.
  work.batch_size = 3;
  CHECK(largest(left(kAll) * (3.0 / 8) - found) < 1e-5 * largest(found));
}

TEST_CASE_METHOD(Fixture, "one patient more changes the sum by the bound at most") {
  work.privacy.clip = 1e-3;  // far below every gradient
  const double rate = 1;
  const auto with = left(kAll) * rate * static_cast<double>(patients.size());
  for (const std::size_t gone : {0, 1, 4}) {
    const auto all = patients;
    patients.erase(patients.begin() + static_cast<std::ptrdiff_t>(gone));
    const auto without = left(kAll) * rate * static_cast<double>(patients.size());
    patients = all;
    const double change = (with - without).norm().item<double>();
    CHECK(change <= work.privacy.clip);
    CHECK(change > 0.99 * work.privacy.clip);
  }
}

TEST_CASE_METHOD(Fixture, "each patient is drawn for itself, and noise is of the bound's size") {
  work.batch_size = 4;  // of 8 rows: a rate of a half
  CHECK(sampling_rate(8, 4) == 0.5);
  CHECK(sampling_rate(8, 100) == 1);
  const auto own = patient_gradients();
  work.privacy.clip = 1e6;
  int asked = 0;
  // The second and the fourth of five, at the edge of the rate.
  const auto found = left({[&] { return asked++ % 2 ? 0.4999 : 0.5; }, [] { return 0.0; }});
  CHECK(asked == 5);
  CHECK(largest(found - (own[1] + own[3]) / 2.5) < 1e-4 * largest(found));
  work.privacy.clip = 0.25;
  const auto noise = left({[] { return 1.0; }, [] { return 1.0; }});
  CHECK(largest(noise - 0.25 * 0.5 / 2.5) < 1e-7);
}

TEST_CASE_METHOD(Fixture, "who shares a patient, or without one an image, is one patient") {
  for (std::size_t i = 0; i < manifest.examples.size(); ++i)
    if (manifest.examples[i].client == "ct") manifest.examples[i].patient = i % 2 ? "a" : "b";
  const auto named =
      test::answers(manifest, test::examples_of(manifest, "ct", "train"), config, tokenizer);
  CHECK(patients_of(*named).size() == 2);
  std::size_t rows = 0;
  std::set<std::string> images;
  for (std::int64_t row = 0; row < data->size(); ++row) images.insert(data->example(row).image);
  for (const auto& patient : patients_of(*data)) {
    rows += patient.size();
    for (const auto row : patient)
      CHECK(data->example(row).image == data->example(patient.front()).image);
  }
  CHECK(rows == 8);
  CHECK(patients_of(*data).size() == images.size());
}

TEST_CASE_METHOD(Fixture, "private training tells no loss, has nobody's seed, and moves weights") {
  const FederatedClient ct{"ct", data, nullptr};
  TrainWork training;
  training.local.steps = 3;
  training.local.training.batch_size = 4;
  training.local.privacy = {{.noise = 1, .clip = 0.1}};
  training.seed = 11;
  const auto global = model.state();
  const auto once = train_client(model, global, ct, {"block.1"}, training, &gram);
  const auto again = train_client(model, global, ct, {"block.1"}, training, &gram);
  CHECK(std::isnan(once.train_loss));
  CHECK(once.failure.empty());
  for (const auto& [name, weight] : once.weights) {
    CHECK_FALSE(torch::equal(weight, global.at(name)));
    CHECK_FALSE(torch::equal(weight, again.weights.at(name)));
  }
  // The same chance gives the same bits.
  const auto same = train_client(model, global, ct, {"block.1"}, training, &gram, kAll);
  const auto twice = train_client(model, global, ct, {"block.1"}, training, &gram, kAll);
  for (const auto& [name, weight] : same.weights)
    CHECK(torch::equal(weight, twice.weights.at(name)));
  CHECK_THROWS_WITH(train_client(model, global, ct, {"block.1"}, training),
                    Contains("no way to train privately"));
}

TEST_CASE("a private run says what it has cost each client, also where it is resumed") {
  test::TinyRuns runs(
      "  strategies: [random]\n  rounds: 3\n  budget: 1\n"
      "  local: {steps: 2, batch_size: 2, learning_rate: 0.01, private: {noise: 1.5, clip: "
      "0.1}}\n");
  runs.tools.gram = plain_gram;
  RunOptions options;
  options.threads = 1;
  const auto run = [&](const std::vector<std::string>& set = {}) {
    run_experiment(runs.dir / "tiny.yaml", set, runs.dir / "out", runs.tools, options);
  };
  run({"run.rounds=2"});
  options.resume = true;
  run();
  const auto rows = read_csv(runs.dir / "out" / "privacy.csv");
  CHECK(rows.front().fields == std::vector<std::string>{"round", "client", "steps",
                                                        "training_epsilon", "releases",
                                                        "score_noise", "epsilon", "delta"});
  REQUIRE(rows.size() == 1 + 3 * 3);
  const auto sizes = read_metrics(runs.dir / "out" / "metrics.csv").rows;
  for (std::size_t r = 1; r < rows.size(); ++r) {
    const auto& fields = rows[r].fields;
    CHECK(fields[0] == std::to_string((r - 1) / 3 + 1));
    CHECK(fields[2] == std::to_string(2 * ((r - 1) / 3 + 1)));
    std::int64_t samples = 0;
    for (const auto& row : sizes)
      if (row.client == fields[1] && row.round == 1) samples = row.train_samples;
    RdpAccountant accountant;
    accountant.add_sampled(2.0 / static_cast<double>(samples), 1.5, std::stol(fields[2]));
    CHECK(fields[3] == format_double(accountant.epsilon(1e-5)));
    CHECK(fields[4] == "0");  // scores
    CHECK(fields[6] == fields[3]);
    CHECK(std::stod(fields[7]) == 1e-5);
  }
  CHECK(std::isnan(runs.row("out", 3, "ct").train_loss));
  options.resume = false;
  const auto refused = [&](const std::string& set) {
    try {
      run_experiment(runs.dir / "tiny.yaml", {set}, runs.dir / "x", runs.tools, options);
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK_THAT(refused("run.local.flips=both"), Contains("flips") && Contains("private training"));
  CHECK_THAT(refused("run.local.private.noise=0"), Contains("private.noise"));
  CHECK_THAT(refused("run.server.algorithm=ditto"), Contains("fedavg alone"));
}

TEST_CASE("a private run counts the scores that sites release, and says where they have no noise") {
  test::TinyRuns runs(
      "  strategies: [f3ocus]\n  rounds: 1\n  budget: 1\n  score: {samples: 4}\n"
      "  local: {steps: 2, batch_size: 2, learning_rate: 0.01, private: {noise: 1.5, clip: "
      "0.1}}\n");
  runs.tools.gram = plain_gram;
  runs.tools.score_noise = [](double epsilon, double delta) {
    CHECK(epsilon == 2);
    CHECK(delta == 1e-6);
    return 3.0;
  };
  runs.dir.write("site.yaml",
                 "version: 1\ndata: data\nmodel: foundation\n"
                 "private_scores: {epsilon: 2, delta: 1e-6, releases: 4, ledger: scores.txt}\n");
  WorkerOptions worker;
  worker.site =
      experiment::read_site_file(runs.dir / "site.yaml", phases().names(), {"lntk", "snip"});
  RunOptions options;
  options.threads = 1;
  run_experiment(runs.dir / "tiny.yaml", {}, runs.dir / "bare", runs.tools, options);
  options.remote = std::make_shared<test::RemoteClients>(runs.tools, worker);
  run_experiment(runs.dir / "tiny.yaml", {}, runs.dir / "noised", runs.tools, options);

  const auto bare = read_csv(runs.dir / "bare" / "privacy.csv");
  const auto noised = read_csv(runs.dir / "noised" / "privacy.csv");
  REQUIRE(bare.size() == 4);
  REQUIRE(noised.size() == 4);
  for (std::size_t r = 1; r < noised.size(); ++r) {
    const auto& fields = noised[r].fields;
    CHECK(fields[4] == "1");
    CHECK(std::stod(fields[5]) == 6);  // 3, times the root of the four releases that share ε
    CHECK(std::stod(fields[6]) > std::stod(fields[3]));
    CHECK(bare[r].fields[3] == fields[3]);
    CHECK(bare[r].fields[5] == "0");
    CHECK(bare[r].fields[6] == "inf");
  }
  CHECK_THAT(test::slurp(runs.dir / "bare" / "run.log"), Contains("sends scores without noise"));
  CHECK_THAT(test::slurp(runs.dir / "noised" / "run.log"), !Contains("without noise"));
}
