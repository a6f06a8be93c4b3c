#include "core/table_file.h"

#include <zlib.h>

#include "catch.h"
#include "strata/core/error.h"
#include "temp_dir.h"

using namespace strata;
using Catch::Contains;

namespace {

std::string zipped(const std::string& text) {
  std::string packed(compressBound(text.size()) + 64, '\0');
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

std::vector<std::string> header(const std::string& text) {
  return parse_table(text, "t.csv")[0].fields;
}

}  // namespace

TEST_CASE("fields stand between what the header has outside of quotes") {
  using Names = std::vector<std::string>;
  CHECK(header("a,b\n1,2\n") == Names{"a", "b"});
  CHECK(header("a\tb\n1\t2\n") == Names{"a", "b"});
  CHECK(header("a;b\n1;2\n") == Names{"a", "b"});
  CHECK(header("\"x,y\";b\n1;2\n") == Names{"x,y", "b"});
  CHECK(header("a,b;c\n1,2\n") == Names{"a", "b;c"});
  CHECK(header("a;b\n\"1,5\";2\n") == Names{"a", "b"});
  CHECK(header("alone\n1\n") == Names{"alone"});
  CHECK_THROWS_WITH(parse_table("a;b\n1;2;3\n", "t.csv"), Contains("t.csv:2: 3 fields"));
}

TEST_CASE("gzipped files are unpacked, whatever their names and however many parts they have") {
  const test::TempDir dir;
  std::string text;
  for (int i = 0; i < 200000; ++i) text += std::to_string(i * 7919) + ",";
  CHECK(read_text(dir.write("a.csv.gz", zipped(text))) == text);
  CHECK(read_text(dir.write("a.csv", zipped("one") + zipped("two"))) == "onetwo");
  CHECK(read_text(dir.write("empty.gz", zipped(""))).empty());
  CHECK(read_text(dir.write("plain", text)) == text);
  const std::string packed = zipped(text);
  CHECK_THROWS_WITH(read_text(dir.write("half.gz", packed.substr(0, packed.size() / 2))),
                    Contains("half.gz: is gzipped, but damaged or not whole"));
  CHECK_THROWS_WITH(read_text(dir.write("more.gz", packed + "tail")),
                    Contains("more.gz: is gzipped"));
  std::string wrong = packed;
  wrong[packed.size() / 2] ^= 0x55;
  CHECK_THROWS_AS(read_text(dir.write("wrong.gz", wrong)), InputError);
}

TEST_CASE("a file that unpacks to more than memory should hold is refused") {
  const test::TempDir dir;
  // 16 MiB of zeros, 70 times in a row: 1.1 GiB in a file of 1 MB.
  const std::string part = zipped(std::string(std::size_t{16} << 20, '\0'));
  std::string bomb;
  for (int i = 0; i < 70; ++i) bomb += part;
  CHECK_THROWS_WITH(read_text(dir.write("bomb.gz", bomb)), Contains("unpacks to more than 1 GiB"));
}

TEST_CASE("a name's ending is that below .gz, in small letters") {
  CHECK(text_extension("a/B.CSV") == ".csv");
  CHECK(text_extension("b.tsv.GZ") == ".tsv");
  CHECK(text_extension("scores.json.gz") == ".json");
  CHECK(text_extension("x.gz").empty());
  CHECK(text_extension("-").empty());
  CHECK(text_name("-") == "standard input");
  CHECK(looks_like_json("\xef\xbb\xbf \n{"));
  CHECK_FALSE(looks_like_json("client,a"));
  CHECK_FALSE(looks_like_json(""));
}

TEST_CASE("names of a table are some, none is empty, and none stands twice") {
  const auto complaint = [](const std::vector<std::string>& names) -> std::string {
    try {
      check_table_names(names, "client", "t.csv");
      return "";
    } catch (const InputError& error) {
      return error.what();
    }
  };
  CHECK(complaint({"ct", "mri"}) == "");
  CHECK(complaint({}) == "t.csv: no clients");
  CHECK(complaint({"ct", ""}) == "t.csv: a client has no name");
  CHECK(complaint({"ct", "mri", "ct"}) == "t.csv: the client \"ct\" stands twice");
}
