#include "fedrunner/training.h"

#include <malloc.h>
#include <torch/optim/adamw.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "catch.h"
#include "fedrunner/aggregation.h"
#include "fedrunner/client.h"
#include "fedrunner/tiny.h"
#include "models/cost.h"
#include "models/device.h"
#include "models/units.h"
#include "strata/core/error.h"

using namespace strata;
using namespace strata::data;
using namespace strata::fedrunner;
using namespace strata::models;
using strata::tasks::Tally;
using test::same_bits;

namespace {

bool same(const tasks::Sum& found, double sum, double weight) {
  return found.sum == sum && found.weight == weight;
}

struct Fixture {
  test::TempDir dir;
  Manifest manifest = test::write_tiny_data(dir / "data");
  test::ModelShape config = test::tiny_config();
  WordPiece tokenizer = test::tiny_tokenizer();
  Model model = test::make_model(config, 3);

  FederatedClient client(const std::string& name) const {
    return {name,
            test::answers(manifest, test::examples_of(manifest, name, "train"), config, tokenizer),
            test::answers(manifest, test::examples_of(manifest, name, "test"), config, tokenizer)};
  }
};

/// What train_client(seed 11) begins with on ct's 8 rows, for steps as LibTorch's users write them.
struct Plain {
  Model model;
  std::vector<torch::Tensor> weights, start;
  torch::optim::AdamW optimizer;
  std::vector<std::int64_t> order;

  Plain(const test::ModelShape& config, const std::vector<std::string>& units)
      : model(config, 3),
        weights(weights_of(model, units)),
        optimizer(weights, torch::optim::AdamWOptions(0.01).weight_decay(0.1)),
        order(8) {
    for (const auto& weight : weights) start.push_back(weight.detach().clone());
    std::iota(order.begin(), order.end(), std::int64_t{0});
    Random(11).shuffle(order);
  }

 private:
  static std::vector<torch::Tensor> weights_of(Model& model,
                                               const std::vector<std::string>& units) {
    model.train_only(units);
    std::vector<torch::Tensor> weights;
    for (const auto& name : units) {
      for (const auto& weight : model.weights_of(model.unit(name))) weights.push_back(weight);
    }
    return weights;
  }
};

std::vector<int> repeated(const std::vector<int>& examples, int times) {
  std::vector<int> result;
  for (int i = 0; i < times; ++i) result.insert(result.end(), examples.begin(), examples.end());
  return result;
}

LocalConfig local_config() {
  LocalConfig local;
  local.steps = 5;
  local.training.batch_size = 3;
  local.training.learning_rate = 0.01;
  local.training.weight_decay = 0.1;
  local.training.clip_norm = 0;
  return local;
}

}  // namespace

TEST_CASE_METHOD(Fixture, "one client, every unit: a federated round is AdamW to the last bit") {
  const auto ct = client("ct");  // 8 rows: batches of 3, 3, 2, 3, 3
  const std::vector<std::string> everything = {"embeddings", "block.0", "block.1", "block.2",
                                               "head"};
  auto global = model.state();
  const auto update = train_client(model, global, ct, everything, {local_config(), 11});
  ServerMoments moments;
  aggregate(global, model.units(), {update}, {}, {}, moments);

  Model plain = test::make_model(config, 3);
  plain.train_only(everything);
  std::vector<torch::Tensor> weights;
  for (const auto& unit : plain.units()) {
    for (const auto& weight : plain.weights_of(unit)) weights.push_back(weight);
  }
  torch::optim::AdamW optimizer(weights, torch::optim::AdamWOptions(0.01).weight_decay(0.1));
  Random random(11);
  std::vector<std::int64_t> order(8);
  std::iota(order.begin(), order.end(), std::int64_t{0});
  double loss_sum = 0;
  for (const auto& [begin, end] :
       std::vector<std::pair<int, int>>{{0, 3}, {3, 6}, {6, 8}, {0, 3}, {3, 6}}) {
    if (begin == 0) random.shuffle(order);
    const auto batch = ct.train->batch({order.begin() + begin, order.begin() + end}, torch::kCPU);
    optimizer.zero_grad();
    const auto loss = torch::cross_entropy_loss(plain.forward(batch), batch.labels);
    loss.backward();
    optimizer.step();
    loss_sum += loss.item<double>();
  }
  for (const auto& [name, weight] : global) {
    INFO(name);
    CHECK(same_bits(weight, plain.weight(name)));
  }
  CHECK(update.train_loss == Approx(loss_sum / 5).epsilon(1e-12));
  CHECK(update.samples == 8);
}

