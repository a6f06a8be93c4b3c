#include "fedrunner/lora_rules/lora_rules.h"

#include <algorithm>
#include <cmath>

#include "catch.h"
#include "fedrunner/aggregation.h"
#include "fedrunner/lora_pairs.h"
#include "fedrunner/tiny.h"

using namespace strata;
using namespace strata::fedrunner;
using test::same_bits;
using torch::Tensor;

namespace {

const std::string kA = "query.lora_A.weight", kB = "query.lora_B.weight", kBase = "query.weight";
const std::vector<peft::FactorPair> kPairs = {{kA, kB, kBase, 4}};
const Unit kUnit{.name = "lora.0", .parameters = {kA, kB, "other"}};

ClientUpdate update(const std::string& client, std::int64_t samples, const ModelState& weights) {
  ClientUpdate update;
  update.client = client;
  update.samples = samples;
  update.units = {"lora.0"};
  update.weights = weights;
  return update;
}

/// Of rank 2, on a layer from 7 to 5 numbers, by 10, 30 and 50 samples.
std::vector<ClientUpdate> uploads(const ModelState& in_place = {}) {
  torch::manual_seed(4);
  std::vector<ClientUpdate> updates;
  for (int i = 0; i < 3; ++i) {
    ModelState weights = {{kA, torch::randn({2, 7})},
                          {kB, torch::randn({5, 2})},
                          {"other", torch::full({3}, static_cast<float>(i))}};
    for (const auto& [name, weight] : in_place) weights[name] = weight;
    updates.push_back(update("client-" + std::to_string(i), 10 + 20 * i, weights));
  }
  return updates;
}

ModelState global() {
  torch::manual_seed(9);
  return {{kA, torch::randn({2, 7})},
          {kB, torch::randn({5, 2})},
          {kBase, torch::randn({5, 7})},
          {"other", torch::ones({3})}};
}

AggregationOptions by(LoraAverage rule) {
  AggregationOptions options;
  options.lora = rule;
  return options;
}

Aggregated aggregate(ModelState& state, const std::vector<ClientUpdate>& updates,
                     const AggregationOptions& options, const Unit& unit = kUnit) {
  ServerMoments moments;
  return strata::fedrunner::aggregate(state, {unit}, updates, options, kPairs, moments,
                                      [](const std::string& name) {
                                        return torch::full({2, 7}, name == kA ? 0.5f : 9.0f);
                                      });
}

Tensor product(const ModelState& state) {
  return torch::matmul(state.at(kB).to(torch::kDouble), state.at(kA).to(torch::kDouble));
}

/// Σ share · B A.
Tensor mean_product(const std::vector<ClientUpdate>& updates) {
  Tensor sum;
  double samples = 0;
  for (const auto& update : updates) {
    const Tensor part = product(update.weights) * static_cast<double>(update.samples);
    sum = sum.defined() ? sum + part : part;
    samples += static_cast<double>(update.samples);
  }
  return sum / samples;
}

double distance(const Tensor& a, const Tensor& b) {
  return (a - b).norm().item<double>();
}

/// What the layer multiplies by: the base's weight and 4 B A.
Tensor effective(const ModelState& state) {
  return state.at(kBase).to(torch::kDouble) + 4 * product(state);
}

}  // namespace

TEST_CASE("every name is of a rule, which is that of its value") {
  for (const auto& name : experiment::lora_averages().names()) {
    const auto value = experiment::lora_averages().value(name);
    CHECK(lora_rule(value).value == value);
  }
}

