#include "data/image_processor.h"

#include <algorithm>

#include "data/image_limits.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

/// transformers' get_resize_output_image_size of ViLT, to the same rounding.
ImageSize vilt_size(ImageSize image, double shortest, int divisor) {
  const double longest = static_cast<int>(1333.0 / 800.0 * shortest);
  double scale = shortest / std::min(image.width, image.height);
  const bool wide = image.height < image.width;
  double width = wide ? scale * image.width : shortest;
  double height = wide ? shortest : scale * image.height;
  if (std::max(width, height) > longest) {
    scale = longest / std::max(width, height);
    width = scale * width;
    height = scale * height;
  }
  const auto rounded = [&](double side) {
    return static_cast<int>(side + 0.5) / divisor * divisor;
  };
  return {rounded(width), rounded(height)};
}

ImageSize shortest_size(ImageSize image, int shortest) {
  const auto [low, high] = std::minmax(image.width, image.height);
  const auto longer = static_cast<std::int64_t>(static_cast<double>(shortest) * high / low);
  const int other = static_cast<int>(std::min<std::int64_t>(longer, kMaxImageSide + 1));
  return image.width <= image.height ? ImageSize{shortest, other} : ImageSize{other, shortest};
}

/// To a longer side of so many pixels, by the rounding of transformers'
/// _resize_output_size_rescale_to_max_len of Idefics 3.
ImageSize longest_size(ImageSize image, int longest) {
  const double aspect = static_cast<double>(image.width) / image.height;
  const auto even = [](double side) {
    const int whole = static_cast<int>(side);
    return std::max(whole + whole % 2, 1);
  };
  if (image.width >= image.height) return {longest, even(longest / aspect)};
  return {even(longest * aspect), longest};
}

/// Rounded up to whole tiles of `side` pixels, the longer side first and the other one by it, as
/// transformers' resize_for_vision_encoder of Idefics 3 has it.
ImageSize whole_tiles(ImageSize image, int side) {
  const double aspect = static_cast<double>(image.width) / image.height;
  const auto up = [side](double length) {
    return (std::max(static_cast<int>(length), 1) + side - 1) / side * side;
  };
  if (image.width >= image.height) {
    const int width = up(image.width);
    return {width, up(width / aspect)};
  }
  const int height = up(image.height);
  return {up(height * aspect), height};
}

/// The whole image as a tile of `side` pixels below its tiles, at the left.
Image with_whole_below(Image tiles, int side, Filter filter) {
  const Image whole = resize(tiles, side, side, filter);
  const std::ptrdiff_t length = std::ptrdiff_t{side} * 3;
  for (int y = 0; y < side; ++y) {
    const auto row = whole.pixels.begin() + y * length;
    tiles.pixels.insert(tiles.pixels.end(), row, row + length);
    tiles.pixels.resize(tiles.pixels.size() + static_cast<std::size_t>(tiles.width - side) * 3);
  }
  tiles.height += side;
  return tiles;
}

/// An image in the middle of the smallest square that holds it.
Image squared(const Image& image, const std::array<std::uint8_t, 3>& colour) {
  const int side = std::max(image.width, image.height);
  const int left = (side - image.width) / 2, top = (side - image.height) / 2;
  Image square{side, side, {}};
  square.pixels.reserve(static_cast<std::size_t>(side) * static_cast<std::size_t>(side) * 3);
  const auto fill = [&](std::int64_t pixels) {
    for (std::int64_t i = 0; i < pixels; ++i)
      square.pixels.insert(square.pixels.end(), colour.begin(), colour.end());
  };
  fill(std::int64_t{top} * side);
  for (int y = 0; y < image.height; ++y) {
    const auto row = image.pixels.begin() + std::ptrdiff_t{y} * image.width * 3;
    fill(left);
    square.pixels.insert(square.pixels.end(), row, row + std::ptrdiff_t{image.width} * 3);
    fill(side - image.width - left);
  }
  fill(std::int64_t{side - image.height - top} * side);
  return square;
}

}  // namespace

std::string size_text(ImageSize size) {
  return std::to_string(size.width) + " x " + std::to_string(size.height);
}

ImageProcessor ImageProcessor::square(int side) {
  ImageProcessor processor;
  processor.size = {side, side};
  return processor;
}

std::array<std::uint8_t, 3> ImageProcessor::square_colour() const {
  std::array<std::uint8_t, 3> colour = {};
  for (std::size_t i = 0; i < 3; ++i)
    colour[i] = static_cast<std::uint8_t>(std::clamp(mean[i] * 255, 0.0, 255.0));
  return colour;
}

