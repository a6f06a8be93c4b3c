#include "strata/fedrunner/event_file.h"

#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>

#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata::fedrunner {
namespace {

std::array<std::uint32_t, 256> crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) ? 0x82F63B78U : 0U);
    table[byte] = value;
  }
  return table;
}

/// TensorFlow's, so that the checksum of data that holds checksums is no simple one.
std::uint32_t masked_crc(std::string_view bytes) {
  const std::uint32_t crc = crc32c(bytes);
  return ((crc >> 15) | (crc << 17)) + 0xA282EAD8U;
}

template <typename Number>
std::string little_endian(Number number) {
  std::string bytes;
  for (std::size_t i = 0; i < sizeof(Number); ++i)
    bytes += static_cast<char>((number >> (8 * i)) & 0xFF);
  return bytes;
}

std::string record(const std::string& data) {
  const std::string length = little_endian(static_cast<std::uint64_t>(data.size()));
  return length + little_endian(masked_crc(length)) + data + little_endian(masked_crc(data));
}

// Protocol buffers: a key is (field << 3 | wire type), 0 a varint, 1 eight bytes, 2 a length and
// bytes, 5 four bytes.
std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>((value & 0x7F) | 0x80);
  return bytes + static_cast<char>(value);
}

std::string key(std::uint64_t field, std::uint64_t wire_type) {
  return varint(field << 3 | wire_type);
}

std::string bytes_field(std::uint64_t field, const std::string& bytes) {
  return key(field, 2) + varint(bytes.size()) + bytes;
}

template <typename Bits, typename Real>
std::string real_field(std::uint64_t field, Real value) {
  Bits bits = 0;
  static_assert(sizeof bits == sizeof value);
  std::memcpy(&bits, &value, sizeof bits);
  return key(field, sizeof bits == 8 ? 1 : 5) + little_endian(bits);
}

/// Event.wall_time is 1 and step is 2. Protocol buffers leave out what is 0, but TensorFlow writes
/// the time.
std::string event(int round, const std::string& content) {
  std::string bytes = real_field<std::uint64_t>(1, static_cast<double>(round));
  if (round > 0) bytes += key(2, 0) + varint(static_cast<std::uint64_t>(round));
  return record(bytes + content);
}

/// Summary.value is 1; of a Summary.Value tag is 1 and simple_value 2.
std::string scalar(const std::string& tag, double value) {
  if (std::isnan(value)) return "";
  return bytes_field(1,
                     bytes_field(1, tag) + real_field<std::uint32_t>(2, static_cast<float>(value)));
}

std::string scalars_of(const RoundTable& table, const RoundMetrics& row) {
  std::string values;
  for (std::size_t i = 0; i < table.metrics.size(); ++i)
    values += scalar(table.metrics[i] + "/" + row.client, row.values.at(i));
  values += scalar("train_loss/" + row.client, row.train_loss);
  values += scalar("test_loss/" + row.client, row.test_loss);
  if (row.round > 0) {
    values += scalar("up_mbit/" + row.client, row.up_mbit);
    values += scalar("down_mbit/" + row.client, row.down_mbit);
  }
  if (row.client != kAllRow) return values;
  return values + scalar("plan/importance", row.importance) +
         scalar("plan/usage_variance", row.usage_variance);
}

std::string read_if_there(const std::filesystem::path& path) {
  std::error_code none;
  return std::filesystem::is_regular_file(path, none) ? read_file(path) : "";
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  static const std::array<std::uint32_t, 256> table = crc_table();
  std::uint32_t crc = 0xFFFFFFFFU;
  for (const char byte : bytes)
    crc = (crc >> 8) ^ table[(crc ^ static_cast<unsigned char>(byte)) & 0xFF];
  return ~crc;
}

std::string event_file(const RoundTable& table) {
  // Event.file_version is 3, summary 5.
  std::string file = event(0, bytes_field(3, "brain.Event:2"));
  for (std::size_t begin = 0, end = 0; begin < table.rows.size(); begin = end) {
    const int round = table.rows[begin].round;
    std::string values;
    for (end = begin; end < table.rows.size() && table.rows[end].round == round; ++end)
      values += scalars_of(table, table.rows[end]);
    if (!values.empty()) file += event(round, bytes_field(5, values));
  }
  return file;
}

void write_events(const RoundTable& table, const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / kEventFile;
  const std::string content = event_file(table), there = read_if_there(path);
  if (there.empty() || content.compare(0, there.size(), there) != 0) {
    write_file(path, content);
    return;
  }
  std::ofstream stream(path, std::ios::binary | std::ios::app);
  stream << content.substr(there.size()) << std::flush;
  if (!stream) throw WorkError(path.string() + ": cannot be written: " + std::strerror(errno));
}

}  // namespace strata::fedrunner