TEST_CASE("factors: the drift is how far the product of averages is from the average product") {
  const auto sent = uploads();
  auto state = global();
  const auto done = aggregate(state, sent, by(LoraAverage::kFactors));
  // By hand: (10 · 0 + 30 · 1 + 50 · 2) / 90.
  CHECK(torch::allclose(state.at("other"), torch::full({3}, 130.0f / 90)));
  Tensor a = torch::zeros({2, 7}), b = torch::zeros({5, 2});
  for (const auto& upload : sent) {
    a += upload.weights.at(kA) * (static_cast<double>(upload.samples) / 90);
    b += upload.weights.at(kB) * (static_cast<double>(upload.samples) / 90);
  }
  CHECK(torch::allclose(state.at(kA), a));
  CHECK(torch::allclose(state.at(kB), b));
  const Tensor exact = mean_product(sent);
  REQUIRE(done.losses.size() == 1);
  CHECK(done.rule == LoraAverage::kFactors);
  CHECK(done.losses[0].pair == kBase);
  CHECK(done.losses[0].loss ==
        Approx(distance(exact, product(state)) / exact.norm().item<double>()).epsilon(1e-6));
  CHECK(done.losses[0].loss > 0.1);

  // A pair that is still 0 has lost nothing, nor has one client's, nor equal ones.
  CHECK(aggregate(state, uploads({{kB, torch::zeros({5, 2})}}), by(LoraAverage::kFactors))
            .losses[0]
            .loss == 0);
  CHECK(aggregate(state, {sent[1]}, by(LoraAverage::kFactors)).losses[0].loss == 0);
  CHECK(aggregate(state, uploads({{kA, a}, {kB, b}}), by(LoraAverage::kFactors)).losses[0].loss <
        1e-12);
  // Without the pair, and without an update, there is nothing to tell.
  CHECK(aggregate(state, {}, by(LoraAverage::kFactors)).losses.empty());
  ServerMoments moments;
  CHECK(strata::fedrunner::aggregate(state, {kUnit}, sent, {}, {}, moments).losses.empty());
}

TEST_CASE("factors: the drift does not depend on the server's optimizer, nor it on the drift") {
  auto options = by(LoraAverage::kFactors);
  options.optimizer = ServerOptimizer::kMomentum;
  options.learning_rate = 0.5;
  const auto sent = uploads();
  auto state = global(), plain = global();
  const auto done = aggregate(state, sent, options);
  CHECK(done.losses[0].loss == aggregate(plain, sent, by(LoraAverage::kFactors)).losses[0].loss);
  // Half of the way to (10 A₀ + 30 A₁ + 50 A₂) / 90, and likewise for B.
  for (const auto& name : {kA, kB}) {
    const Tensor mean = (10 * sent[0].weights.at(name) + 30 * sent[1].weights.at(name) +
                         50 * sent[2].weights.at(name)) /
                        90;
    CHECK(torch::allclose(state.at(name), (global().at(name) + mean) / 2, 1e-4, 1e-6));
  }
}

TEST_CASE("product: the cut is the share of energy beyond the rank") {
  const auto sent = uploads();
  auto state = global();
  const auto done = aggregate(state, sent, by(LoraAverage::kProduct));
  const Tensor energy = torch::linalg_svdvals(mean_product(sent)).square();
  REQUIRE(done.losses.size() == 1);
  CHECK(done.losses[0].loss ==
        Approx((energy.narrow(0, 2, 3).sum() / energy.sum()).item<double>()).epsilon(1e-9));
  CHECK(done.losses[0].loss > 0.01);
  CHECK(aggregate(state, {sent[0]}, by(LoraAverage::kProduct)).losses[0].loss == 0);
  CHECK(aggregate(state, uploads({{kB, torch::zeros({5, 2})}}), by(LoraAverage::kProduct))
            .losses[0]
            .loss == 0);
}

TEST_CASE("product: of pairs of full rank the global pair is the exact mean of products") {
  torch::manual_seed(6);
  std::vector<ClientUpdate> sent;
  for (int i = 0; i < 3; ++i) {
    sent.push_back(update(
        "client-" + std::to_string(i), 5 + i,
        {{kA, torch::randn({5, 7})}, {kB, torch::randn({5, 5})}, {"other", torch::ones({3})}}));
  }
  auto state = global();
  state[kA] = torch::randn({5, 7});
  state[kB] = torch::randn({5, 5});
  const auto done = aggregate(state, sent, by(LoraAverage::kProduct));
  CHECK(distance(product(state), mean_product(sent)) <
        1e-5 * mean_product(sent).norm().item<double>());
  CHECK(done.losses[0].loss == 0);
}

TEST_CASE("ffa: A stays, and B's average is exact") {
  auto state = global();
  const Tensor a = state.at(kA);
  auto sent = uploads({{kA, a}});
  const Tensor exact = mean_product(sent);
  for (auto& upload : sent) upload.weights.erase(kA);
  const Unit unit{.name = "lora.0", .parameters = {kB, "other"}};
  const auto done = aggregate(state, sent, by(LoraAverage::kFfa), unit);
  CHECK(same_bits(state.at(kA), a));
  // By hand: (10 B₀ + 30 B₁ + 50 B₂) / 90.
  const Tensor b = (10 * sent[0].weights.at(kB).to(torch::kDouble) +
                    30 * sent[1].weights.at(kB).to(torch::kDouble) +
                    50 * sent[2].weights.at(kB).to(torch::kDouble)) /
                   90;
  CHECK(same_bits(state.at(kB), b.to(torch::kFloat32)));
  CHECK(distance(product(state), exact) < 1e-6 * exact.norm().item<double>());
  CHECK(done.losses.empty());
}