TEST_CASE_METHOD(Fixture,
                 "weights outside the assigned units keep their bits and get no gradient") {
  const auto global = model.state();
  const auto mri = client("mri");
  const auto update = train_client(model, global, mri, {"block.1", "head"}, {local_config(), 5});
  int changed = 0;
  for (const auto& unit : model.units()) {
    const bool trained = unit.name == "block.1" || unit.name == "head";
    for (const auto& name : unit.parameters) {
      INFO(name);
      CHECK(update.weights.count(name) == (trained ? 1u : 0u));
      CHECK_FALSE(model.weight(name).requires_grad());
      if (!trained) CHECK(same_bits(model.weight(name), global.at(name)));
      if (trained) changed += !same_bits(update.weights.at(name), global.at(name));
    }
  }
  CHECK(changed > 10);
}

TEST_CASE_METHOD(Fixture, "the same seed gives the same bits, another seed others") {
  const auto global = model.state();
  const auto oct = client("oct");
  auto local = local_config();
  local.training.flips = Flips::kBoth;
  local.training.clip_norm = 0.5;
  const auto first = train_client(model, global, oct, {"block.0"}, {local, 5});
  const auto second = train_client(model, global, oct, {"block.0"}, {local, 5});
  const auto other = train_client(model, global, oct, {"block.0"}, {local, 6});
  int different = 0;
  for (const auto& [name, weight] : first.weights) {
    CHECK(same_bits(weight, second.weights.at(name)));
    different += !same_bits(weight, other.weights.at(name));
  }
  CHECK(different > 0);
}

TEST_CASE_METHOD(Fixture, "a batch in parts has the whole batch's loss and gradient") {
  const auto examples = repeated(test::examples_of(manifest, "ct", "train"), 3);
  const test::Answers data = test::answers(manifest, examples, config, tokenizer);
  REQUIRE(data->size() >= 23);
  TrainingOptions options = local_config().training;
  options.batch_size = 23;  // 12 and 11 rows
  options.clip_norm = 1;
  const std::vector<std::string> units = {"embeddings", "block.0", "block.1", "block.2", "head"};
  const auto trained = [&](int parts, torch::Tensor* moved) {
    Model mine = test::make_model(config, 3);
    const double loss = train(mine, *data, units, 1, options, 7, {}, parts);
    std::vector<torch::Tensor> steps;
    for (const auto& name : units) {
      for (const auto& weight : mine.unit(name).parameters)
        steps.push_back((mine.weight(weight) - model.weight(weight)).flatten());
    }
    *moved = torch::cat(steps);
    return loss;
  };
  torch::Tensor whole, halves, again, small;
  const double loss = trained(1, &whole);
  CHECK(trained(2, &halves) == Approx(loss).epsilon(1e-6));
  // AdamW's first step is the gradient's sign: nearly all of them are the same.
  CHECK((halves - whole).norm().item<double>() < 0.02 * whole.norm().item<double>());
  CHECK_FALSE(torch::equal(halves, whole));  // or nothing was split
  // Two parts are as many as have 8 rows.
  CHECK(trained(3, &again) == trained(2, &halves));
  CHECK(torch::equal(again, halves));
  options.batch_size = 15;
  trained(1, &small);
  trained(2, &again);
  CHECK(torch::equal(small, again));
}

TEST_CASE_METHOD(Fixture, "the parts of a batch draw dropout of their own, from the seed") {
  config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.2;
  auto one = test::examples_of(manifest, "ct", "train");
  one.resize(1);
  const auto loss = [&](int rows, int parts) {
    const test::Answers data = test::answers(manifest, repeated(one, rows), config, tokenizer);
    TrainingOptions options = local_config().training;
    options.batch_size = rows;
    Model mine = test::make_model(config, 3);
    return train(mine, *data, {"block.1", "head"}, 1, options, 7, {}, parts);
  };
  CHECK(loss(16, 2) == loss(16, 2));
  // The first part's rows and masks are those of a batch of 8; the second part's are others.
  CHECK(loss(16, 2) != Approx(loss(8, 1)).epsilon(1e-6));
}

