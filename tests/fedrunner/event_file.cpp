#include "strata/fedrunner/event_file.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <map>

#include "catch.h"
#include "strata/core/atomic_file.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::fedrunner;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// By the polynomial, bit by bit.
std::uint32_t slow_crc(const std::string& bytes) {
  std::uint32_t crc = 0xFFFFFFFFU;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (0x82F63B78U & (0U - (crc & 1U)));
  }
  return ~crc;
}

std::uint64_t number(const std::string& bytes, std::size_t at, int count) {
  REQUIRE(at + static_cast<std::size_t>(count) <= bytes.size());
  std::uint64_t value = 0;
  for (int i = count - 1; i >= 0; --i)
    value = value << 8 | static_cast<unsigned char>(bytes[at + static_cast<std::size_t>(i)]);
  return value;
}

/// The fields of a message: numbers as eight bytes, little-endian.
std::vector<std::pair<int, std::string>> fields(const std::string& message) {
  std::size_t at = 0;
  const auto varint = [&] {
    std::uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const std::uint64_t byte = number(message, at++, 1);
      value |= (byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
  };
  std::vector<std::pair<int, std::string>> found;
  while (at < message.size()) {
    const std::uint64_t key = varint();
    std::uint64_t length = 0;
    if ((key & 7) == 0) {
      const std::uint64_t value = varint();
      std::string bytes(8, '\0');
      std::memcpy(bytes.data(), &value, 8);
      found.emplace_back(static_cast<int>(key >> 3), bytes);
      continue;
    }
    REQUIRE(((key & 7) == 1 || (key & 7) == 2 || (key & 7) == 5));
    length = (key & 7) == 1 ? 8 : (key & 7) == 5 ? 4 : varint();
    REQUIRE(at + length <= message.size());
    found.emplace_back(static_cast<int>(key >> 3), message.substr(at, length));
    at += length;
  }
  return found;
}

template <typename Real>
Real real(const std::string& bytes) {
  REQUIRE(bytes.size() == sizeof(Real));
  Real value = 0;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

struct Event {
  double wall_time = -1;
  std::int64_t step = 0;
  std::string version;
  std::map<std::string, float> scalars;
};

Event event_of(const std::string& data) {
  Event event;
  for (const auto& [field, bytes] : fields(data)) {
    if (field == 1) event.wall_time = real<double>(bytes);
    if (field == 2) event.step = real<std::int64_t>(bytes);
    if (field == 3) event.version = bytes;
    if (field != 5) continue;
    for (const auto& [value, content] : fields(bytes)) {
      REQUIRE(value == 1);
      const auto parts = fields(content);
      REQUIRE(parts.size() == 2);
      REQUIRE((parts[0].first == 1 && parts[1].first == 2));
      CHECK(event.scalars.emplace(parts[0].second, real<float>(parts[1].second)).second);
    }
  }
  return event;
}

/// Reads a file as TensorBoard does, every checksum included.
std::vector<Event> events_of(const std::string& file) {
  const auto mask = [](std::uint32_t crc) {
    return static_cast<std::uint32_t>(((crc >> 15) | (crc << 17)) + 0xA282EAD8U);
  };
  std::vector<Event> events;
  for (std::size_t at = 0; at < file.size();) {
    const std::uint64_t length = number(file, at, 8);
    CHECK(number(file, at + 8, 4) == mask(slow_crc(file.substr(at, 8))));
    REQUIRE(at + 12 + length + 4 <= file.size());
    const std::string data = file.substr(at + 12, length);
    CHECK(number(file, at + 12 + length, 4) == mask(slow_crc(data)));
    at += 16 + length;
    events.push_back(event_of(data));
  }
  return events;
}

RoundMetrics row(int round, const std::string& client, double accuracy) {
  RoundMetrics row;
  row.round = round;
  row.client = client;
  row.train_loss = round == 0 ? kNaN : 0.25;
  row.test_loss = 0.5;
  row.values = {accuracy, kNaN};
  row.up_mbit = 1.5;
  row.down_mbit = 3;
  row.importance = client == kAllRow ? 7 : 0;
  row.usage_variance = client == kAllRow && round > 0 ? 2 : kNaN;
  row.seconds = 99;
  row.peak_memory_mib = 98;
  return row;
}

RoundTable table(int rounds) {
  RoundTable table{{"accuracy", "macro_f1"}, {}};
  for (int round = 0; round <= rounds; ++round)
    for (const std::string client : {std::string("ct, größer"), kAllRow, kMeanRow})
      table.rows.push_back(row(round, client, 0.1 * round));
  return table;
}

}  // namespace

TEST_CASE("CRC-32C of RFC 3720, B.4, and of any bytes") {
  std::string up, down;
  for (int i = 0; i < 32; ++i) {
    up += static_cast<char>(i);
    down += static_cast<char>(31 - i);
  }
  CHECK(crc32c(std::string(32, '\0')) == 0x8A9136AA);
  CHECK(crc32c(std::string(32, '\xFF')) == 0x62A8AB43);
  CHECK(crc32c(up) == 0x46DD794E);
  CHECK(crc32c(down) == 0x113FDB5C);
  const std::string read_command =
      std::string("\x01\xC0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x14\0\0\0\0\0\x04\0\0\0\0\x14\0\0\0\x18",
                  32) +
      std::string("\x28\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0", 16);
  CHECK(crc32c(read_command) == 0xD9963A56);
  CHECK(crc32c("") == 0);
  for (std::size_t size = 0; size < 40; ++size)
    CHECK(crc32c(std::string(size, 'x') + up) == slow_crc(std::string(size, 'x') + up));
}

TEST_CASE("an event file has every value that is there, by round and tag, and nothing measured") {
  const auto events = events_of(event_file(table(200)));
  REQUIRE(events.size() == 202);
  CHECK(events[0].version == "brain.Event:2");
  CHECK(events[0].wall_time == 0);
  CHECK(events[1].step == 0);
  // The foundation was not trained, and nothing was sent.
  CHECK(events[1].scalars == std::map<std::string, float>{{"accuracy/all", 0.F},
                                                          {"accuracy/ct, größer", 0.F},
                                                          {"accuracy/mean", 0.F},
                                                          {"plan/importance", 7.F},
                                                          {"test_loss/all", 0.5F},
                                                          {"test_loss/ct, größer", 0.5F},
                                                          {"test_loss/mean", 0.5F}});
  // Steps from 128 on are of two bytes.
  for (const int round : {1, 127, 128, 200}) {
    const Event& event = events[static_cast<std::size_t>(round) + 1];
    CHECK(event.step == round);
    CHECK(event.wall_time == round);
    CHECK(event.scalars.size() == 3 * 5 + 2);
    CHECK(event.scalars.at("accuracy/ct, größer") == static_cast<float>(0.1 * round));
    CHECK(event.scalars.at("train_loss/all") == 0.25F);
    CHECK(event.scalars.at("down_mbit/mean") == 3.F);
    CHECK(event.scalars.at("plan/usage_variance") == 2.F);
  }
  for (const auto& [tag, value] : events.back().scalars) CHECK(value < 90);
  CHECK(events_of(event_file({{"accuracy"}, {}})).size() == 1);
}

TEST_CASE("rounds are appended; a part of a record is completed, what does not fit is replaced") {
  const test::TempDir dir;
  const auto file = dir / kEventFile;
  write_events(table(0), dir.path());
  const auto first = std::filesystem::status(file);
  std::filesystem::create_hard_link(file, dir / "same");
  for (int round = 1; round < 4; ++round) write_events(table(round), dir.path());
  CHECK(test::slurp(file) == event_file(table(3)));
  // Whoever follows the file has it open.
  CHECK(test::slurp(dir / "same") == event_file(table(3)));
  CHECK(std::filesystem::exists(first));

  std::filesystem::resize_file(file, event_file(table(2)).size() + 17);
  write_events(table(3), dir.path());
  CHECK(test::slurp(file) == event_file(table(3)));
  CHECK(test::slurp(dir / "same") == event_file(table(3)));

  write_events(table(2), dir.path());
  CHECK(test::slurp(file) == event_file(table(2)));
  write_file(file, "something else");
  write_events(table(1), dir.path());
  CHECK(test::slurp(file) == event_file(table(1)));
}
