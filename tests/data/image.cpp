#include "data/image.h"

// jpeglib.h needs FILE and size_t declared before it.
#include <cstdio>

#include <jpeglib.h>
#include <zlib.h>

#include <cstdlib>
#include <functional>
#include <nlohmann/json.hpp>

#include "support/error_text.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

namespace {

const nlohmann::json& reference() {
  static const auto json = nlohmann::json::parse(
      slurp(std::filesystem::path(STRATA_SOURCE_DIR) / "tests" / "reference" / "images.json"));
  return json;
}

std::string from_hex(const std::string& hex) {
  std::string out;
  for (std::size_t i = 0; i < hex.size(); i += 2)
    out += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return out;
}

int largest_difference(const std::vector<std::uint8_t>& a, const std::vector<std::uint8_t>& b) {
  REQUIRE(a.size() == b.size());
  int largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

Image gradient(int width, int height) {
  Image image{width, height, {}};
  for (int i = 0; i < width * height * 3; ++i)
    image.pixels.push_back(static_cast<std::uint8_t>(i * 7 % 256));
  return image;
}

}  // namespace

TEST_CASE("PNG, JPEG, TIFF and BMP files read as Pillow reads them") {
  const TempDir folder;
  for (const auto& file : reference()["files"]) {
    const std::string name = file["name"];
    INFO(name);
    const auto path = folder.write(name, from_hex(file["bytes"]));
    const Image image = read_image(path);
    // JPEG decoders may differ by one in a rounding, and libtiff cuts 16 bits to 8; the others are
    // exact.
    const bool rounded =
        path.extension() == ".jpg" || (path.extension() == ".tif" && name.find("sixteen") == 0);
    const int tolerance = rounded ? 1 : 0;
    CHECK(largest_difference(image.pixels, file["pixels"]) <= tolerance);
    int width = 0, height = 0;
    read_image_size(path, width, height);
    CHECK(width == image.width);
    CHECK(height == image.height);
  }
}

TEST_CASE("a written PNG reads back the same, and the same image gives the same bytes") {
  const TempDir folder;
  // 200 x 150 needs several stored blocks.
  for (const Image& image : {gradient(1, 1), gradient(7, 5), gradient(200, 150)}) {
    write_png(image, folder / "a.png");
    write_png(image, folder / "b.png");
    const Image back = read_image(folder / "a.png");
    CHECK(back.width == image.width);
    CHECK(back.height == image.height);
    CHECK(back.pixels == image.pixels);
    CHECK(slurp(folder / "a.png") == slurp(folder / "b.png"));
  }
}

TEST_CASE("damaged images are errors that name the file") {
  const TempDir folder;
  for (const auto& file : reference()["files"]) {
    const std::string name = file["name"], bytes = from_hex(file["bytes"]);
    for (const double share : {0.2, 0.5, 0.9}) {
      INFO(name << " cut to " << share);
      const auto path =
          folder.write(name, bytes.substr(0, static_cast<std::size_t>(share * bytes.size())));
      const std::string text = input_error([&] { read_image(path); });
      CHECK(contains(text, path.string()));
      CHECK(contains(text, "damaged"));
    }
  }
  std::string flipped = from_hex(reference()["files"][0]["bytes"]);
  flipped[flipped.size() - 20] = static_cast<char>(flipped[flipped.size() - 20] ^ 0x55);
  CHECK(contains(input_error([&] { read_image(folder.write("flipped.png", flipped)); }),
                 "damaged PNG"));

  // A header that asks for 2^31 - 1 pixels a side must not be believed.
  std::string huge = from_hex(reference()["files"][0]["bytes"]);
  huge.replace(16, 8, std::string("\x7f\xff\xff\xff\x7f\xff\xff\xff", 8));
  CHECK(contains(input_error([&] { read_image(folder.write("huge.png", huge)); }), "damaged PNG"));

  CHECK(contains(input_error([&] { read_image(folder.write("text.png", "hello")); }),
                 "neither a PNG, a JPEG, a TIFF nor a BMP image"));
  CHECK(contains(input_error([&] { read_image(folder.write("empty.png", "")); }),
                 "neither a PNG, a JPEG, a TIFF nor a BMP image"));
  CHECK(contains(input_error([&] { read_image(folder / "absent.png"); }), "absent.png"));
}

TEST_CASE("resizing is Pillow's with every filter, and the identity at the same size") {
  const auto& source = reference()["source"];
  const Image image{source["width"], source["height"], source["pixels"]};
  for (const auto& expected : reference()["resized"]) {
    INFO(expected["width"] << " x " << expected["height"] << ", filter " << expected["filter"]);
    const auto filter = static_cast<Filter>(expected["filter"].get<int>());
    const Image small = resize(image, expected["width"], expected["height"], filter);
    CHECK(small.pixels == expected["pixels"].get<std::vector<std::uint8_t>>());
    CHECK(resize(image, image.width, image.height, filter).pixels == image.pixels);
  }
}

namespace {

/// An APP1 segment whose only entry is EXIF's orientation, in either byte order.
std::string exif_segment(int orientation, bool big) {
  const auto number = [&](int value, int count) {
    std::string out;
    for (int i = 0; i < count; ++i)
      out += static_cast<char>(value >> 8 * (big ? count - 1 - i : i) & 0xff);
    return out;
  };
  const std::string tiff = (big ? "MM" : "II") + number(42, 2) + number(8, 4) + number(1, 2) +
                           number(0x0112, 2) + number(3, 2) + number(1, 4) +
                           number(orientation, 2) + number(0, 2) + number(0, 4);
  const std::string data = std::string("Exif\0\0", 6) + tiff;
  return std::string("\xff\xe1", 2) + static_cast<char>((data.size() + 2) >> 8) +
         static_cast<char>((data.size() + 2) & 0xff) + data;
}

/// A JPEG of one colour, given in the file's own components (3: RGB, 4: Adobe's inverted CMYK).
std::string jpeg_of(const std::vector<std::uint8_t>& colour, bool ycck) {
  jpeg_compress_struct jpeg;
  jpeg_error_mgr errors;
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &buffer, &size);
  jpeg.image_width = 8;
  jpeg.image_height = 8;
  jpeg.input_components = static_cast<int>(colour.size());
  jpeg.in_color_space = colour.size() == 4 ? JCS_CMYK : JCS_RGB;
  jpeg_set_defaults(&jpeg);
  if (colour.size() == 4) jpeg_set_colorspace(&jpeg, ycck ? JCS_YCCK : JCS_CMYK);
  jpeg_set_quality(&jpeg, 100, TRUE);
  jpeg_start_compress(&jpeg, TRUE);
  std::vector<std::uint8_t> line;
  for (int x = 0; x < 8; ++x) line.insert(line.end(), colour.begin(), colour.end());
  for (int y = 0; y < 8; ++y) {
    JSAMPROW row = line.data();
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  const std::string out(reinterpret_cast<char*>(buffer), size);
  free(buffer);
  return out;
}

}  // namespace

TEST_CASE("pictures are turned upright as their EXIF orientation says") {
  const TempDir folder;
  std::string jpeg;
  for (const auto& file : reference()["files"])
    if (file["name"] == "rgb.jpg") jpeg = from_hex(file["bytes"]);
  const Image stored = read_image(folder.write("stored.jpg", jpeg));
  const int w = stored.width, h = stored.height;
  // Where the pixel (x, y) of the upright picture lies in the file, by EXIF 2.3: the file's first
  // row and first column are the picture's …
  using Place = std::pair<int, int>;
  const std::function<Place(int, int)> places[] = {
      [&](int x, int y) { return Place(x, y); },                  // 1: top, left
      [&](int x, int y) { return Place(w - 1 - x, y); },          // 2: top, right
      [&](int x, int y) { return Place(w - 1 - x, h - 1 - y); },  // 3: bottom, right
      [&](int x, int y) { return Place(x, h - 1 - y); },          // 4: bottom, left
      [&](int x, int y) { return Place(y, x); },                  // 5: left, top
      [&](int x, int y) { return Place(y, h - 1 - x); },          // 6: right, top
      [&](int x, int y) { return Place(w - 1 - y, h - 1 - x); },  // 7: right, bottom
      [&](int x, int y) { return Place(w - 1 - y, x); }};         // 8: left, bottom
  for (int orientation = 1; orientation <= 8; ++orientation)
    for (const bool big : {false, true}) {
      INFO("orientation " << orientation << ", big endian " << big);
      const auto path = folder.write(
          "turned.jpg", jpeg.substr(0, 2) + exif_segment(orientation, big) + jpeg.substr(2));
      const Image image = read_image(path);
      REQUIRE(image.width == (orientation < 5 ? w : h));
      REQUIRE(image.height == (orientation < 5 ? h : w));
      int width = 0, height = 0;
      read_image_size(path, width, height);
      CHECK(width == image.width);
      CHECK(height == image.height);
      int wrong = 0;
      for (int y = 0; y < image.height; ++y)
        for (int x = 0; x < image.width; ++x) {
          const auto [from_x, from_y] = places[orientation - 1](x, y);
          for (int c = 0; c < 3; ++c)
            wrong += image.pixels[(y * image.width + x) * 3 + c] !=
                     stored.pixels[(from_y * w + from_x) * 3 + c];
        }
      CHECK(wrong == 0);
    }
  // What makes no sense is upright.
  for (const int orientation : {0, 9}) {
    const auto path = folder.write(
        "odd.jpg", jpeg.substr(0, 2) + exif_segment(orientation, true) + jpeg.substr(2));
    CHECK(read_image(path).pixels == stored.pixels);
  }
  // Nor is a picture refused for a damaged note: every cut of it, its length made to fit.
  const std::string note = exif_segment(6, false);
  for (std::size_t size = 4; size < note.size(); ++size) {
    std::string cut = note.substr(0, size);
    cut[2] = static_cast<char>((size - 2) >> 8);
    cut[3] = static_cast<char>((size - 2) & 0xff);
    const Image image =
        read_image(folder.write("cut.jpg", jpeg.substr(0, 2) + cut + jpeg.substr(2)));
    CHECK(image.pixels.size() == stored.pixels.size());
  }
}

TEST_CASE("a PNG's EXIF chunk turns it, too") {
  const TempDir folder;
  Image image{2, 1, {10, 20, 30, 40, 50, 60}};
  write_png(image, folder / "a.png");
  const std::string png = slurp(folder / "a.png");
  const std::string tiff = exif_segment(6, true).substr(10);
  std::string chunk = "eXIf" + tiff;
  const auto crc =
      crc32(0, reinterpret_cast<const Bytef*>(chunk.data()), static_cast<uInt>(chunk.size()));
  for (int shift = 24; shift >= 0; shift -= 8) chunk += static_cast<char>(crc >> shift & 0xff);
  constexpr std::size_t kAfterHeader = 8 + 25;
  const auto path =
      folder.write("b.png", png.substr(0, kAfterHeader) + std::string("\0\0\0", 3) +
                                static_cast<char>(tiff.size()) + chunk + png.substr(kAfterHeader));
  const Image turned = read_image(path);
  CHECK(turned.width == 1);
  CHECK(turned.height == 2);
  CHECK(turned.pixels == image.pixels);
}

TEST_CASE("CMYK and YCCK pictures are as Adobe writes them, inverted") {
  const TempDir folder;
  // No ink at all is white; full cyan lets green and blue through; half black halves the light.
  const std::vector<std::pair<std::vector<std::uint8_t>, std::vector<int>>> colours = {
      {{255, 255, 255, 255}, {255, 255, 255}}, {{0, 255, 255, 255}, {0, 255, 255}},
      {{255, 255, 255, 0}, {0, 0, 0}},         {{255, 255, 255, 128}, {128, 128, 128}},
      {{255, 100, 50, 128}, {128, 50, 25}},    {{90, 160, 220, 255}, {90, 160, 220}}};
  for (const bool ycck : {false, true})
    for (const auto& [stored, expected] : colours) {
      const Image image = read_image(folder.write("a.jpg", jpeg_of(stored, ycck)));
      INFO("YCCK " << ycck << ", expected " << expected[0] << " " << expected[1] << " "
                   << expected[2]);
      for (int c = 0; c < 3; ++c) CHECK(std::abs(image.pixels[c] - expected[c]) <= 2);
    }
  CHECK(read_image(folder.write("rgb.jpg", jpeg_of({200, 100, 50}, false))).width == 8);
}

namespace {

/// A TIFF file of these tags (one value each; LONG, or SHORT where TIFF 6.0 has it so) and `data`,
/// which begins at byte 256.
std::string tiff(bool big, const std::vector<std::pair<int, std::uint32_t>>& tags,
                 const std::string& data) {
  const auto number = [big](std::uint32_t value, int size) {
    std::string out;
    for (int i = 0; i < size; ++i)
      out += static_cast<char>(value >> 8 * (big ? size - 1 - i : i) & 0xff);
    return out;
  };
  std::string file = (big ? "MM" : "II") + number(42, 2) + number(8, 4);
  file += number(static_cast<std::uint32_t>(tags.size()), 2);
  for (const auto& [tag, value] : tags) {
    const bool is_short = tag == 258 || tag == 259 || tag == 262 || tag == 274 || tag == 277 ||
                          tag == 284 || tag == 317 || tag == 339;
    file += number(static_cast<std::uint32_t>(tag), 2) + number(is_short ? 3 : 4, 2) + number(1, 4);
    file += is_short ? number(value, 2) + number(0, 2) : number(value, 4);
  }
  file += number(0, 4);
  REQUIRE(file.size() <= 256);
  file.resize(256);
  return file + data;
}

using Tags = std::vector<std::pair<int, std::uint32_t>>;

}  // namespace

TEST_CASE("TIFF files of either byte order, in tiles, white at zero, turned") {
  const TempDir folder;
  // 3 x 2 pixels in one tile of 16 x 16, the rest of which is not of the image.
  const Tags grey = {{256, 3}, {257, 2}, {258, 8}, {259, 1}, {262, 1}};
  for (const bool big : {false, true}) {
    Tags tags = grey;
    for (const auto& [tag, value] : Tags{{322, 16}, {323, 16}, {324, 256}, {325, 256}})
      tags.emplace_back(tag, value);
    std::string data = "\x01\x02\x03" + std::string(13, '_') + "\x04\x05\x06";
    data.resize(256, '_');
    const Image tiled = read_image(folder.write("a.tif", tiff(big, tags, data)));
    CHECK(tiled.width == 3);
    CHECK(tiled.pixels ==
          std::vector<std::uint8_t>{1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 6});
    tags[4].second = 0;
    CHECK(read_image(folder.write("a.tif", tiff(big, tags, data))).pixels[0] == 254);
    tags.insert(tags.begin() + 5, {274, 6});
    int width = 0, height = 0;
    read_image_size(folder.write("a.tif", tiff(big, tags, data)), width, height);
    CHECK(width == 2);
    CHECK(height == 3);
    CHECK(read_image(folder / "a.tif").pixels[0] == 251);
  }

  // Two strips of one row, the samples of 16 bits.
  Tags deep = {{256, 1}, {257, 1}, {258, 16}, {262, 1}, {273, 256}, {278, 1}, {279, 2}};
  for (const bool big : {false, true})
    CHECK(read_image(folder.write("b.tif", tiff(big, deep, big ? "\x80\x01" : "\x01\x80")))
              .pixels[0] == 128);

  // Two samples a pixel, grey and alpha that is not multiplied in: over black, as in a PNG.
  const Tags alpha = {{256, 2}, {257, 1}, {258, 8}, {262, 1}, {273, 256},
                      {277, 2}, {278, 1}, {279, 4}, {338, 2}};
  const Image over =
      read_image(folder.write("d.tif", tiff(false, alpha, std::string("\xc8\0\xc8\x80", 4))));
  CHECK(over.pixels == std::vector<std::uint8_t>{0, 0, 0, 100, 100, 100});

  const auto error = [&](int tag, std::uint32_t value) {
    Tags tags = {{256, 1}, {257, 1}, {258, 8}, {262, 1}, {273, 256}, {278, 1}, {279, 1}};
    for (auto& known : tags)
      if (known.first == tag) known.second = value;
    if (tag == 259 || tag == 284 || tag == 317 || tag == 339) tags.emplace_back(tag, value);
    if (tag == 277 || tag == 284) tags.emplace_back(277, tag == 277 ? value : 3);
    const auto path = folder.write("c.tif", tiff(false, tags, "x"));
    const std::string text = input_error([&] { read_image(path); });
    CHECK(text.rfind(path.string() + ": ", 0) == 0);
    return text;
  };
  CHECK(contains(error(258, 12), "TIFF image that cannot be read: "));
  CHECK(contains(error(258, 12), "12-bit"));
  CHECK(contains(error(257, 20000),
                 ": TIFF image of 1 x 20000 pixels; at most 16384 a side and 67108864 in all"));
  for (const auto& [tag, value] : Tags{{256, 0}, {273, 300}})
    CHECK(contains(error(tag, value), "damaged TIFF image: "));
  for (const auto& [tag, value] : Tags{{259, 7}, {259, 60000}, {262, 60000}, {277, 99}, {339, 3}}) {
    CAPTURE(tag, value);
    CHECK(contains(error(tag, value), "TIFF image"));
  }
}

TEST_CASE("BMP files of 32 bits with the upper row first, and those that cannot be read") {
  const TempDir folder;
  const auto u16 = [](int value) {
    return std::string{static_cast<char>(value & 0xff), static_cast<char>(value >> 8 & 0xff)};
  };
  const auto u32 = [&](int value) { return u16(value & 0xffff) + u16(value >> 16 & 0xffff); };
  const auto bmp = [&](int header, int width, int height, int bits, int compression,
                       const std::string& data) {
    return "BM" + u32(0) + u32(0) + u32(54) + u32(header) + u32(width) + u32(height) + u16(1) +
           u16(bits) + u32(compression) + std::string(20, '\0') + data;
  };
  const Image image = read_image(folder.write(
      "a.bmp", bmp(40, 1, -2, 32, 0, std::string("\x03\x02\x01\x09\x06\x05\x04\x00", 8))));
  CHECK(image.width == 1);
  CHECK(image.height == 2);
  CHECK(image.pixels == std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6});
  const auto error = [&](const std::string& bytes) {
    const auto path = folder.write("b.bmp", bytes);
    const std::string text = input_error([&] { read_image(path); });
    CHECK(text.rfind(path.string() + ": ", 0) == 0);
    return text;
  };
  CHECK(contains(error(bmp(12, 1, 1, 24, 0, "1234")), "BMP image with a header of 12 bytes"));
  CHECK(contains(error(bmp(40, 1, 1, 8, 1, "1234")), "BMP image of 8 bits with compression 1"));
  CHECK(contains(error(bmp(40, 1, 1, 16, 0, "1234")), "BMP image of 16 bits with compression 0"));
  CHECK(contains(error(bmp(40, 0, 1, 24, 0, "1234")), "damaged BMP image: it says it has 0 x 1"));
  CHECK(contains(error(bmp(40, 1, 1 << 30, 24, 0, "1234")),
                 "BMP image of 1 x 1073741824 pixels; at most "));
  CHECK(
      contains(error(bmp(40, 1, 2, 24, 0, "1234")), "damaged BMP image: the file ends too early"));
  CHECK(contains(error(bmp(40, 1, 1, 8, 0, "1234")), "a pixel's colour is not in its palette"));
}