TEST_CASE_METHOD(Fixture, "one epoch is one pass over the client's rows") {
  const auto mri = client("mri");  // 10 rows
  auto local = local_config();
  local.steps = 0;
  local.epochs = 1;
  const auto epoch = train_client(model, model.state(), mri, {"head"}, {local, 5});
  model = test::make_model(config, 3);
  local.steps = 4;
  local.epochs = 0;
  const auto steps = train_client(model, model.state(), mri, {"head"}, {local, 5});
  for (const auto& [name, weight] : epoch.weights) CHECK(same_bits(weight, steps.weights.at(name)));
}

TEST_CASE_METHOD(Fixture, "clipping bounds the joint norm of the gradients") {
  // Without momentum's history the first AdamW step does not depend on the gradient's scale, so the
  // second one shows the clipping.
  const auto ct = client("ct");
  const auto global = model.state();
  auto local = local_config();
  const auto free = train_client(model, global, ct, {"head"}, {local, 5});
  local.training.clip_norm = 1e6;
  const auto loose = train_client(model, global, ct, {"head"}, {local, 5});
  local.training.clip_norm = 1e-3;
  const auto tight = train_client(model, global, ct, {"head"}, {local, 5});
  int different = 0;
  for (const auto& [name, weight] : free.weights) {
    CHECK(same_bits(weight, loose.weights.at(name)));
    different += !same_bits(weight, tight.weights.at(name));
  }
  CHECK(different > 0);
}

TEST_CASE_METHOD(Fixture, "a client whose loss is not finite says so and sends no weights") {
  auto global = model.state();
  global.at("classifier.3.bias").fill_(std::numeric_limits<float>::quiet_NaN());
  const auto update = train_client(model, global, client("ct"), {"head"}, {local_config(), 5});
  CHECK(update.failure == "the training loss is not finite after step 3; lower the learning rate");
  CHECK(update.weights.empty());
  CHECK(std::isnan(update.train_loss));
}

TEST_CASE("the learning rate warms up linearly and falls as a cosine") {
  TrainingOptions options;
  options.learning_rate = 0.8;
  options.warmup = 0.2;
  options.schedule = Schedule::kCosine;
  CHECK(learning_rate_at(options, 0, 10) == Approx(0.4));
  CHECK(learning_rate_at(options, 1, 10) == Approx(0.8));
  CHECK(learning_rate_at(options, 2, 10) == Approx(0.8));
  CHECK(learning_rate_at(options, 6, 10) == Approx(0.4));
  CHECK(learning_rate_at(options, 9, 10) == Approx(0.4 * (1 - std::cos(M_PI / 8))));
  options.schedule = Schedule::kPolynomial;
  options.decay_power = 7;
  CHECK(learning_rate_at(options, 1, 10) == Approx(0.8));
  CHECK(learning_rate_at(options, 2, 10) == Approx(0.8));
  CHECK(learning_rate_at(options, 6, 10) == Approx(0.8 * std::pow(0.5, 7)));
  options.schedule = Schedule::kConstant;
  CHECK(learning_rate_at(options, 9, 10) == Approx(0.8));
  options.warmup = 0;
  CHECK(learning_rate_at(options, 0, 10) == Approx(0.8));
}

