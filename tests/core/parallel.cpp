#include "core/parallel.h"

#include <atomic>
#include <stdexcept>
#include <vector>

#include "catch.h"

using namespace strata;

TEST_CASE("every piece of work is done exactly once") {
  for (const int threads : {0, 1, 2, 7}) {
    std::vector<std::atomic<int>> done(100);
    parallel_for(100, threads, [&](int i) { ++done[i]; });
    for (const auto& times : done) CHECK(times == 1);
  }
  parallel_for(0, 2, [](int) { FAIL("there is no work"); });
}

TEST_CASE("the error of the smallest index is the one that is seen") {
  for (const int threads : {1, 4}) {
    std::atomic<int> done = 0;
    try {
      parallel_for(50, threads, [&](int i) {
        ++done;
        if (i % 10 == 7) throw std::runtime_error("piece " + std::to_string(i));
      });
      FAIL("no error");
    } catch (const std::runtime_error& error) {
      CHECK(std::string(error.what()) == "piece 7");
    }
    // What is not begun by then is not done.
    CHECK(done >= 8);
    if (threads == 1) CHECK(done == 8);
  }
}