TEST_CASE("images of too many pixels are refused by their headers, in every format") {
  const TempDir folder;
  const auto refused = [&](const std::string& name, const std::string& format,
                           const std::string& bytes) {
    CAPTURE(name);
    const auto path = folder.write(name, bytes);
    const std::string expected = path.string() + ": " + format +
                                 " image of 16384 x 4097 pixels; at most 16384 a side and "
                                 "67108864 in all can be read";
    CHECK(input_error([&] { read_image(path); }) == expected);
    int width = 0, height = 0;
    CHECK(input_error([&] { read_image_size(path, width, height); }) == expected);
  };
  std::string header("IHDR\0\0\x40\0\0\0\x10\x01\1\0\0\0\0", 17);
  const auto crc = crc32(0, reinterpret_cast<const Bytef*>(header.data()), 17);
  for (int shift = 24; shift >= 0; shift -= 8) header += static_cast<char>(crc >> shift & 0xff);
  refused("a.png", "PNG",
          std::string("\x89PNG\r\n\x1a\n\0\0\0\x0d", 12) + header +
              std::string("\0\0\0\0IDAT\x35\xaf\x06\x1e", 12));
  // 8 x 8 in the frame's header, which this puts in its place.
  std::string jpeg = jpeg_of({1, 2, 3}, false);
  const auto frame = jpeg.find("\xff\xc0");
  REQUIRE(frame != std::string::npos);
  jpeg.replace(frame + 5, 4, std::string("\x10\x01\x40\0", 4));
  refused("a.jpg", "JPEG", jpeg);
  refused(
      "a.tif", "TIFF",
      tiff(false, {{256, 16384}, {257, 4097}, {258, 8}, {262, 1}, {273, 256}, {278, 1}, {279, 1}},
           "x"));
  std::string bmp = "BM" + std::string(52, '\0');
  bmp[14] = 40;
  bmp.replace(18, 8, std::string("\0\x40\0\0\x01\x10\0\0", 8));
  bmp[28] = 24;
  refused("a.bmp", "BMP", bmp);
}