TEST_CASE_METHOD(Fixture, "evaluation counts accepted answers, open and closed apart") {
  // A bias that outweighs everything makes the model answer "no" always.
  {
    const torch::NoGradGuard no_grad;
    model.weight("classifier.3.weight").zero_();
    model.weight("classifier.3.bias").zero_()[2] = 20;
  }
  const test::Answers test_set =
      test::answers(manifest, test::examples_of(manifest, "", "test"), config, tokenizer);
  const tasks::Task& task = test::answering();
  const Tally result = task.evaluate(model, *test_set);
  // Six test images, among them images 4 and 5 of ct, 5 and 6 of mri, 6 and 7 of oct; red are those
  // whose number is divisible by three: one of mri and one of oct.
  CHECK(same(result.of("accuracy"), 4, 12));
  CHECK(same(result.of("open_accuracy"), 0, 6));
  CHECK(same(result.of("closed_accuracy"), 4, 6));
  CHECK(task.value("accuracy", result) == Approx(4.0 / 12));
  CHECK(task.value("closed_accuracy", result) == Approx(4.0 / 6));
  CHECK(task.value("open_accuracy", result) == 0);
  // Eight rows have another answer than "no" and cost 20 nats more than the four others.
  const double right = std::log1p(4 * std::exp(-20.0));
  CHECK(result.of("loss").mean() == Approx((4 * right + 8 * (20 + right)) / 12).epsilon(1e-6));
  CHECK(std::isnan(task.value("accuracy", {})));

  // Without the label "red", the two red images' open questions have no target: they stay wrong and
  // leave the loss' mean. "yes" takes the index of "red".
  auto fewer = config;
  fewer.labels = {"blue", "green", "no", "yes"};
  const test::Answers kept =
      test::answers(manifest, test::examples_of(manifest, "", "test"), fewer, tokenizer, true);
  {
    const torch::NoGradGuard no_grad;
    model.weight("classifier.3.bias")[4] = -20;
  }
  const Tally partly = task.evaluate(model, *kept);
  CHECK(same(partly.of("accuracy"), 4, 12));
  CHECK(same(partly.of("open_accuracy"), 0, 6));
  CHECK(partly.of("loss").weight == 10);
  CHECK(partly.of("loss").mean() ==
        Approx((4 * std::log1p(3 * std::exp(-20.0)) + 6 * 20.0) / 10).epsilon(1e-6));
}

TEST_CASE_METHOD(Fixture, "evaluations of several clients add up in every count") {
  // "red" always: right for every red image's open question, and for no closed one.
  {
    const torch::NoGradGuard no_grad;
    model.weight("classifier.3.weight").zero_();
    model.weight("classifier.3.bias").zero_()[3] = 20;
  }
  const tasks::Task& task = test::answering();
  Tally sum;
  std::vector<Tally> parts;
  for (const char* name : {"ct", "mri", "oct"}) {
    parts.push_back(task.evaluate(model, *client(name).test));
    sum += parts.back();
  }
  // Of mri and of oct one of two test images is red, of ct none.
  CHECK(same(parts[0].of("open_accuracy"), 0, 2));
  CHECK(same(parts[1].of("open_accuracy"), 1, 2));
  CHECK(same(parts[2].of("open_accuracy"), 1, 2));
  CHECK(same(sum.of("open_accuracy"), 2, 6));
  CHECK(task.value("closed_accuracy", sum) == 0);
  const test::Answers test_set =
      test::answers(manifest, test::examples_of(manifest, "", "test"), config, tokenizer);
  const Tally whole = task.evaluate(model, *test_set);
  CHECK(sum.of("loss").mean() == Approx(whole.of("loss").mean()).epsilon(1e-12));
}

TEST_CASE_METHOD(Fixture,
                 "calibrated labels: the loss sees each logit plus log((count + 1) / (n + K))") {
  const auto ct = client("ct");
  TrainingOptions options;
  options.batch_size = 64;
  options.learning_rate = 0;
  std::vector<std::int64_t> rows(static_cast<std::size_t>(ct.train->size()));
  std::iota(rows.begin(), rows.end(), std::int64_t{0});
  const auto batch = ct.train->batch(rows, torch::kCPU);
  const auto labels = config.label_count();
  std::vector<double> counts(static_cast<std::size_t>(labels), 1.0);
  const auto& labelled = dynamic_cast<const tasks::LabelledData&>(*ct.train);
  for (const auto row : rows) counts[static_cast<std::size_t>(labelled.label(row))] += 1;
  const auto logits = model.forward(batch).to(torch::kDouble);
  double plain = 0, calibrated = 0;
  for (const auto row : rows) {
    const auto target = labelled.label(row);
    double plain_sum = 0, sum = 0;
    for (std::int64_t k = 0; k < labels; ++k) {
      const double value = std::exp(logits[row][k].item<double>());
      plain_sum += value;
      sum += value * counts[static_cast<std::size_t>(k)];
    }
    const double own = std::exp(logits[row][target].item<double>());
    plain -= std::log(own / plain_sum);
    calibrated -= std::log(own * counts[static_cast<std::size_t>(target)] / sum);
  }
  const auto n = static_cast<double>(rows.size());
  REQUIRE(std::abs(plain - calibrated) / n > 0.01);
  CHECK(train(model, *ct.train, {"head"}, 1, options, 5) == Approx(plain / n).epsilon(1e-5));
  options.calibrate_labels = true;
  CHECK(train(model, *ct.train, {"head"}, 1, options, 5) == Approx(calibrated / n).epsilon(1e-5));
}