TEST_CASE("rolora: the factor that is frozen stays, and the other's average is exact") {
  for (const bool first : {true, false}) {
    INFO(first);
    auto state = global();
    const std::string frozen = first ? kA : kB, trained = first ? kB : kA;
    const Tensor kept = state.at(frozen);
    auto sent = uploads({{frozen, kept}});
    const Tensor exact = mean_product(sent);
    for (auto& upload : sent) upload.weights.erase(frozen);
    ServerMoments moments;
    const auto done = strata::fedrunner::aggregate(state, {kUnit}, sent, by(LoraAverage::kRolora),
                                                   kPairs, moments);
    CHECK(same_bits(state.at(frozen), kept));
    CHECK(distance(product(state), exact) < 1e-6 * exact.norm().item<double>());
    CHECK_FALSE(same_bits(state.at(trained), global().at(trained)));
    CHECK(torch::allclose(state.at("other"), torch::full({3}, 130.0f / 90)));
    CHECK(done.losses.empty());
  }
  // A frozen factor keeps its moments, too.
  auto options = by(LoraAverage::kRolora);
  options.optimizer = ServerOptimizer::kMomentum;
  auto state = global();
  ServerMoments moments;
  auto sent = uploads();
  for (auto& upload : sent) upload.weights.erase(kA);
  strata::fedrunner::aggregate(state, {kUnit}, sent, options, kPairs, moments);
  CHECK(moments.first.count(kA) == 0);
  CHECK(moments.first.count(kB) == 1);
}

TEST_CASE("rolora: B is trained first, and then in turns") {
  const LoraRule& rule = lora_rule(LoraAverage::kRolora);
  for (const int round : {1, 3, 11}) CHECK(rule.frozen(round) == Factor::kFirst);
  for (const int round : {2, 4, 12}) CHECK(rule.frozen(round) == Factor::kSecond);
}

TEST_CASE("fedsa: A is averaged, B is nobody's but the client's") {
  auto state = global();
  const Tensor b = state.at(kB);
  auto sent = uploads();
  // (10 A₀ + 30 A₁ + 50 A₂) / 90
  const Tensor a = (10 * sent[0].weights.at(kA).to(torch::kDouble) +
                    30 * sent[1].weights.at(kA).to(torch::kDouble) +
                    50 * sent[2].weights.at(kA).to(torch::kDouble)) /
                   90;
  for (auto& upload : sent) upload.weights.erase(kB);
  Unit unit = kUnit;
  unit.local = {kB};
  const auto done = aggregate(state, sent, by(LoraAverage::kFedsa), unit);
  CHECK(same_bits(state.at(kB), b));
  CHECK(same_bits(state.at(kA), a.to(torch::kFloat32)));
  CHECK(done.losses.empty());
}

namespace {

/// 1 − cos(ΔW, B Ā) + 0.01 ‖B − B̄‖, as the paper has it.
Tensor fair_objective(const std::vector<ClientUpdate>& sent, const ModelState& means,
                      const Tensor& b) {
  const Tensor wanted = mean_product(sent), a = means.at(kA).to(torch::kDouble);
  const Tensor found = torch::matmul(b, a);
  return 1 - (wanted * found).sum() / (wanted.norm() * found.norm()) +
         0.01 * (b - means.at(kB).to(torch::kDouble)).norm();
}

}  // namespace

TEST_CASE("fair: B is where its paper's objective is least, A the average") {
  const auto sent = uploads();
  auto means = global(), state = global();
  const auto drifted = aggregate(means, sent, by(LoraAverage::kFactors));
  const auto done = aggregate(state, sent, by(LoraAverage::kFair));
  CHECK(same_bits(state.at(kA), means.at(kA)));
  CHECK(torch::equal(state.at("other"), means.at("other")));
  const auto value = [&](const Tensor& b) { return fair_objective(sent, means, b).item<double>(); };
  const Tensor b = state.at(kB).to(torch::kDouble);
  const double least = value(b);
  CHECK(least < value(means.at(kB).to(torch::kDouble)) - 0.01);
  // There is no slope, and everywhere around it is higher.
  const Tensor leaf = b.clone().requires_grad_(true);
  fair_objective(sent, means, leaf).backward();
  CHECK(leaf.grad().norm().item<double>() < 1e-6);
  torch::manual_seed(12);
  for (int i = 0; i < 200; ++i)
    CHECK(value(b + std::pow(10.0, -i % 4) * torch::randn({5, 2}, torch::kDouble)) > least - 1e-12);
  REQUIRE(done.losses.size() == 1);
  CHECK(done.losses[0].loss == Approx(distance(mean_product(sent), product(state)) /
                                      mean_product(sent).norm().item<double>())
                                   .epsilon(1e-6));
  CHECK(done.losses[0].loss < drifted.losses[0].loss);
}

