#include "data/npz_image.h"

#include <chrono>
#include <functional>

#include "data/image.h"
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

TEST_CASE("images of an array are read by their number, grey and colour") {
  const TempDir folder;
  const auto path = folder.write("a.npz", npz({{"grey.npy", npy("(2, 2, 3)", kGrey)},
                                               {"colour.npy", npy("(3, 1, 2, 3)", kColour)}},
                                              true));
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