TEST_CASE_METHOD(Fixture, "FedProx: training is AdamW on the loss plus μ/2 of the squared way") {
  const auto ct = client("ct");
  auto local = local_config();
  local.steps = 3;
  local.training.proximal = 20;
  const std::vector<std::string> units = {"block.2", "head"};
  const auto update = train_client(model, model.state(), ct, units, {local, 11});

  Plain reference(config, units);
  auto& [plain, weights, start, optimizer, order] = reference;
  double loss_sum = 0;
  for (const auto& [begin, end] : std::vector<std::pair<int, int>>{{0, 3}, {3, 6}, {6, 8}}) {
    const auto batch = ct.train->batch({order.begin() + begin, order.begin() + end}, torch::kCPU);
    optimizer.zero_grad();
    auto loss = torch::cross_entropy_loss(plain.forward(batch), batch.labels);
    loss_sum += loss.item<double>();
    for (std::size_t i = 0; i < weights.size(); ++i)
      loss = loss + 10 * (weights[i] - start[i]).square().sum();
    loss.backward();
    optimizer.step();
  }
  double way = 0, free_way = 0;
  local.training.proximal = 0;
  const auto global = test::make_model(config, 3).state();
  const auto free = train_client(model, global, ct, units, {local, 11});
  for (const auto& [name, weight] : update.weights) {
    INFO(name);
    // AdamW divides by the gradient's size, so the few weights whose gradient is rounding alone
    // (queries see no bias of the keys) may go either way.
    if (name.find("key.bias") == std::string::npos)
      CHECK(torch::allclose(weight, plain.weight(name), 1e-4, 1e-5));
    way += (weight - global.at(name)).square().sum().item<double>();
    free_way += (free.weights.at(name) - global.at(name)).square().sum().item<double>();
  }
  CHECK(way < 0.9 * free_way);
  CHECK(update.train_loss == Approx(loss_sum / 3).epsilon(1e-6));
}

TEST_CASE_METHOD(Fixture, "batches of one row: no weight's gradient is another's, too") {
  const auto ct = client("ct");
  auto local = local_config();
  local.steps = 6;
  local.training.batch_size = 1;
  local.training.proximal = 5;
  local.training.clip_norm = 0.5;
  const std::vector<std::string> units = {"embeddings", "block.0", "head"};
  const auto update = train_client(model, model.state(), ct, units, {local, 11});

  Plain reference(config, units);
  auto& [plain, weights, start, optimizer, order] = reference;
  for (int step = 0; step < 6; ++step) {
    const auto batch = ct.train->batch({order[static_cast<std::size_t>(step)]}, torch::kCPU);
    const auto loss = torch::cross_entropy_loss(plain.forward(batch), batch.labels);
    const auto gradients = torch::autograd::grad({loss}, weights);
    const torch::NoGradGuard no_grad;
    std::vector<torch::Tensor> norms;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      weights[i].mutable_grad() = gradients[i] + 5 * (weights[i] - start[i]);
      norms.push_back(weights[i].grad().norm());
    }
    const auto factor = (0.5 / (torch::stack(norms).norm() + 1e-6)).clamp_max(1.0);
    for (const auto& weight : weights) weight.grad().mul_(factor);
    optimizer.step();
  }
  for (const auto& [name, weight] : update.weights) {
    INFO(name);
    if (name.find("key.bias") == std::string::npos)
      CHECK(torch::allclose(weight, plain.weight(name), 1e-4, 1e-6));
  }
}