TEST_CASE("fair: of rank 1 and two rows it is the best of a fine grid") {
  // One row of A, so that the angle of B (2 × 1) is all there is to choose.
  const auto sent = [](float x, float y) {
    std::vector<ClientUpdate> updates;
    updates.push_back(update("a", 1,
                             {{kA, torch::tensor({{1.0f, 0.0f}})},
                              {kB, torch::tensor({{1.0f}, {0.0f}})},
                              {"other", torch::ones({3})}}));
    updates.push_back(update("b", 1,
                             {{kA, torch::tensor({{x, y}})},
                              {kB, torch::tensor({{0.0f}, {1.0f}})},
                              {"other", torch::ones({3})}}));
    return updates;
  };
  const ModelState begin = {{kA, torch::zeros({1, 2})},
                            {kB, torch::zeros({2, 1})},
                            {kBase, torch::zeros({2, 2})},
                            {"other", torch::ones({3})}};
  auto state = begin, means = begin;
  // A's average is (1.5, 0), B's (.5, .5), and B A's ½ (1, 2)ᵀ (1, 0): B is to turn towards (1, 2).
  aggregate(state, sent(2, 0), by(LoraAverage::kFair));
  aggregate(means, sent(2, 0), by(LoraAverage::kFactors));
  double least = 2;
  Tensor best;
  for (int i = 0; i <= 400; ++i) {
    for (int k = 0; k <= 400; ++k) {
      const double x = 0.25 + 0.001 * i, y = 0.25 + 0.001 * k;
      const double cosine = (x + 2 * y) / (std::sqrt(5.0) * std::hypot(x, y));
      const double value = 1 - cosine + 0.01 * std::hypot(x - 0.5, y - 0.5);
      if (value < least) least = value, best = torch::tensor({{x}, {y}}, torch::kDouble);
    }
  }
  CHECK((state.at(kB).to(torch::kDouble) - best).abs().max().item<double>() < 0.0011);
  CHECK(state.at(kB)[1].item<float>() > state.at(kB)[0].item<float>() + 0.05);
}

TEST_CASE("fair: where there is nothing to correct the averages stay, bit for bit") {
  auto fair = global(), means = global();
  const auto same = [&](const std::vector<ClientUpdate>& sent) {
    const auto done = aggregate(fair, sent, by(LoraAverage::kFair));
    aggregate(means, sent, by(LoraAverage::kFactors));
    return same_bits(fair.at(kB), means.at(kB)) && same_bits(fair.at(kA), means.at(kA)) &&
           done.losses.size() == 1;
  };
  CHECK(same({uploads()[1]}));
  CHECK(same(uploads({{kB, torch::zeros({5, 2})}})));
  CHECK(same(uploads({{kA, torch::zeros({2, 7})}})));
  // Of one A the product of averages is exact, and no direction falls.
  CHECK(same(uploads({{kA, global().at(kA)}})));
  CHECK_FALSE(same(uploads()));
  // Averages of 0 have no angle to any product.
  auto opposite = uploads();
  opposite.pop_back();
  opposite[0].samples = opposite[1].samples = 10;
  opposite[1].weights = opposite[0].weights;
  opposite[1].weights[kA] = -opposite[0].weights[kA];
  opposite[1].weights[kB] = -opposite[0].weights[kB];
  CHECK(same(opposite));
  CHECK(torch::isfinite(fair.at(kB)).all().item<bool>());
}

