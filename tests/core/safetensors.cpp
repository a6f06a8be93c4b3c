#include "strata/core/safetensors.h"

#include <cstring>

#include "catch.h"
#include "strata/core/error.h"
#include "temp_dir.h"

using namespace strata;
using Catch::Contains;

namespace {

std::string file_with(const std::string& header, const std::string& data, std::uint64_t length) {
  std::string out(8, '\0');
  for (int i = 0; i < 8; ++i) out[i] = static_cast<char>(length >> (8 * i));
  return out + header + data;
}

std::string file_with(const std::string& header, const std::string& data) {
  return file_with(header, data, header.size());
}

std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

}  // namespace

TEST_CASE("tensors, shapes, dtypes and metadata round-trip") {
  const test::TempDir dir;
  const float values[6] = {1, 2, 3, 4, 5, 6};
  const std::int64_t whole[2] = {-7, 1ll << 60};
  const std::string_view float_bytes(reinterpret_cast<const char*>(values), sizeof values);
  const std::string_view whole_bytes(reinterpret_cast<const char*>(whole), sizeof whole);
  write_safetensors(dir / "m.safetensors",
                    {{"a.weight", Dtype::kF32, {2, 3}, float_bytes},
                     {"b", Dtype::kI64, {2}, whole_bytes},
                     {"empty", Dtype::kF16, {0, 4}, {}}},
                    {{"format", "pt"}});
  const SafetensorsFile file(dir / "m.safetensors");
  REQUIRE(file.tensors().size() == 3);
  REQUIRE(file.find("a.weight"));
  CHECK(file.find("a.weight")->shape == std::vector<std::int64_t>{2, 3});
  CHECK(file.bytes(*file.find("a.weight")) == float_bytes);
  CHECK(file.bytes(*file.find("b")) == whole_bytes);
  CHECK(file.find("empty")->element_count() == 0);
  CHECK(file.find("c") == nullptr);
  CHECK(file.metadata().at("format") == "pt");
  // The reference implementation aligns the data to 8 bytes.
  std::uint64_t header = 0;
  std::memcpy(&header, test::slurp(dir / "m.safetensors").data(), 8);
  CHECK(header % 8 == 0);
}

TEST_CASE("bytes are read as the file of them is, and refused under the name that was given") {
  const test::TempDir dir;
  const std::vector<TensorView> tensors = {{"x", Dtype::kU8, {3}, "abc"},
                                           {"y", Dtype::kU8, {1}, "d"}};
  const std::map<std::string, std::string> metadata = {{"strata", "{}"}};
  write_safetensors(dir / "m", tensors, metadata);
  const std::string bytes = safetensors_bytes(tensors, metadata);
  CHECK(bytes == test::slurp(dir / "m"));
  SafetensorsFile received(bytes, "reply");
  CHECK(received.metadata() == metadata);
  CHECK(received.bytes(*received.find("y")) == "d");
  // So short that a moved text would have other bytes.
  SafetensorsFile small(safetensors_bytes({}), "reply");
  const SafetensorsFile moved(std::move(small));
  CHECK(moved.tensors().empty());
  const SafetensorsFile kept(std::move(received));
  CHECK(kept.bytes(*kept.find("x")) == "abc");
  CHECK_THROWS_WITH(SafetensorsFile(bytes.substr(0, 4), "reply"), Contains("reply: has 4 bytes;"));
  CHECK_THROWS_WITH(SafetensorsFile(bytes.substr(0, bytes.size() - 1), "reply"),
                    Contains("reply: tensor \"y\": data_offsets"));
}

TEST_CASE("a moved file keeps its bytes") {
  const test::TempDir dir;
  write_safetensors(dir / "m", {{"x", Dtype::kU8, {3}, "abc"}});
  SafetensorsFile first(dir / "m");
  SafetensorsFile second(std::move(first));
  CHECK(second.bytes(*second.find("x")) == "abc");
}