TEST_CASE_METHOD(Fixture, "bfloat16 computes the forward pass so, and keeps weights in float32") {
  const auto ct = client("ct");
  auto local = local_config();
  const auto global = model.state();
  const auto whole = train_client(model, global, ct, {"block.2", "head"}, {local, 5});
  models::assume_fast_bfloat16(true);
  local.training.precision = Precision::kBfloat16;
  const auto mixed = train_client(model, global, ct, {"block.2", "head"}, {local, 5});
  CHECK(mixed.train_loss == Approx(whole.train_loss).epsilon(0.02));
  CHECK(mixed.train_loss != whole.train_loss);
  for (const auto& [name, weight] : mixed.weights) CHECK(weight.scalar_type() == torch::kFloat);
  // A processor that is slow at it computes in float32.
  models::assume_fast_bfloat16(false);
  const auto wide = train_client(model, global, ct, {"block.2", "head"}, {local, 5});
  for (const auto& [name, weight] : wide.weights) CHECK(same_bits(weight, whole.weights.at(name)));
  models::assume_fast_bfloat16({});
  // Nothing of it is left behind.
  local.training.precision = Precision::kFloat32;
  const auto again = train_client(model, global, ct, {"block.2", "head"}, {local, 5});
  for (const auto& [name, weight] : again.weights) CHECK(same_bits(weight, whole.weights.at(name)));
}

TEST_CASE_METHOD(Fixture, "gradient checkpointing trains the same weights, whatever the parts") {
  const auto ct = client("ct");
  const auto data = test::answers(manifest, repeated(test::examples_of(manifest, "ct", "train"), 2),
                                  config, tokenizer);
  const std::vector<std::string> units = {"block.1", "head"};
  const auto global = model.state();
  auto options = local_config().training;
  options.batch_size = 2 * kRowsPerPart;
  options.clip_norm = 0.5;
  for (const int parts : {1, 2}) {
    CAPTURE(parts);
    models::Weights trained[2];
    double losses[2] = {};
    for (const bool staged : {false, true}) {
      options.gradient_checkpointing = staged;
      model.load_state(global);
      losses[staged] = train(model, *data, units, 3, options, 5, {}, parts);
      for (const auto& unit : units)
        for (const auto& name : model.unit(unit).parameters)
          trained[staged][name] = model.weight(name).detach().clone();
    }
    CHECK(losses[0] == losses[1]);
    for (const auto& [name, weight] : trained[0]) {
      INFO(name);
      CHECK(same_bits(weight, trained[1].at(name)));
      CHECK_FALSE(same_bits(weight, global.at(name)));
    }
  }
  model.set_spill(dir / "none");
  CHECK_THROWS_WITH(train(model, *ct.train, units, 1, options, 5),
                    Catch::Matchers::Contains("none: no file can be made there"));
  options.gradient_checkpointing = false;
  CHECK_NOTHROW(train(model, *ct.train, units, 1, options, 5));
}

TEST_CASE_METHOD(Fixture, "a straggler's share of the steps are its first ones") {
  const auto oct = client("oct");
  auto local = local_config();
  const auto global = model.state();
  const auto late = train_client(model, global, oct, {"head"}, {local, 5, 0.5});
  CHECK(late.steps == 2);
  CHECK(train_client(model, global, oct, {"head"}, {local, 5, 0.01}).steps == 1);
  // 0.29 · 100 is 28.999999999999996 as a double, and yet 29 steps.
  local.steps = 100;
  local.training.batch_size = 1;
  CHECK(train_client(model, global, oct, {"head"}, {local, 5, 0.29}).steps == 29);
  local = local_config();
  local.steps = 2;
  const auto short_run = train_client(model, global, oct, {"head"}, {local, 5});
  for (const auto& [name, weight] : late.weights)
    CHECK(same_bits(weight, short_run.weights.at(name)));
}