TEST_CASE("fedex: averages, and the base takes up what they lose of the mean of products") {
  const auto sent = uploads();
  auto state = global(), means = global();
  const Tensor exact = global().at(kBase).to(torch::kDouble) + 4 * mean_product(sent);
  const auto done = aggregate(state, sent, by(LoraAverage::kFedex));
  aggregate(means, sent, by(LoraAverage::kFactors));
  CHECK(same_bits(state.at(kA), means.at(kA)));
  CHECK(same_bits(state.at(kB), means.at(kB)));
  CHECK(same_bits(means.at(kBase), global().at(kBase)));
  CHECK(distance(effective(state), exact) < 1e-6 * exact.norm().item<double>());
  CHECK(distance(effective(means), exact) > 0.1 * exact.norm().item<double>());
  CHECK(state.at(kBase).scalar_type() == torch::kFloat32);
  CHECK(done.losses.empty());
  // It is there again in the next round, on top of what the base is by then.
  const Tensor again = state.at(kBase).to(torch::kDouble) + 4 * mean_product(sent);
  aggregate(state, sent, by(LoraAverage::kFedex));
  CHECK(distance(effective(state), again) < 1e-6 * again.norm().item<double>());
  // One client's pair is its own, and leaves the base its bits; so does a round without any.
  for (const auto& few : {std::vector<ClientUpdate>{sent[1]}, std::vector<ClientUpdate>()}) {
    state = global();
    aggregate(state, few, by(LoraAverage::kFedex));
    CHECK(same_bits(state.at(kBase), global().at(kBase)));
    CHECK(same_bits(state.at(kA), (few.empty() ? global() : sent[1].weights).at(kA)));
  }
}

TEST_CASE("flora: the mean of products goes into the base, and the pair begins anew") {
  for (const std::size_t clients : {3u, 1u}) {
    auto sent = uploads();
    sent.resize(clients);
    auto state = global();
    const Tensor exact = global().at(kBase).to(torch::kDouble) + 4 * mean_product(sent);
    const auto done = aggregate(state, sent, by(LoraAverage::kFlora));
    CHECK(distance(state.at(kBase).to(torch::kDouble), exact) < 1e-6 * exact.norm().item<double>());
    CHECK(distance(effective(state), exact) < 1e-6 * exact.norm().item<double>());
    CHECK(torch::equal(state.at(kB), torch::zeros({5, 2})));
    CHECK(torch::equal(state.at(kA), torch::full({2, 7}, 0.5f)));
    CHECK(done.losses.empty());
  }
  auto state = global();
  aggregate(state, {}, by(LoraAverage::kFlora));
  for (const auto& [name, weight] : global()) CHECK(same_bits(state.at(name), weight));
}

TEST_CASE("fedex, flora: a base that is trained, too, is averaged before it grows") {
  // The pair stands before its base in one unit, behind it in the other.
  for (const auto& names :
       {std::vector<std::string>{kA, kB, kBase}, std::vector<std::string>{kBase, kA, kB}}) {
    for (const LoraAverage rule : {LoraAverage::kFedex, LoraAverage::kFlora}) {
      auto sent = uploads();
      Tensor mean = torch::zeros({5, 7}, torch::kDouble);
      for (auto& upload : sent) {
        upload.weights[kBase] = torch::randn({5, 7});
        mean += upload.weights.at(kBase).to(torch::kDouble) *
                (static_cast<double>(upload.samples) / 90);
      }
      const Tensor exact = mean + 4 * mean_product(sent);
      auto state = global();
      aggregate(state, sent, by(rule), {.name = "lora.0", .parameters = names});
      CHECK(distance(effective(state), exact) < 1e-6 * exact.norm().item<double>());
    }
  }
}

TEST_CASE("of every rule the order of the clients does not matter to the last bit") {
  for (const auto& name : experiment::lora_averages().names()) {
    INFO(name);
    const auto rule = experiment::lora_averages().value(name);
    auto sent = uploads();
    auto first = global(), second = global();
    const auto one = aggregate(first, sent, by(rule));
    std::reverse(sent.begin(), sent.end());
    std::swap(sent[0], sent[1]);
    const auto other = aggregate(second, sent, by(rule));
    for (const auto& [weight, tensor] : first) CHECK(same_bits(tensor, second.at(weight)));
    REQUIRE(one.losses.size() == other.losses.size());
    for (std::size_t i = 0; i < one.losses.size(); ++i)
      CHECK(one.losses[i].loss == other.losses[i].loss);
    // And it is not the order that they came in that names them.
    for (const auto& use : other.uses)
      CHECK(use.clients == std::vector<std::string>{"client-0", "client-1", "client-2"});
  }
}

