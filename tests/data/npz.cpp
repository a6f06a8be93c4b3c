#include "data/npz.h"

#include <functional>

#include "support/error_text.h"
#include "support/npz_file.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

namespace {

const std::string kGrey = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
const std::string kColour = kGrey + std::string{13, 14, 15, 16, 17, 18};

}  // namespace

TEST_CASE("arrays and images read back, stored or deflated, with and without zip64") {
  const TempDir folder;
  for (const bool compress : {false, true})
    for (const bool zip64 : {false, true}) {
      INFO("compress " << compress << ", zip64 " << zip64);
      const auto path = folder.write(
          std::to_string(compress) + std::to_string(zip64) + ".npz",
          npz({{"grey.npy", npy("(2, 2, 3)", kGrey)}, {"colour.npy", npy("(3, 1, 2, 3)", kColour)}},
              compress, zip64));
      const NpzFile file(path);
      CHECK(file.has("grey"));
      CHECK_FALSE(file.has("grey.npy"));
      CHECK(file.shape("grey") == std::vector<std::int64_t>{2, 2, 3});
      const ByteArray array = file.read("grey");
      CHECK(std::string(array.data(), array.data() + 12) == kGrey);

      const std::filesystem::path grey = path.string() + "#grey/1";
      CHECK(is_image(grey));
      const Image image = read_image(grey);
      CHECK(image.width == 3);
      CHECK(image.height == 2);
      CHECK(image.pixels == std::vector<std::uint8_t>{7, 7, 7, 8, 8, 8, 9, 9, 9,  //
                                                      10, 10, 10, 11, 11, 11, 12, 12, 12});
      int width = 0, height = 0;
      read_image_size(grey, width, height);
      CHECK(width == 3);
      CHECK(height == 2);
      CHECK(read_image(path.string() + "#colour/2").pixels ==
            std::vector<std::uint8_t>{13, 14, 15, 16, 17, 18});
    }
}

TEST_CASE("a file that is written again is read again") {
  const TempDir folder;
  const auto write = [&](char value) {
    return folder.write("a.npz", npz({{"x.npy", npy("(1, 1, 1)", std::string(1, value))}}, true));
  };
  const std::string name = write(3).string() + "#x/0";
  CHECK(read_image(name).pixels == std::vector<std::uint8_t>{3, 3, 3});
  write(4);
  std::filesystem::last_write_time(
      folder / "a.npz",
      std::filesystem::last_write_time(folder / "a.npz") + std::chrono::seconds(2));
  CHECK(read_image(name).pixels == std::vector<std::uint8_t>{4, 4, 4});
}

TEST_CASE("names of images that are none") {
  const TempDir folder;
  const std::string path =
      folder.write("a.npz", npz({{"x.npy", npy("(2, 1, 1)", "ab")}}, true)).string();
  NpzImageName name;
  CHECK(parse_npz_image(path + "#x/1", name));
  CHECK(name.array == "x");
  CHECK(name.index == 1);
  CHECK(name.file == path);
  for (const char* bad : {"", "#x", "#x/", "#x/a", "#x/1a", "#x/-1"}) {
    INFO(bad);
    CHECK_FALSE(parse_npz_image(path + bad, name));
  }
  CHECK_FALSE(is_image((folder / "b.npz").string() + "#x/0"));
  CHECK(contains(input_error([&] { read_image(path + "#x/2"); }),
                 path + ": the array \"x\" has 2 images: there is no image 2"));
  CHECK(contains(input_error([&] { read_image(path + "#xx/0"); }),
                 "no array \"xx\" in it (did you mean \"x\"?); there are \"x\""));
  CHECK(contains(input_error([&] { read_image((folder / "b.npz").string() + "#x/0"); }),
                 "b.npz: cannot be read"));
  const auto flat = folder.write("flat.npz", npz({{"x.npy", npy("(2,)", "ab")}}, true)).string();
  CHECK(
      contains(input_error([&] { read_image(flat + "#x/0"); }),
               "has the shape (2), expected (count, height, width) or (count, height, width, 3)"));
}

TEST_CASE("an array's images have no more pixels than others") {
  const TempDir folder;
  const std::string file = folder.write(
      "a.npz",
      npz({{"x.npy", npy("(1, 4097, 16384)", std::string(std::size_t{4097} * 16384, 'x'))}}, true));
  int width = 0, height = 0;
  for (const auto& call :
       std::vector<std::function<void()>>{[&] { read_image(file + "#x/0"); },
                                          [&] { read_image_size(file + "#x/0", width, height); }})
    CHECK(input_error(call) == file +
                                   ": NumPy image of 16384 x 4097 pixels; at most 16384 a side "
                                   "and 67108864 in all can be read");
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