TEST_CASE_METHOD(Fixture, "memory and work fall as the lowest trained unit rises") {
  config.hidden_size = 64;
  config.intermediate_size = 256;
  config.image_size = 32;
  model = test::make_model(config, 3);
  Batch batch;
  // Large enough for the tens of kilobytes that malloc keeps at times not to matter.
  batch.input_ids = torch::ones({64, 6}, torch::kInt64);
  batch.attention_mask = torch::ones({64, 6});
  batch.pixels = torch::randn({64, 3, 32, 32});
  batch.labels = torch::zeros({64}, torch::kInt64);
  const auto heap = [] {
    const struct mallinfo2 info = mallinfo2();
    return static_cast<double>(info.uordblks + info.hblkhd);
  };
  model.forward(batch);  // brings what the libraries keep
  double last_kept = 0, last_predicted = 0;
  std::size_t last_nodes = 0;
  // From the head alone down to everything.
  for (const std::string lowest : {"head", "block.2", "block.1", "block.0", "embeddings"}) {
    std::vector<std::string> units = {"head"};
    if (lowest != "head") units.push_back(lowest);
    model.train_only(units);
    std::set<std::string> trained;
    for (const auto& unit : units) {
      const auto& names = model.unit(unit).parameters;
      trained.insert(names.begin(), names.end());
    }
    const double predicted = 64 * training_cost(config.blueprint(), 6, trained).activation_bytes;
    const double before = heap();
    const auto loss = torch::cross_entropy_loss(model.forward(batch), batch.labels);
    const double kept = heap() - before;
    std::set<torch::autograd::Node*> nodes;
    std::vector<torch::autograd::Node*> open = {loss.grad_fn().get()};
    while (!open.empty()) {
      auto* node = open.back();
      open.pop_back();
      if (!node || !nodes.insert(node).second) continue;
      for (const auto& edge : node->next_edges()) open.push_back(edge.function.get());
    }
    INFO(lowest);
    CHECK(nodes.size() > last_nodes);
    // What one more block keeps is what the cost model says.
    if (lowest.rfind("block", 0) == 0)
      CHECK(kept - last_kept == Approx(predicted - last_predicted).epsilon(0.1));
    last_kept = kept;
    last_predicted = predicted;
    last_nodes = nodes.size();
  }
}

namespace {

/// The tiny data for a small ResNet that answers them.
struct ResnetFixture {
  test::TempDir dir;
  Manifest manifest = test::write_tiny_data(dir / "data");
  Model model = [] {
    Model made = test::tiny_resnet(false, 5);
    made.relabel(test::tiny_config().labels, 5);
    return made;
  }();
  test::Answers data = test::answers(manifest, test::examples_of(manifest, "ct", "train"),
                                     model.blueprint(), test::tiny_tokenizer());

  /// The names of the buffers that two models have different.
  static std::set<std::string> moved(const Model& a, const Model& b) {
    std::set<std::string> names;
    for (const models::Parameter& buffer : a.blueprint().buffers())
      if (!same_bits(a.weight(buffer.name), b.weight(buffer.name))) names.insert(buffer.name);
    return names;
  }
};

}  // namespace

TEST_CASE_METHOD(ResnetFixture,
                 "the statistics of the BatchNorms that are trained move, and no others") {
  TrainingOptions options = local_config().training;
  options.batch_size = 4;
  std::set<std::string> own;  // counters stay shared, as among the models of a process
  for (const models::Parameter& parameter : model.blueprint().parameters())
    own.insert(parameter.name);
  for (const models::Parameter& buffer : model.blueprint().buffers()) {
    if (buffer.counter) {
      model.weight(buffer.name).fill_(5);
    } else {
      own.insert(buffer.name);
    }
  }
  const auto trained = [&](models::Buffers policy, const std::vector<std::string>& units) {
    Model mine = model.clone(own);
    mine.set_units(models::stage_units(mine.blueprint(), policy));
    train(mine, *data, units, 3, options, 7, {}, 2);
    return mine;
  };
  CHECK(moved(model, trained(models::Buffers::kFrozen, {"block.0", "head"})).empty());
  CHECK(moved(model, trained(models::Buffers::kAverage, {"head"})).empty());
  const Model one = trained(models::Buffers::kAverage, {"block.1", "head"});
  std::set<std::string> expected;
  for (const std::string& name : one.unit("block.1").buffers) {
    expected.insert(name);
    const std::string& layer = one.blueprint().layer_of(name).name;
    expected.insert(layer + ".num_batches_tracked");
  }
  REQUIRE(expected.size() > 3);
  CHECK(moved(model, one) == expected);
  // A count in memory of its own: nobody else's model has it.
  const std::string count = *std::find_if(expected.begin(), expected.end(), [](const auto& name) {
    return name.find("num_batches") != std::string::npos;
  });
  CHECK(one.weight(count).item<std::int64_t>() == 8);
  CHECK(model.weight(count).item<std::int64_t>() == 5);
  // The same steps by hand: three batches through the model with these norms in training mode.
  CHECK(
      same_bits(one.weight(*expected.begin()),
                trained(models::Buffers::kAverage, {"block.1", "head"}).weight(*expected.begin())));
}
