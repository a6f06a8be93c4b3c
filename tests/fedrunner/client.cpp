#include "fedrunner/client.h"

#include "catch.h"
#include "fedrunner/tiny.h"
#include "strata/core/error.h"

using namespace strata;
using namespace strata::fedrunner;
using Catch::Matchers::Contains;

namespace {

/// The client ct, with 8 training and 4 test rows, in a process with one workspace.
struct Fixture {
  test::TempDir dir;
  data::Manifest manifest = test::write_tiny_data(dir / "data");
  models::Model model = test::make_model(test::tiny_config(), 3);
  FederatedClient examples{"ct", tensors("train"), tensors("test")};
  Scorer scorer = test::tiny_tools().score;
  std::string base = "base";
  std::set<std::string> trained = weights_of({"block.0", "block.1", "head"});
  Workspaces workspaces{model, trained, 1};
  Client client{examples, workspaces, scorer, base};

  test::Answers tensors(const std::string& split) const {
    return test::answers(manifest, test::examples_of(manifest, "ct", split), test::tiny_config(),
                         test::tiny_tokenizer());
  }
  std::set<std::string> weights_of(const std::vector<std::string>& units) const {
    std::set<std::string> names;
    for (const auto& unit : units) {
      const auto& parameters = model.unit(unit).parameters;
      names.insert(parameters.begin(), parameters.end());
    }
    return names;
  }
  /// The state of the foundation, every weight times `scale`.
  std::shared_ptr<const ModelState> state(double scale = 1) const {
    ModelState state;
    for (const auto& name : trained) state[name] = model.weight(name).detach() * scale;
    return std::make_shared<const ModelState>(state);
  }
  Order order(const Work& work, const std::vector<std::string>& units, double scale = 1) const {
    return {"run", 3, "ct", units, base, state(scale), work};
  }
  Order training(std::uint64_t seed = 5, double scale = 1) const {
    TrainWork work;
    work.local.steps = 2;
    work.local.training.batch_size = 3;
    work.local.training.learning_rate = 0.01;
    work.seed = seed;
    return order(work, {"block.1", "head"}, scale);
  }
};

/// The reply's bytes without what is measured.
std::string bytes(Reply reply) {
  if (auto* update = std::get_if<ClientUpdate>(&reply.result)) {
    update->seconds = 0;
    update->peak_memory.reset();
  }
  return encode(reply);
}

}  // namespace

TEST_CASE_METHOD(Fixture, "a client says how much data it has, and which unit its model lacks") {
  Order hello = order(HelloWork(), {"block.0", "head"});
  const Reply reply = client.serve(hello);
  CHECK(reply.order == hello.id());
  CHECK(reply.client == "ct");
  CHECK(std::get<HelloResult>(reply.result).train_samples == 8);
  CHECK(std::get<HelloResult>(reply.result).test_samples == 4);
  hello.units.push_back("block.9");
  CHECK_THROWS_WITH(client.serve(hello), Contains("block.9"));
}

TEST_CASE_METHOD(Fixture, "orders of others, for another foundation or another model are refused") {
  Order other = training();
  other.client = "mri";
  CHECK_THROWS_WITH(client.serve(other), "an order for client mri has come to client ct");
  CHECK_THROWS_AS(client.serve(other), InputError);
  other = training();
  other.base = "other";
  CHECK_THROWS_WITH(client.serve(other), "client ct has another foundation than the order is for");
  // A weight of one number would be stretched to any shape.
  for (const Work& work : {training().work, Work(ScoreWork{"lntk", 4, 1}), Work(EvaluateWork())}) {
    for (const char* name : {"classifier.3.bias", "classifier.9.bias"}) {
      ModelState state = *training().state;
      state[name] = torch::ones({1});
      Order wrong = order(work, {"head"});
      wrong.state = std::make_shared<const ModelState>(state);
      CHECK_THROWS_WITH(client.serve(wrong), std::string("client ct has no weight ") + name +
                                                 " of the shape that the order has");
    }
  }
}

TEST_CASE_METHOD(Fixture, "the same order gives the same bytes, whatever was done in between") {
  const std::vector<Order> orders = {training(5),
                                     order(ScoreWork{"lntk", 4, 1}, {"block.0", "block.1"}, 1.5),
                                     order(EvaluateWork(), {}, 0.5), training(6, 2)};
  std::vector<std::string> alone;
  for (const auto& asked : orders) {
    Workspaces fresh(model, trained, 1);
    alone.push_back(bytes(Client(examples, fresh, scorer, base).serve(asked)));
  }
  for (const std::size_t i : {3u, 0u, 2u, 1u, 2u, 0u, 3u, 1u}) {
    INFO("order " << i);
    CHECK(bytes(client.serve(orders[i])) == alone[i]);
  }
  CHECK(std::set<std::string>(alone.begin(), alone.end()).size() == 4);
  // Neither the foundation nor the order's state has changed.
  for (const auto& [name, weight] : *orders[0].state)
    CHECK(test::same_bits(weight, model.weight(name)));
}

