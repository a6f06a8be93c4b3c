#include "data/gzip_stream.h"

#include <sstream>

#include "data/gzip.h"
#include "support/error_text.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

namespace {

std::string unpacked(const std::string& file, std::size_t piece) {
  std::istringstream in(file);
  GzipStream stream(in, "file");
  std::string all, part(piece, '\0');
  while (const std::size_t got = stream.read(part.data(), piece)) all.append(part, 0, got);
  return all;
}

std::string numbers(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += std::to_string(i * i) + " ";
  return text;
}

}  // namespace

TEST_CASE("packed and stored files are read back, in pieces of any size") {
  for (const int count : {0, 1, 100, 60000}) {
    const std::string text = numbers(count);
    for (const bool packed : {false, true}) {
      const std::string file = gzip_file(text, packed);
      CHECK((packed || file.size() > text.size()));
      CHECK(unpacked(file, 1 << 20) == text);
      CHECK(unpacked(file, 777) == text);
      const TempDir folder;
      CHECK(read_gzip(folder.write("a.gz", file)) == text);
    }
    CHECK(unpacked(text, 1000) == text);
  }
}

TEST_CASE("several members are one file; something else behind one is an error") {
  const std::string first = numbers(30000), second = numbers(9);
  CHECK(unpacked(gzip_file(first, true) + gzip_file(second, false), 4096) == first + second);
  const auto error = [&](const std::string& file) {
    return input_error([&] { unpacked(file, 4096); });
  };
  CHECK(error(gzip_file(first, true) + "\x1f") == "file: the packed file goes on behind its end");
  CHECK(error(gzip_file(first, true) + "abc") == "file: the packed file goes on behind its end");
  CHECK(error(gzip_file(first, true).substr(0, 5000)) ==
        "file: the packed file ends too early; it is cut off");
  CHECK(contains(error("\x1f\x8b\x07 no such method"), "file: the packed file is damaged ("));
}