TEST_CASE("a convolution's pair is averaged as the same numbers of a linear layer's") {
  // A (2, 7) as a window of 7 × 1, B (5, 2) as one of 1 × 1.
  const auto widened = [](ModelState state) {
    for (const auto& [name, shape] : std::map<std::string, std::vector<std::int64_t>>{
             {kA, {2, 1, 7, 1}}, {kB, {5, 2, 1, 1}}, {kBase, {5, 1, 7, 1}}}) {
      if (state.count(name)) state[name] = state.at(name).view(shape);
    }
    return state;
  };
  for (const auto& name : experiment::lora_averages().names()) {
    INFO(name);
    const auto rule = experiment::lora_averages().value(name);
    const auto sent = uploads();
    auto maps = sent;
    for (auto& upload : maps) upload.weights = widened(upload.weights);
    auto linear = global(), convolution = widened(global());
    aggregate(linear, sent, by(rule));
    aggregate(convolution, maps, by(rule));
    for (const auto& [weight, tensor] : widened(linear)) {
      INFO(weight);
      REQUIRE(convolution.at(weight).sizes() == tensor.sizes());
      CHECK(same_bits(tensor, convolution.at(weight)));
    }
  }
}

namespace {

/// Of ranks 1, 2 and 3, by 10, 30 and 50 samples.
std::vector<ClientUpdate> mixed() {
  auto sent = uploads();
  for (int i = 0; i < 3; ++i) {
    sent[static_cast<std::size_t>(i)].weights[kA] = torch::randn({i + 1, 7});
    sent[static_cast<std::size_t>(i)].weights[kB] = torch::randn({5, i + 1});
  }
  return sent;
}

/// Its pair has rank 4, of which nobody has the last.
ModelState wide() {
  auto state = global();
  state[kA] = torch::randn({4, 7});
  state[kB] = torch::randn({5, 4});
  return state;
}

Aggregated merge_mixed(ModelState& state, const std::vector<ClientUpdate>& updates,
                       const AggregationOptions& options, ServerMoments moments = {}) {
  return strata::fedrunner::aggregate(
      state, {kUnit}, updates, options, kPairs, moments,
      [](const std::string&) {
        return torch::full({4, 7}, 0.5f);
      },
      true);
}

Tensor row(const ModelState& weights, std::int64_t r) {
  return weights.at(kA)[r].to(torch::kDouble);
}
Tensor column(const ModelState& weights, std::int64_t r) {
  return weights.at(kB).select(1, r).to(torch::kDouble);
}

/// The product of the first rows of A and columns of B.
Tensor product_of(const ModelState& state, std::int64_t rank) {
  return torch::matmul(state.at(kB).slice(1, 0, rank).to(torch::kDouble),
                       state.at(kA).slice(0, 0, rank).to(torch::kDouble));
}
Tensor best_of_rank(const Tensor& matrix, std::int64_t rank) {
  const auto [u, s, vh] = torch::linalg_svd(matrix, false);
  return torch::matmul(u.slice(1, 0, rank) * s.slice(0, 0, rank), vh.slice(0, 0, rank));
}

}  // namespace

TEST_CASE("factors of mixed ranks: each row and column over those that have it") {
  const auto sent = mixed();
  const auto before = wide();
  auto state = before;
  const auto done = merge_mixed(state, sent, by(LoraAverage::kFactors));
  const auto &a = sent[0].weights, &b = sent[1].weights, &c = sent[2].weights;
  for (const auto& of : {row, column}) {
    const auto same = [&](std::int64_t r, const Tensor& wanted) {
      return same_bits(of(state, r).to(torch::kFloat32), wanted.to(torch::kFloat32));
    };
    CHECK(same(0, (of(a, 0) * 10 + of(b, 0) * 30 + of(c, 0) * 50) / 90));
    CHECK(same(1, (of(b, 1) * 30 + of(c, 1) * 50) / 80));
    CHECK(same(2, of(c, 2)));
    CHECK(same(3, of(before, 3)));
  }
  // The drift is of what was trained.
  const Tensor exact = mean_product(sent);
  CHECK(done.losses[0].loss ==
        Approx(distance(exact, product_of(state, 3)) / exact.norm().item<double>()).epsilon(1e-6));
  // Who has the first row alone leaves the others their bits; who has none, all of them.
  state = before;
  merge_mixed(state, {sent[0]}, by(LoraAverage::kFactors));
  CHECK(same_bits(state.at(kA)[0], sent[0].weights.at(kA)[0]));
  CHECK(same_bits(state.at(kA).slice(0, 1), before.at(kA).slice(0, 1)));
  auto none = sent[0];
  none.weights[kA] = torch::zeros({0, 7});
  none.weights[kB] = torch::zeros({5, 0});
  for (const auto& name : experiment::lora_averages().names()) {
    const auto rule = experiment::lora_averages().value(name);
    if (!lora_rule(rule).any_ranks) continue;
    INFO(name);
    auto alone = before, one = before, both = before;
    CHECK(merge_mixed(alone, {none}, by(rule)).losses.empty());
    CHECK(same_bits(alone.at(kA), before.at(kA)));
    CHECK(same_bits(alone.at(kB), before.at(kB)));
    merge_mixed(one, {sent[1]}, by(rule));
    merge_mixed(both, {none, sent[1]}, by(rule));
    CHECK(same_bits(both.at(kA), one.at(kA)));
    CHECK(same_bits(both.at(kB), one.at(kB)));
  }
}