TEST_CASE_METHOD(Fixture, "what a client sends answers the order, trained on its own state") {
  const Order asked = training(5, 1.5);
  const Reply reply = client.serve(asked);
  CHECK_NOTHROW(check_reply(reply, asked, {model.units(), 8}));
  const auto& update = std::get<ClientUpdate>(reply.result);
  CHECK(update.steps == 2);
  models::Model workspace = model.clone();
  const auto expected = train_client(workspace, *asked.state, examples, asked.units,
                                     {std::get<TrainWork>(asked.work).local, 5});
  CHECK(update.train_loss == expected.train_loss);
  for (const auto& [name, weight] : expected.weights)
    CHECK(test::same_bits(weight, update.weights.at(name)));
  // Without units there is nothing to do, and nothing to send.
  Order nothing = asked;
  nothing.units.clear();
  CHECK(client.serve(nothing).result.index() == 0);
  Order share = asked;
  std::get<TrainWork>(share.work).share = 0.5;
  CHECK(std::get<ClientUpdate>(client.serve(share).result).steps == 1);
}

TEST_CASE_METHOD(Fixture, "weights that an order freezes are neither trained nor sent") {
  Order asked = training();
  const auto whole = std::get<ClientUpdate>(client.serve(asked).result);
  const std::string kept = "classifier.3.weight";
  std::get<TrainWork>(asked.work).frozen = {kept};
  const Reply reply = client.serve(asked);
  CHECK_NOTHROW(check_reply(reply, asked, {model.units(), 8}));
  const auto& update = std::get<ClientUpdate>(reply.result);
  CHECK(update.weights.count(kept) == 0);
  CHECK(update.weights.size() + 1 == whole.weights.size());
  // Over a weight that does not move, the others go elsewhere.
  CHECK_FALSE(test::same_bits(update.weights.at("classifier.3.bias"),
                              whole.weights.at("classifier.3.bias")));
  // The next order trains it again.
  std::get<TrainWork>(asked.work).frozen.clear();
  CHECK(test::same_bits(std::get<ClientUpdate>(client.serve(asked).result).weights.at(kept),
                        whole.weights.at(kept)));
  for (const auto& wrong :
       {std::string("classifier.9.weight"), model.unit("block.0").parameters[0]}) {
    std::get<TrainWork>(asked.work).frozen = {wrong};
    CHECK_THROWS_WITH(
        client.serve(asked),
        "client ct has no weight " + wrong + " in the order's units that it could leave as it is");
    CHECK_THROWS_AS(client.serve(asked), InputError);
  }
}

TEST_CASE_METHOD(Fixture, "an evaluation is that of the order's state on the client's test rows") {
  models::Model scaled = model.clone();
  scaled.load_state(*state(1.5));
  std::vector<bool> right;
  const tasks::Task& task = test::answering();
  const Tally expected = task.evaluate(scaled, *examples.test, &right);
  const auto reply = client.serve(order(EvaluateWork(), {}, 1.5));
  const auto& result = std::get<EvaluateResult>(reply.result);
  CHECK(result.tally.size() == expected.size());
  for (const auto& [name, sum] : expected) {
    INFO(name);
    CHECK(result.tally.of(name).sum == sum.sum);
    CHECK(result.tally.of(name).weight == sum.weight);
  }
  CHECK(result.tally.of("loss").weight == 4);
  CHECK(result.right == right);
  CHECK(result.majority == task.majority_right(*examples.train, *examples.test));
  examples.test.reset();
  const auto none = client.serve(order(EvaluateWork(), {}));
  CHECK(std::get<EvaluateResult>(none.result).tally.empty());
  CHECK(std::get<EvaluateResult>(none.result).majority.empty());
}

TEST_CASE_METHOD(Fixture,
                 "a score that fails names the round and the client, and stays of its kind") {
  const Order asked = order(ScoreWork{"lntk", 4, 1}, {"block.0"});
  scorer = [](const models::Model&, const tasks::Dataset&, const std::vector<std::string>&,
              const ScoreRequest& request) -> std::vector<double> {
    CHECK(request.metric == "lntk");
    CHECK(request.samples == 4);
    CHECK(request.seed == 1);
    CHECK(request.client == "ct");
    throw WorkError("no eigenvalue");
  };
  CHECK_THROWS_WITH(client.serve(asked), "round 3, client ct: no eigenvalue");
  CHECK_THROWS_AS(client.serve(asked), WorkError);
  scorer = [](const models::Model&, const tasks::Dataset&, const std::vector<std::string>&,
              const ScoreRequest&) -> std::vector<double> { throw InputError("no image"); };
  CHECK_THROWS_WITH(client.serve(asked), "round 3, client ct: no image");
  CHECK_THROWS_AS(client.serve(asked), InputError);
}
