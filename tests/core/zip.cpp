#include "core/zip.h"

#include "support/error_text.h"
#include "support/npz_file.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::test;

TEST_CASE(
    "entries have their names, sizes and places, of a file as of bytes, with and without zip64") {
  const TempDir folder;
  for (const bool compress : {false, true})
    for (const bool zip64 : {false, true}) {
      INFO("compress " << compress << ", zip64 " << zip64);
      const std::string text(1000, 'a');
      const std::string bytes = npz({{"x/data.pkl", text}, {"x/data/0", "bcd"}}, compress, zip64);
      const auto entries = read_zip_directory(bytes, "a.zip", "zips");
      REQUIRE(entries.size() == 2);
      CHECK(entries[0].name == "x/data.pkl");
      CHECK(entries[0].size == 1000);
      CHECK(entries[0].deflated == compress);
      if (compress) continue;
      CHECK(bytes.substr(entries[0].offset, entries[0].size) == text);
      CHECK(bytes.substr(entries[1].offset, entries[1].size) == "bcd");
      const auto of_file = read_zip_directory(folder.write("a.zip", bytes), "zips");
      REQUIRE(of_file.size() == 2);
      CHECK(of_file[1].offset == entries[1].offset);
      CHECK(of_file[1].crc == entries[1].crc);
    }
}

TEST_CASE("what is no zip, damaged, encrypted or packed in another way is an error") {
  const auto error = [](const std::string& bytes) {
    const std::string text = input_error([&] { read_zip_directory(bytes, "a.zip", "zips"); });
    CHECK(text.rfind("a.zip: ", 0) == 0);
    return text;
  };
  const std::string whole = npz({{"x", "abcdef"}}, false);
  CHECK(contains(error(""), "no zip file (no end of central directory), as zips are"));
  CHECK(contains(error(whole.substr(0, whole.size() - 1)), "no zip file"));
  CHECK(contains(error(whole.substr(1)), "damaged zip file"));
  CHECK(contains(error(npz({{"x", "a"}}, false, false, 0, 1)), "\"x\" in it is encrypted"));
  CHECK(contains(error(npz({{"x", "a"}}, false, false, 9)), "compressed by method 9"));
  // A stored entry of five bytes in six, one of 64 KiB, and one that is a GiB when unpacked.
  std::string lying = whole;
  lying[lying.rfind("PK\1\2") + 24] = 5;
  CHECK(contains(error(lying), "damaged zip file: size of x"));
  std::string long_one = whole;
  for (const std::size_t field : {20, 24}) long_one[long_one.rfind("PK\1\2") + field + 2] = 1;
  CHECK(contains(error(long_one), "damaged zip file: it ends too early for x"));
  std::string bomb = npz({{"x", "abcdef"}}, true);
  bomb[bomb.rfind("PK\1\2") + 27] = 0x40;
  CHECK(contains(error(bomb), "damaged zip file: size of x"));
  // Numbers at the end of 64 bits.
  for (const std::size_t behind : {32, 40, 48}) {
    std::string far = npz({{"x", "abcdef"}}, false, true);
    far.replace(far.rfind("PK\6\6") + behind, 8, std::string(8, '\xff'));
    CHECK(contains(error(far), "damaged zip file"));
  }
  CHECK(contains(input_error([] { read_zip_directory("/nowhere/a.zip", "zips"); }),
                 "/nowhere/a.zip: cannot be read"));
  for (std::size_t size = 0; size < whole.size(); ++size)
    CHECK_THROWS_AS(read_zip_directory(whole.substr(0, size), "a.zip", "zips"), InputError);
}