ImageSize ImageProcessor::output_size(ImageSize image) const {
  const ImageSize original = image;
  if (pad_square) image.width = image.height = std::max(image.width, image.height);
  if (pad_square && !image_fits(static_cast<std::uint64_t>(image.width),
                                static_cast<std::uint64_t>(image.height))) {
    throw InputError("an image of " + size_text(original) + " pixels becomes too large a square");
  }
  ImageSize out = image;
  if (resize == Resize::kExact) out = size;
  if (resize == Resize::kShortestEdge) out = shortest_size(image, shortest_edge);
  if (resize == Resize::kViltShortest) out = vilt_size(image, shortest_edge, size_divisor);
  if (resize == Resize::kTiles) {
    out = whole_tiles(longest_edge > 0 ? longest_size(image, longest_edge) : image, size.width);
    if (out != size) out.height += size.height;
  }
  const std::string becomes =
      "an image of " + size_text(original) + " pixels becomes one of " + size_text(out) + " pixels";
  if (out.width < 1 || out.height < 1) {
    throw InputError(becomes + ", as its sides are rounded down to multiples of " +
                     std::to_string(size_divisor) + " (size_divisor); it is too long and thin");
  }
  if (std::max(out.width, out.height) > static_cast<int>(kMaxImageSide)) {
    throw InputError("an image of " + size_text(original) + " pixels becomes too long a one");
  }
  if (crop) {
    if (crop->width > out.width || crop->height > out.height) {
      throw InputError(becomes + ", which is smaller than the " + size_text(*crop) +
                       " that are to be cut out of it (crop_size)");
    }
    out = *crop;
  }
  if (only_size && out != *only_size) {
    throw InputError(becomes + ", but the model reads images of " + size_text(*only_size) +
                     " only");
  }
  if (out.width % multiple_of != 0 || out.height % multiple_of != 0) {
    throw InputError(becomes + ", whose sides are not multiples of the patch size " +
                     std::to_string(multiple_of));
  }
  const auto patches = std::int64_t{out.width / multiple_of} * (out.height / multiple_of);
  if (most_patches >= 0 && patches > most_patches) {
    throw InputError(becomes + ", whose " + std::to_string(patches) +
                     " patches are more than max_image_length = " + std::to_string(most_patches) +
                     " in config.json; transformers draws so many at random, -1 reads all");
  }
  return out;
}

std::optional<ImageSize> ImageProcessor::constant_size() const {
  if (resize == Resize::kExact) return crop ? *crop : size;
  // With a crop images may still be too small for it, which has to be found out first.
  if (resize == Resize::kShortestEdge && crop &&
      std::max(crop->width, crop->height) <= shortest_edge)
    return *crop;
  return {};
}

TileGrid ImageProcessor::tiles(ImageSize applied) const {
  if (applied == size) return {};
  return {applied.height / size.height - 1, applied.width / size.width};
}

Image ImageProcessor::apply_tiles(const Image& image, ImageSize out) const {
  Image resized;
  if (longest_edge > 0) {
    const ImageSize before = longest_size({image.width, image.height}, longest_edge);
    resized = strata::data::resize(image, before.width, before.height, filter);
  }
  const bool one = out == size;
  Image grid = strata::data::resize(longest_edge > 0 ? resized : image, out.width,
                                    one ? out.height : out.height - size.height, filter);
  return one ? grid : with_whole_below(std::move(grid), size.width, filter);
}

Image ImageProcessor::apply(const Image& image) const {
  ImageProcessor uncropped = *this;
  uncropped.crop.reset();
  uncropped.only_size.reset();
  uncropped.multiple_of = 1;
  uncropped.most_patches = -1;
  const ImageSize out = output_size({image.width, image.height});
  if (resize == Resize::kTiles) return apply_tiles(image, out);
  const ImageSize full = uncropped.output_size({image.width, image.height});
  const auto to = [&](const Image& from, ImageSize size) {
    return strata::data::resize(from, size.width, size.height, filter);
  };
  Image before;  // of what is resized, where that is not the image itself
  if (pad_square) before = squared(image, square_colour());
  if (longest_edge > 0) {
    const Image& from = pad_square ? before : image;
    before = to(from, longest_size({from.width, from.height}, longest_edge));
  }
  Image resized = to(pad_square || longest_edge > 0 ? before : image, full);
  if (out == full) return resized;
  const int left = (full.width - out.width) / 2, top = (full.height - out.height) / 2;
  Image cut{out.width, out.height, {}};
  for (int y = 0; y < out.height; ++y) {
    const auto row =
        resized.pixels.begin() + (static_cast<std::ptrdiff_t>(top + y) * full.width + left) * 3;
    cut.pixels.insert(cut.pixels.end(), row, row + static_cast<std::ptrdiff_t>(out.width) * 3);
  }
  return cut;
}

std::size_t ImageProcessor::typical_bytes() const {
  const auto constant = constant_size();
  constexpr int kUnknown = 384;
  int side = resize == Resize::kNone ? kUnknown : shortest_edge;
  if (resize == Resize::kTiles) side = std::max(longest_edge, size.width) + size.width;
  const ImageSize typical = constant ? *constant : ImageSize{side, side};
  return std::size_t{3} * static_cast<std::size_t>(typical.width) *
         static_cast<std::size_t>(typical.height);
}

std::string ImageProcessor::key() const {
  std::string text = "filter " + std::to_string(static_cast<int>(filter));
  if (resize == Resize::kNone) text = "as it is";
  if (resize == Resize::kExact) text += " to " + size_text(size);
  if (resize == Resize::kShortestEdge) text += " shortest " + std::to_string(shortest_edge);
  if (resize == Resize::kViltShortest)
    text += " vilt " + std::to_string(shortest_edge) + " by " + std::to_string(size_divisor);
  if (resize == Resize::kTiles) text += " tiles of " + size_text(size);
  if (longest_edge > 0) text += " from longest " + std::to_string(longest_edge);
  if (pad_square) {
    text += " in a square of";
    for (const std::uint8_t value : square_colour()) text += " " + std::to_string(value);
  }
  return crop ? text + " crop " + size_text(*crop) : text;
}

}  // namespace strata::data
