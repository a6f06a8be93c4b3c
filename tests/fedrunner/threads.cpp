#include "fedrunner/threads.h"

#include <mutex>

#include "catch.h"
#include "fedrunner/tiny.h"
#include "strata/core/error.h"

using namespace strata;
using namespace strata::fedrunner;

namespace {

struct Fixture {
  test::TempDir dir;
  data::Manifest manifest = test::write_tiny_data(dir / "data");
  models::Model model = test::make_model(test::tiny_config(), 3);
  std::vector<FederatedClient> clients;
  Scorer scorer = test::tiny_tools().score;
  GradientGram gram;
  std::string base = "base";
  std::set<std::string> trained;

  Fixture() {
    for (const char* name : {"ct", "mri", "oct"}) {
      const auto tensors = [&](const char* split) {
        return test::answers(manifest, test::examples_of(manifest, name, split),
                             test::tiny_config(), test::tiny_tokenizer());
      };
      clients.push_back({name, tensors("train"), tensors("test")});
    }
    const auto& head = model.unit("head").parameters;
    trained.insert(head.begin(), head.end());
  }

  std::vector<Order> orders(const Work& work) const {
    ModelState state;
    for (const auto& name : trained) state[name] = model.weight(name).detach();
    const bool hello = std::holds_alternative<HelloWork>(work);
    const auto shared = hello ? nullptr : std::make_shared<const ModelState>(state);
    std::vector<Order> orders;
    for (const auto& client : clients)
      orders.push_back({"run", 1, client.name, {"head"}, base, shared, work});
    return orders;
  }
  Work training() const {
    TrainWork work;
    work.local.steps = 3;
    work.local.training.batch_size = 3;
    work.local.training.learning_rate = 0.01;
    return work;
  }
  ThreadsCourier courier(const ThreadOptions& options) const {
    return {clients, {model, trained, scorer, base, gram}, options};
  }
};

std::vector<std::string> bytes(std::vector<Reply> replies) {
  std::vector<std::string> bytes;
  for (auto& reply : replies) {
    if (auto* update = std::get_if<ClientUpdate>(&reply.result)) {
      update->seconds = 0;
      update->peak_memory.reset();
    }
    bytes.push_back(encode(reply));
  }
  return bytes;
}

}  // namespace

TEST_CASE_METHOD(Fixture, "replies depend neither on how many work at a time nor on the messages") {
  auto one = courier({1, false});
  auto three = courier({3, false});
  auto many = courier({64, true});
  for (const Work& work :
       {Work(HelloWork()), Work(ScoreWork{"lntk", 4, 1}), training(), Work(EvaluateWork())}) {
    const auto asked = orders(work);
    const auto expected = bytes(one.exchange(asked, {}, {}));
    REQUIRE(expected.size() == 3);
    CHECK(bytes(three.exchange(asked, {}, {})) == expected);
    CHECK(bytes(many.exchange(asked, {}, {})) == expected);
  }
  // Memory is the process's, so it is measured where one client works at a time.
  const auto asked = orders(training());
  const auto measured = [](const Reply& reply) {
    return std::get<ClientUpdate>(reply.result).peak_memory.has_value();
  };
  CHECK(measured(one.exchange(asked, {}, {})[0]));
  CHECK_FALSE(measured(three.exchange(asked, {}, {})[0]));
}

TEST_CASE_METHOD(Fixture, "every order is reported once when its client has answered") {
  auto three = courier({3, false});
  std::multiset<std::string> answered;
  bool inside = false;
  three.exchange(orders(training()), {}, [&](const Order& order) {
    CHECK_FALSE(inside);
    inside = true;
    answered.insert(order.client);
    inside = false;
  });
  CHECK(answered == std::multiset<std::string>{"ct", "mri", "oct"});
}

TEST_CASE_METHOD(Fixture, "the error is that of the first order, and threads are the caller's") {
  at::set_num_threads(2);
  std::mutex mutex;
  std::set<int> threads;
  scorer = [&](const models::Model&, const tasks::Dataset&, const std::vector<std::string>&,
               const ScoreRequest& request) -> std::vector<double> {
    const std::lock_guard<std::mutex> lock(mutex);
    threads.insert(at::get_num_threads());
    throw WorkError("of " + request.client);
  };
  auto three = courier({3, false});
  CHECK_THROWS_WITH(three.exchange(orders(ScoreWork{"lntk", 4, 1}), {}, {}),
                    "round 1, client ct: of ct");
  CHECK(threads == std::set<int>{2});
  at::set_num_threads(1);
}
