#include "core/amount.h"

#include "catch.h"

using namespace strata;

namespace {

/// −1 for what is refused.
std::int64_t amount(const std::string& text, const std::string& of) {
  std::int64_t value = -1;
  return parse_amount(text, of, value) ? value : -1;
}

}  // namespace

TEST_CASE("amounts of bytes have SI and binary prefixes") {
  CHECK(amount("400000", "bytes") == 400000);
  CHECK(amount("4e6", "bytes") == 4000000);
  CHECK(amount("400kB", "bytes") == 400000);
  CHECK(amount("400 KB", "bytes") == 400000);
  CHECK(amount("1KiB", "bytes") == 1024);
  CHECK(amount("4MiB", "memory") == std::int64_t{4} << 20);
  CHECK(amount("1.5GB", "bytes") == 1500000000);
  CHECK(amount("0.5GiB", "bytes") == std::int64_t{1} << 29);
  CHECK(amount(" 2T ", "bytes") == 2000000000000);
  CHECK(amount("1PiB", "bytes") == std::int64_t{1} << 50);
  CHECK(amount("1.1kB", "bytes") == 1100);
  CHECK(amount("12B", "bytes") == 12);
  CHECK(amount("0", "bytes") == 0);
}

TEST_CASE("amounts of FLOPs and of units") {
  CHECK(amount("2GFLOP", "flops") == 2000000000);
  CHECK(amount("2 TFLOPs", "flops") == 2000000000000);
  CHECK(amount("7flops", "flops") == 7);
  CHECK(amount("5e9", "flops") == 5000000000);
  CHECK(amount("3", "units") == 3);
}

TEST_CASE("what is no whole amount is refused") {
  for (const char* text : {"", "kB", "4XB", "4kiloB", "0.5B", "1.0001kB", "-1kB", "nan", "inf",
                           "10PB", "4MFLOP", "4MBit", "4 M B", "1e400", "4kk"}) {
    CAPTURE(text);
    CHECK(amount(text, "bytes") == -1);
  }
  for (const char* text : {"4MB", "4G B", "0.5"}) {
    CAPTURE(text);
    CHECK(amount(text, "flops") == -1);
  }
  CHECK(amount("1.5", "units") == -1);
  CHECK(amount("2k", "units") == -1);
}

TEST_CASE("an amount is shown with at most three decimals of its greatest prefix") {
  CHECK(amount_text(4, "units") == "4");
  CHECK(amount_text(0, "bytes") == "0 B");
  CHECK(amount_text(269000, "bytes") == "269 kB");
  CHECK(amount_text(1234567, "memory") == "1.235 MB");
  CHECK(amount_text(2500000000, "flops") == "2.5 GFLOP");
}

TEST_CASE("an amount says by its symbol what it counts, and a number alone does not") {
  CHECK(counted_by("4kB") == "bytes");
  CHECK(counted_by("4 kb") == "bytes");
  CHECK(counted_by("2GFLOP") == "flops");
  CHECK(counted_by("2 gflops") == "flops");
  for (const char* text :
       {"4", "4e6", "4k", "", "b", "0.5B", "4kX", "budgets.csv", "gulb", "flop"}) {
    CAPTURE(text);
    CHECK(counted_by(text).empty());
  }
}