namespace {

/// A progressive JPEG of 64 x 64 pixels, ten scans, whose last stands `repeats` times more.
std::string progressive_jpeg(int repeats) {
  jpeg_compress_struct jpeg;
  jpeg_error_mgr errors;
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* memory = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &memory, &size);
  jpeg.image_width = jpeg.image_height = 64;
  jpeg.input_components = 3;
  jpeg.in_color_space = JCS_RGB;
  jpeg_set_defaults(&jpeg);
  jpeg_simple_progression(&jpeg);
  jpeg_start_compress(&jpeg, TRUE);
  const Image image = gradient(64, 64);
  while (jpeg.next_scanline < jpeg.image_height) {
    JSAMPROW row = const_cast<JSAMPROW>(image.pixels.data()) + 64 * 3 * jpeg.next_scanline;
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  std::string bytes(reinterpret_cast<const char*>(memory), size);
  std::free(memory);
  const auto last = bytes.rfind("\xff\xda");
  const std::string scan = bytes.substr(last, bytes.size() - 2 - last);
  for (int i = 0; i < repeats; ++i) bytes.insert(last, scan);
  return bytes;
}

}  // namespace

TEST_CASE("progressive JPEG files have a few dozen scans, not hundreds") {
  const TempDir folder;
  CHECK(read_image(folder.write("a.jpg", progressive_jpeg(0))).width == 64);
  CHECK(read_image(folder.write("a.jpg", progressive_jpeg(40))).width == 64);
  for (const int repeats : {41, 500}) {
    const auto path = folder.write("bomb.jpg", progressive_jpeg(repeats));
    CHECK(input_error([&] { read_image(path); }) ==
          path.string() + ": damaged JPEG image: it has more than 50 scans");
  }
}
