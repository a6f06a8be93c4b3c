#include "data/gzip.h"

#include <zlib.h>

#include "support/error_text.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

namespace {

void write_packed(const std::filesystem::path& path, const std::string& text) {
  gzFile file = gzopen(path.c_str(), "wb");
  REQUIRE(gzwrite(file, text.data(), static_cast<unsigned>(text.size())) ==
          static_cast<int>(text.size()));
  gzclose(file);
}

}  // namespace

TEST_CASE("what gzip has packed is read, and a file that is not packed as it is") {
  const TempDir folder;
  std::string text;
  for (int i = 0; i < 400000; ++i) text += std::to_string(i) + ",";  // more than a piece
  write_packed(folder / "a.csv.gz", text);
  CHECK(read_gzip(folder / "a.csv.gz") == text);
  CHECK(read_gzip(folder.write("a.csv", "a,b\n1,2\n")) == "a,b\n1,2\n");
  CHECK(read_gzip(folder.write("empty", "")).empty());
}

TEST_CASE("a damaged file, one that ends too early and one that is not there are errors") {
  const TempDir folder;
  const std::string there = (folder / "a.gz").string();
  write_packed(there, std::string(100000, 'x') + "end");
  const std::string good = slurp(there);
  folder.write("a.gz", good.substr(0, good.size() - 12));
  CHECK(contains(input_error([&] { read_gzip(there); }), there + ": the packed file is damaged"));
  std::string wrong = good;
  wrong[good.size() - 6] ^= 1;  // of the checksum
  folder.write("a.gz", wrong);
  CHECK(contains(input_error([&] { read_gzip(there); }), "the packed file is damaged"));
  CHECK(input_error([&] { read_gzip(folder / "b.gz"); }) ==
        (folder / "b.gz").string() + ": cannot be read");
}