TEST_CASE("factors of mixed ranks: what nobody sent keeps its bits, and its moments theirs") {
  for (const auto optimizer : {ServerOptimizer::kMomentum, ServerOptimizer::kAdam}) {
    auto options = by(LoraAverage::kFactors);
    options.optimizer = optimizer;
    options.learning_rate = 0.5;
    const auto sent = mixed();
    auto state = wide();
    ServerMoments moments;
    const auto round = [&](const std::vector<ClientUpdate>& updates) {
      strata::fedrunner::aggregate(state, {kUnit}, updates, options, kPairs, moments, nullptr,
                                   true);
    };
    const auto last = state.at(kA)[3].clone();
    round({sent[2]});
    CHECK(same_bits(state.at(kA)[3], last));
    const auto before = state;
    const auto kept = moments;
    CHECK(kept.first.at(kA)[2].abs().max().item<float>() > 0);
    round({sent[0]});
    CHECK_FALSE(same_bits(state.at(kA)[0], before.at(kA)[0]));
    CHECK(same_bits(state.at(kA).slice(0, 1), before.at(kA).slice(0, 1)));
    CHECK(same_bits(state.at(kB).slice(1, 1), before.at(kB).slice(1, 1)));
    CHECK_FALSE(same_bits(moments.first.at(kA)[0], kept.first.at(kA)[0]));
    CHECK(same_bits(moments.first.at(kA).slice(0, 1), kept.first.at(kA).slice(0, 1)));
    if (optimizer != ServerOptimizer::kAdam) continue;
    CHECK_FALSE(same_bits(moments.second.at(kA)[0], kept.second.at(kA)[0]));
    CHECK(same_bits(moments.second.at(kA).slice(0, 1), kept.second.at(kA).slice(0, 1)));
  }
}

TEST_CASE("product of mixed ranks: first rows and columns are the best of every rank") {
  const auto sent = mixed();
  auto state = wide();
  const auto done = merge_mixed(state, sent, by(LoraAverage::kProduct));
  const Tensor exact = mean_product(sent);
  const double size = exact.norm().item<double>();
  for (const std::int64_t rank : {1, 2, 3, 4})
    CHECK(distance(product_of(state, rank), best_of_rank(exact, rank)) < 1e-5 * size);
  const Tensor energy = torch::linalg_svdvals(exact).square();
  CHECK(done.losses[0].loss ==
        Approx((energy.narrow(0, 4, 1).sum() / energy.sum()).item<double>()).epsilon(1e-6));
}

TEST_CASE("product of few ranks: the product is exact, other rows stay and can be trained") {
  const auto sent = mixed();
  const auto before = wide();
  // Ranks 1 and 2 of 4, and rank 2 alone.
  for (const auto& few : {std::vector{sent[0], sent[1]}, std::vector{sent[1]}}) {
    auto state = before;
    const std::int64_t rank = few.size() == 2 ? 3 : 2;
    const auto done = merge_mixed(state, few, by(LoraAverage::kProduct));
    const Tensor exact = mean_product(few);
    const double size = exact.norm().item<double>();
    CHECK(distance(product(state), exact) < 1e-5 * size);
    CHECK(distance(product_of(state, 1), best_of_rank(exact, 1)) < 1e-5 * size);
    CHECK(same_bits(state.at(kA).slice(0, rank), before.at(kA).slice(0, rank)));
    CHECK(state.at(kB).slice(1, rank).abs().max().item<float>() == 0);
    CHECK(done.losses[0].loss < 1e-12);
  }
  // One whole pair is sorted, too, where others get a part of it.
  auto whole = sent[0];
  whole.weights[kA] = torch::randn({4, 7});
  whole.weights[kB] = torch::randn({5, 4});
  auto state = before;
  merge_mixed(state, {whole}, by(LoraAverage::kProduct));
  const Tensor exact = product(whole.weights);
  for (const std::int64_t rank : {1, 2, 3, 4})
    CHECK(distance(product_of(state, rank), best_of_rank(exact, rank)) <
          1e-5 * exact.norm().item<double>());
}

