#include "fedrunner/workspaces.h"

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>

#include "catch.h"
#include "fedrunner/tiny.h"

using namespace strata;
using namespace strata::fedrunner;

TEST_CASE("workspaces share the frozen base, and each has what is trained for itself") {
  const auto model = test::make_model(test::tiny_config(), 3);
  const auto& head = model.unit("head").parameters;
  const std::set<std::string> trained(head.begin(), head.end());
  Workspaces workspaces(model, trained, 2);
  const Workspaces::Loan first(workspaces), second(workspaces);
  REQUIRE(&first.model() != &second.model());
  for (const auto& [name, weight] : model.weights()) {
    INFO(name);
    std::set<const void*> memory = {weight.data_ptr(), first.model().weight(name).data_ptr(),
                                    second.model().weight(name).data_ptr()};
    CHECK(memory.size() == (trained.count(name) ? 3 : 1));
    CHECK(test::same_bits(weight, first.model().weight(name)));
  }
}

TEST_CASE("who finds no workspace waits for one to come back") {
  const auto model = test::make_model(test::tiny_config(), 3);
  Workspaces workspaces(model, {}, 1);
  std::optional<Workspaces::Loan> loan;
  loan.emplace(workspaces);
  const auto* lent = &loan->model();
  std::atomic<bool> returned{false}, early{false};
  const models::Model* found = nullptr;
  std::thread waiting([&] {
    const Workspaces::Loan next(workspaces);
    early = !returned;
    found = &next.model();
  });
  // Long enough for a thread that does not wait to be seen; the test is right without it, too.
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  returned = true;
  loan.reset();
  waiting.join();
  CHECK_FALSE(early);
  CHECK(found == lent);
}
