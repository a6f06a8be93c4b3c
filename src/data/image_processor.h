#pragma once
/// \file
/// What becomes of an image before a model sees it: Hugging Face's image processors, without their
/// files (models/preprocessor_config.h reads those).

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "data/image.h"

namespace strata::data {

struct ImageSize {
  int width = 0, height = 0;
};
inline bool operator==(ImageSize a, ImageSize b) {
  return a.width == b.width && a.height == b.height;
}
inline bool operator!=(ImageSize a, ImageSize b) {
  return !(a == b);
}
/// "150 x 100", width first.
std::string size_text(ImageSize size);

/// How an image is cut into tiles: none where it is one as a whole, or else so many beside the
/// whole.
struct TileGrid {
  int rows = 0, columns = 0;

  int images() const { return rows * columns + 1; }
};

/// Padded, resized, then cropped, then scaled and normalised: a channel's value v of 0 to 255
/// becomes (v · rescale_factor - mean) / std. The defaults are those of a ViT for 224 pixels.
struct ImageProcessor {
  /// First of all made a square, with the image in its middle, of the colour `mean`
  /// (LlavaImageProcessor's do_pad, LLaVA's `image_aspect_ratio: pad`).
  bool pad_square = false;
  /// Where positive, first resized to this longer side, the aspect kept and the other side even,
  /// then as `resize` says (Idefics3ImageProcessor).
  int longest_edge = 0;
  enum class Resize {
    kNone,
    kExact,         ///< to `size`, whatever the image's aspect
    kShortestEdge,  ///< the shorter side to `shortest_edge`, the aspect kept
    kViltShortest,  ///< likewise, but with the longer side at most 1333 / 800 of it, and both sides
                    ///< then rounded down to multiples of `size_divisor` (ViltImageProcessor)
    kTiles,         ///< both sides to multiples of those of `size`, a tile: see `tiles`
  };
  Resize resize = Resize::kExact;
  ImageSize size = {224, 224};
  int shortest_edge = 0, size_divisor = 1;
  Filter filter = Filter::kBilinear;
  std::optional<ImageSize> crop = {};  ///< from the middle

  bool rescale = true, normalize = true;
  double rescale_factor = 1.0 / 255;
  std::array<double, 3> mean = {0.5, 0.5, 0.5}, std = {0.5, 0.5, 0.5};
  /// ViLT's do_pad. Batches of several sizes are always padded; without it transformers makes none.
  bool pad = true;

  /// Of what model: whether its images must all have one size, and of what their sides must be
  /// multiples.
  std::optional<ImageSize> only_size = {};
  int multiple_of = 1;
  std::int64_t most_patches = -1;  ///< squares of `multiple_of`; negative: any number

  /// Squares of `side` pixels, bilinear.
  static ImageProcessor square(int side);

  /// The size after `apply`. @throws InputError, to be preceded by the image's name: a side of no
  /// pixels, not the model's only size, no multiple, too many patches, smaller than the crop,
  /// larger than an image, also as a square.
  ImageSize output_size(ImageSize image) const;
  /// Where it is the same for every image.
  std::optional<ImageSize> constant_size() const;
  /// Of an image after `apply` with kTiles, which has its tiles in their rows and columns and below
  /// them, at the left of one more row that is black, the whole of it as a tile; one that fits into
  /// a tile is that alone (Idefics3ImageProcessor's do_image_splitting).
  TileGrid tiles(ImageSize applied) const;
  /// Resized and cropped.
  Image apply(const Image& image) const;
  /// That of `pad_square`: 255 times the mean, rounded down.
  std::array<std::uint8_t, 3> square_colour() const;
  /// Bytes of an image as it comes out, about.
  std::size_t typical_bytes() const;
  /// All that `apply` depends on, as a key.
  std::string key() const;

 private:
  Image apply_tiles(const Image& image, ImageSize out) const;
};

}  // namespace strata::data