TEST_CASE("flora of mixed ranks: the mean of products is in the base, a whole pair begins anew") {
  for (const std::size_t clients : {3u, 1u}) {
    auto sent = mixed();
    sent.resize(clients);
    auto state = wide();
    const Tensor exact = state.at(kBase).to(torch::kDouble) + 4 * mean_product(sent);
    merge_mixed(state, sent, by(LoraAverage::kFlora));
    CHECK(distance(effective(state), exact) < 1e-6 * exact.norm().item<double>());
    CHECK(torch::equal(state.at(kB), torch::zeros({5, 4})));
    CHECK(torch::equal(state.at(kA), torch::full({4, 7}, 0.5f)));
  }
}

TEST_CASE("hetlora: pairs padded with 0, weighed by the norms of their products") {
  for (const bool same_ranks : {false, true}) {
    const auto sent = same_ranks ? uploads() : mixed();
    const std::int64_t most = same_ranks ? 2 : 3;
    const auto before = wide();
    auto state = before;
    const auto done = merge_mixed(state, sent, by(LoraAverage::kHetlora));
    Tensor a = torch::zeros({most, 7}, torch::kDouble), b = torch::zeros({5, most}, torch::kDouble);
    Tensor exact = torch::zeros({5, 7}, torch::kDouble);
    double all = 0;
    for (const auto& upload : sent) all += product(upload.weights).norm().item<double>();
    for (const auto& upload : sent) {
      const Tensor own = product(upload.weights);
      const double part = own.norm().item<double>() / all;
      const auto rank = upload.weights.at(kA).size(0);
      a.slice(0, 0, rank) += upload.weights.at(kA) * part;
      b.slice(1, 0, rank) += upload.weights.at(kB) * part;
      exact += own * part;
    }
    CHECK(torch::allclose(state.at(kA).slice(0, 0, most).to(torch::kDouble), a, 1e-6, 1e-6));
    CHECK(torch::allclose(state.at(kB).slice(1, 0, most).to(torch::kDouble), b, 1e-6, 1e-6));
    CHECK(same_bits(state.at(kA).slice(0, most), before.at(kA).slice(0, most)));
    CHECK(same_bits(state.at(kB).slice(1, most), before.at(kB).slice(1, most)));
    CHECK(done.losses[0].loss ==
          Approx(distance(exact, torch::matmul(b, a)) / exact.norm().item<double>()).epsilon(1e-6));
    // What is no pair is averaged by the samples.
    CHECK(torch::allclose(state.at("other"), torch::full({3}, 130.0f / 90)));
  }
  // Norms of 0 say nothing: the samples do. One client's pair is its own.
  auto zero = uploads({{kB, torch::zeros({5, 2})}});
  auto state = wide();
  merge_mixed(state, zero, by(LoraAverage::kHetlora));
  const Tensor mean =
      (row(zero[0].weights, 0) * 10 + row(zero[1].weights, 0) * 30 + row(zero[2].weights, 0) * 50) /
      90;
  CHECK(torch::allclose(row(state, 0), mean, 1e-6, 1e-6));
  const auto sent = mixed();
  CHECK(merge_mixed(state, {sent[1]}, by(LoraAverage::kHetlora)).losses[0].loss == 0);
  CHECK(same_bits(state.at(kA).slice(0, 0, 2), sent[1].weights.at(kA)));
  CHECK(same_bits(state.at(kB).slice(1, 0, 2), sent[1].weights.at(kB)));
}

TEST_CASE("of mixed ranks the order of the clients does not matter to the last bit") {
  for (const auto& name : experiment::lora_averages().names()) {
    const auto rule = experiment::lora_averages().value(name);
    if (!lora_rule(rule).any_ranks) continue;
    INFO(name);
    auto sent = mixed();
    const auto before = wide();
    auto first = before, second = before;
    const auto one = merge_mixed(first, sent, by(rule));
    std::reverse(sent.begin(), sent.end());
    std::swap(sent[0], sent[1]);
    const auto other = merge_mixed(second, sent, by(rule));
    for (const auto& [weight, tensor] : first) CHECK(same_bits(tensor, second.at(weight)));
    for (std::size_t i = 0; i < one.losses.size(); ++i)
      CHECK(one.losses[i].loss == other.losses[i].loss);
  }
}
