#include "data/npz.h"

#include "support/error_text.h"
#include "support/npz_file.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

namespace {

const std::string kGrey = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

}  // namespace

TEST_CASE("arrays read back, stored or deflated, with and without zip64") {
  const TempDir folder;
  for (const bool compress : {false, true})
    for (const bool zip64 : {false, true}) {
      INFO("compress " << compress << ", zip64 " << zip64);
      const auto path =
          folder.write(std::to_string(compress) + std::to_string(zip64) + ".npz",
                       npz({{"grey.npy", npy("(2, 2, 3)", kGrey)}, {"more.npy", npy("(1,)", "x")}},
                           compress, zip64));
      const NpzFile file(path);
      CHECK(file.has("grey"));
      CHECK_FALSE(file.has("grey.npy"));
      CHECK(file.shape("grey") == std::vector<std::int64_t>{2, 2, 3});
      const ByteArray array = file.read("grey");
      CHECK(std::string(array.data(), array.data() + 12) == kGrey);
    }
}

TEST_CASE("damaged and foreign files are errors that name the file") {
  const TempDir folder;
  const auto error = [&](const std::string& bytes) {
    const auto path = folder.write("a.npz", bytes);
    const std::string text = input_error([&] { NpzFile(path).read("x"); });
    CHECK(text.rfind(path.string() + ": ", 0) == 0);
    return text;
  };
  const std::string good = npy("(2, 3)", "abcdef");
  const std::string whole = npz({{"x.npy", good}}, true);
  CHECK(contains(error(""), "no zip file"));
  CHECK(contains(error("hello"), "no zip file"));
  CHECK(contains(error(whole.substr(0, whole.size() - 30)), "no zip file"));
  CHECK(contains(error(whole.substr(40)), "damaged zip file"));
  CHECK(contains(error(npz({{"x.npy", good}}, true, false, 12)),
                 "compressed by method 12, expected 0 (stored) or 8 (deflate)"));
  CHECK(contains(error(npz({{"x.npy", good}}, true, false, -1, 1)), "encrypted"));
  CHECK(contains(error(npz({{"x.txt", good}}, true)), "\"x.txt\" in it is no .npy array"));
  CHECK(contains(error(npz({{"x.npy", good}, {"x.npy", good}}, true)), "two arrays \"x\""));
  CHECK(contains(error(npz({{"y.npy", good}}, true)), "no array \"x\" in it"));

  std::string flipped = npz({{"x.npy", good}}, false);
  flipped[30 + 5 + good.size() - 1] ^= 1;
  CHECK(contains(error(flipped), "damaged (its checksum is wrong)"));
  // Whatever byte is wrong, the answer is an error, or the array is as it was.
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::string changed = whole;
    changed[i] = static_cast<char>(changed[i] ^ 0x55);
    const auto path = folder.write("changed.npz", changed);
    try {
      const ByteArray array = NpzFile(path).read("x");
      CHECK(std::string(array.data(), array.data() + 6) == "abcdef");
    } catch (const InputError&) {
      SUCCEED();
    }
  }

  const auto npy_error = [&](const std::string& bytes) {
    return error(npz({{"x.npy", bytes}}, true));
  };
  CHECK(contains(npy_error("no numpy at all"), "is no .npy array"));
  CHECK(contains(npy_error(npy("(2, 3)", "abcdef", "<i8")),
                 "the array \"x\" is of type \"<i8\", expected \"|u1\" (bytes)"));
  CHECK(contains(npy_error(npy("(2, 3)", "abcdef", "|u1", "True")), "Fortran order"));
  CHECK(contains(npy_error(npy("(2, 4)", "abcdef")), "its shape (2, 4) needs more than its 6"));
  CHECK(contains(npy_error(npy("(2, 2)", "abcdef")), "its shape (2, 2) needs 4 bytes, found 6"));
  CHECK(contains(npy_error(npy("(9223372036854775807, 9223372036854775807)", "abcdef")),
                 "needs more than its 6"));
  CHECK(contains(npy_error(npy("(99999999999999999999,)", "abcdef")), "needs more than its 6"));
  CHECK(contains(npy_error(npy("[2, 3]", "abcdef")), "its header is damaged"));
  std::string version = good;
  version[6] = 9;
  CHECK(contains(npy_error(version), "has version 9 of the .npy format, expected 1 to 3"));
}