TEST_CASE("truncated and lying files are refused with what is wrong") {
  const test::TempDir dir;
  const auto open = [&](const std::string& bytes) {
    SafetensorsFile file(dir.write("m.safetensors", bytes));
  };
  const std::string data(8, 'x');
  const std::string good = R"({"w":)" + entry("F32", "[2]", "[0,8]") + "}";
  CHECK_NOTHROW(open(file_with(good, data)));

  CHECK_THROWS_WITH(open(""), Contains("has 0 bytes"));
  CHECK_THROWS_WITH(open("1234567"), Contains("has 7 bytes"));
  CHECK_THROWS_WITH(open(file_with(good, data).substr(0, 20)),
                    Contains("header length") && Contains("truncated"));
  CHECK_THROWS_WITH(open(file_with(good, data.substr(0, 5))),
                    Contains("\"w\"") && Contains("leave the file's 5 bytes"));
  CHECK_THROWS_WITH(open(file_with(good, data, ~0ull)), Contains("header length"));
  CHECK_THROWS_WITH(open(file_with(good, data, 200'000'000)), Contains("header length"));
  CHECK_THROWS_WITH(open(file_with("{]", data)), Contains("is not valid JSON"));
  CHECK_THROWS_WITH(open(file_with("[1]", data)), Contains("a mapping was expected"));
  const auto one = [&](const std::string& text) { open(file_with(R"({"w":)" + text + "}", data)); };
  CHECK_THROWS_WITH(one(entry("F31", "[2]", "[0,8]")), Contains("dtype \"F31\""));
  CHECK_THROWS_WITH(one(entry("F32", "[3]", "[0,8]")),
                    Contains("span 8 bytes, but F32 × [3] needs 12"));
  CHECK_THROWS_WITH(one(entry("F32", "[-2]", "[0,8]")), Contains("the shape holds -2"));
  CHECK_THROWS_WITH(one(entry("F32", "[4611686018427387904,4611686018427387904]", "[0,8]")),
                    Contains("overflows"));
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  CHECK_THROWS_WITH(one(entry("F32", deep, "[0,8]")), Contains("nested more than 200 deep"));
  std::string long_shape = "[-1";
  for (int i = 0; i < 100'000; ++i) long_shape += ",1";
  try {
    one(entry("F32", "[2]", long_shape + "]"));
    FAIL("nothing was thrown");
  } catch (const InputError& error) {
    CHECK(std::string(error.what()).size() < 300);
  }
  CHECK_THROWS_WITH(one(entry("F32", "[2]", "[8,0]")), Contains("data_offsets"));
  CHECK_THROWS_WITH(one(entry("F32", "[2]", "[0,18446744073709551615]")), Contains("data_offsets"));
  CHECK_THROWS_WITH(one(entry("F32", "[2]", "[0]")), Contains("two whole numbers"));
  CHECK_THROWS_WITH(one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8],"extra":1})"),
                    Contains("unknown key"));
  const std::string twice =
      R"({"w":)" + entry("F32", "[1]", "[0,4]") + R"(,"w":)" + entry("F32", "[1]", "[4,8]") + "}";
  CHECK_THROWS_WITH(open(file_with(twice, data)), Contains("stands twice"));
  const std::string overlap =
      R"({"v":)" + entry("F32", "[1]", "[0,4]") + R"(,"w":)" + entry("F32", "[2]", "[0,8]") + "}";
  CHECK_THROWS_WITH(open(file_with(overlap, data)), Contains("overlap or leave gaps"));
  const std::string hole = R"({"v":)" + entry("F32", "[1]", "[4,8]") + "}";
  CHECK_THROWS_WITH(open(file_with(hole, data)), Contains("overlap or leave gaps"));
  const std::string short_cover = R"({"v":)" + entry("F32", "[1]", "[0,4]") + "}";
  CHECK_THROWS_WITH(open(file_with(short_cover, data)), Contains("cover 4 of 8 bytes"));
  CHECK_THROWS_WITH(SafetensorsFile(dir / "absent"), Contains("cannot be read"));
  CHECK_THROWS_WITH(SafetensorsFile(dir.path()), Contains("is not a file"));
}
