#include "data/stack_augmentation.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "data/phantoms/tools.h"

namespace strata::data {
namespace {

constexpr double kSteps = 255;

/// 0 … 1 as eight bits, cut off as numpy's astype does, in 32 bits: k / 255 is k again.
std::uint8_t in_steps(float value) {
  return static_cast<std::uint8_t>(std::clamp(value, 0.0F, 1.0F) * static_cast<float>(kSteps));
}

template <typename Value>
Planes<Value> quarter_turn(const Planes<Value>& from) {
  Planes<Value> to(from.count, from.width, from.height);
  for (std::int64_t i = 0; i < from.count; ++i)
    for (std::int64_t row = 0; row < to.height; ++row)
      for (std::int64_t column = 0; column < to.width; ++column)
        to.at(i, row, column) = from.at(i, column, from.width - 1 - row);
  return to;
}

template <typename Value>
void flip(Planes<Value>& planes, bool sideways) {
  for (std::int64_t i = 0; i < planes.count; ++i)
    for (std::int64_t row = 0; row < planes.height; ++row) {
      Value* line = planes.plane(i) + row * planes.width;
      if (sideways)
        std::reverse(line, line + planes.width);
      else if (row < planes.height / 2)
        std::swap_ranges(line, line + planes.width,
                         planes.plane(i) + (planes.height - 1 - row) * planes.width);
    }
}

/// Every pixel (row, column) is that of `from` at source(row, column), a pair of whole numbers;
/// outside of the image it is 0.
template <typename Value, typename Source>
Planes<Value> taken_from(const Planes<Value>& from, Source source) {
  Planes<Value> to(from.count, from.height, from.width);
  for (std::int64_t row = 0; row < to.height; ++row)
    for (std::int64_t column = 0; column < to.width; ++column) {
      const auto [y, x] = source(row, column);
      if (y < 0 || x < 0 || y >= from.height || x >= from.width) continue;
      for (std::int64_t i = 0; i < to.count; ++i) to.at(i, row, column) = from.at(i, y, x);
    }
  return to;
}

using EightBits = std::vector<std::uint8_t>;

EightBits eight_bits(const ImagePlanes& image, std::int64_t plane) {
  EightBits bytes(image.area());
  std::transform(image.plane(plane), image.plane(plane) + image.area(), bytes.begin(),
                 [](float value) { return in_steps(value); });
  return bytes;
}

/// Each slice through `change`, which takes and returns eight bits.
template <typename Change>
void change_slices(ImagePlanes& image, Change change) {
  for (std::int64_t i = 0; i < image.count; ++i) {
    const EightBits changed = change(eight_bits(image, i));
    std::transform(changed.begin(), changed.end(), image.plane(i), [](std::uint8_t value) {
      return static_cast<float>(value) / static_cast<float>(kSteps);
    });
  }
}

/// Pillow's Image.blend(other, image, by): beyond 0 and 1 it goes on, cut off at 0 and 255.
EightBits blended(const EightBits& other, const EightBits& image, double by) {
  EightBits out(image.size());
  const auto share = static_cast<float>(by);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const float value = static_cast<float>(other[i]) +
                        share * static_cast<float>(static_cast<int>(image[i]) - other[i]);
    out[i] = static_cast<std::uint8_t>(std::clamp(value, 0.0F, 255.0F));
  }
  return out;
}

/// Pillow's ImageFilter.SMOOTH: 5 in the middle and 1 around it, of 13; the border stays.
EightBits smoothed(const EightBits& image, std::int64_t height, std::int64_t width) {
  EightBits out = image;
  for (std::int64_t row = 1; row + 1 < height; ++row)
    for (std::int64_t column = 1; column + 1 < width; ++column) {
      int sum = 4 * image[static_cast<std::size_t>(row * width + column)];
      for (std::int64_t dy = -1; dy <= 1; ++dy)
        for (std::int64_t dx = -1; dx <= 1; ++dx)
          sum += image[static_cast<std::size_t>((row + dy) * width + column + dx)];
      out[static_cast<std::size_t>(row * width + column)] =
          static_cast<std::uint8_t>((2 * sum + 13) / 26);
    }
  return out;
}

/// Pillow's bilinear filter at a place given in pixels' edges; 0 outside of the image.
std::uint8_t bilinear(const EightBits& image, std::int64_t height, std::int64_t width, double x,
                      double y) {
  if (x < 0 || y < 0 || x >= static_cast<double>(width) || y >= static_cast<double>(height))
    return 0;
  const double left = std::floor(x - 0.5), top = std::floor(y - 0.5);
  const double dx = x - 0.5 - left, dy = y - 0.5 - top;
  const auto column = static_cast<std::int64_t>(left), row = static_cast<std::int64_t>(top);
  const auto at = [&](std::int64_t r, std::int64_t c) {
    return static_cast<double>(
        image[static_cast<std::size_t>(std::clamp<std::int64_t>(r, 0, height - 1) * width +
                                       std::clamp<std::int64_t>(c, 0, width - 1))]);
  };
  const auto across = [&](std::int64_t r) {
    return at(r, column) + (at(r, column + 1) - at(r, column)) * dx;
  };
  const double upper = across(row);
  return static_cast<std::uint8_t>(upper + (across(row + 1) - upper) * dy);
}

ErasedBox draw_box(const ImagePlanes& image, Random& random) {
  while (true) {
    const double area = random.uniform(0.02, 0.05) * static_cast<double>(image.area());
    const double ratio = random.uniform(0.3, 3.3);
    ErasedBox box;
    box.columns = static_cast<std::int64_t>(std::sqrt(area * ratio));
    box.rows = static_cast<std::int64_t>(std::sqrt(area / ratio));
    if (box.columns >= image.width || box.rows >= image.height) continue;
    box.row = random.between(0, image.height - box.rows);
    box.column = random.between(0, image.width - box.columns);
    return box;
  }
}

/// One of the ten, by a number drawn from its range.
struct Variation {
  double low, high;
  void (*vary)(StackPair& stack, double by);
};

constexpr Variation kVariations[] = {
    {-0.3, 0.3, [](StackPair& s, double by) { move_pixels(s, shear_columns(s, by)); }},
    {-0.3, 0.3, [](StackPair& s, double by) { move_pixels(s, shear_rows(s, by)); }},
    {0.8, 1.2, [](StackPair& s, double by) { move_pixels(s, scale_both(by)); }},
    {-0.2, 0.2, [](StackPair& s, double by) { move_pixels(s, move_columns(s, by)); }},
    {-0.2, 0.2, [](StackPair& s, double by) { move_pixels(s, move_rows(s, by)); }},
    {4, 8.99, [](StackPair& s, double by) { posterize(s, static_cast<int>(by)); }},
    {0.7, 1.3, change_contrast},
    {0.7, 1.3, change_brightness},
    {0.1, 1.9, change_sharpness},
    {0, 1, [](StackPair&, double) {}},
};

}  // namespace

void turn_and_flip(StackPair& stack, int quarters, bool sideways) {
  for (int i = 0; i < quarters; ++i) {
    stack.image = quarter_turn(stack.image);
    stack.mask = quarter_turn(stack.mask);
  }
  flip(stack.image, sideways);
  flip(stack.mask, sideways);
}

void rotate(StackPair& stack, int degrees) {
  constexpr double kRadian = 3.141592653589793 / 180;
  const double cosine = exact_cos(degrees * kRadian), sine = exact_sin(degrees * kRadian);
  const double middle_row = static_cast<double>(stack.image.height - 1) / 2,
               middle_column = static_cast<double>(stack.image.width - 1) / 2;
  const auto source = [&](std::int64_t row, std::int64_t column) {
    const double dy = static_cast<double>(row) - middle_row,
                 dx = static_cast<double>(column) - middle_column;
    const double y = cosine * dy + sine * dx + middle_row,
                 x = cosine * dx - sine * dy + middle_column;
    // Half a pixel outside of the outermost centres is outside for scipy.
    const bool outside = y < 0 || x < 0 || y > 2 * middle_row || x > 2 * middle_column;
    return outside ? std::pair<std::int64_t, std::int64_t>{-1, -1}
                   : std::pair<std::int64_t, std::int64_t>{
                         static_cast<std::int64_t>(std::floor(y + 0.5)),
                         static_cast<std::int64_t>(std::floor(x + 0.5))};
  };
  stack.image = taken_from(stack.image, source);
  stack.mask = taken_from(stack.mask, source);
}

void change_gamma(StackPair& stack, double gamma) {
  std::array<float, 256> table{};
  for (std::size_t i = 0; i < table.size(); ++i)
    table[i] = static_cast<float>(
        std::floor(exact_pow(static_cast<double>(i) / kSteps, 1 / gamma) * kSteps) / kSteps);
  for (float& value : stack.image.values) value = table[in_steps(value)];
}

void erase(StackPair& stack, const ErasedBox& box, Random& noise) {
  for (std::int64_t row = box.row; row < box.row + box.rows; ++row)
    for (std::int64_t column = box.column; column < box.column + box.columns; ++column) {
      const auto value = static_cast<float>(noise.uniform());
      for (std::int64_t i = 0; i < stack.image.count; ++i) {
        stack.image.at(i, row, column) = value;
        stack.mask.at(i, row, column) = 0;
      }
    }
}

void move_pixels(StackPair& stack, const PixelMap& map) {
  const std::int64_t height = stack.image.height, width = stack.image.width;
  const auto place = [&](std::int64_t row, std::int64_t column) {
    const double x = static_cast<double>(column) + 0.5, y = static_cast<double>(row) + 0.5;
    return std::pair{map.a * x + map.b * y + map.c, map.d * x + map.e * y + map.f};
  };
  change_slices(stack.image, [&](const EightBits& from) {
    EightBits to(from.size());
    for (std::int64_t row = 0; row < height; ++row)
      for (std::int64_t column = 0; column < width; ++column) {
        const auto [x, y] = place(row, column);
        to[static_cast<std::size_t>(row * width + column)] = bilinear(from, height, width, x, y);
      }
    return to;
  });
  stack.mask = taken_from(stack.mask, [&](std::int64_t row, std::int64_t column) {
    const auto [x, y] = place(row, column);
    return std::pair{static_cast<std::int64_t>(std::floor(y)),
                     static_cast<std::int64_t>(std::floor(x))};
  });
}

PixelMap shear_columns(const StackPair& stack, double by) {
  return {1, by, -by * static_cast<double>(stack.image.width) / 2, 0, 1, 0};
}

PixelMap shear_rows(const StackPair& stack, double by) {
  return {1, 0, 0, by, 1, -by * static_cast<double>(stack.image.height) / 2};
}

PixelMap scale_both(double by) {
  return {by, 0, 0, 0, by, 0};
}

PixelMap move_columns(const StackPair& stack, double by) {
  return {1, 0, by * static_cast<double>(stack.image.width), 0, 1, 0};
}

PixelMap move_rows(const StackPair& stack, double by) {
  return {1, 0, 0, 0, 1, by * static_cast<double>(stack.image.height)};
}

void posterize(StackPair& stack, int bits) {
  const auto kept = static_cast<std::uint8_t>(256 - (1 << (8 - bits)));
  change_slices(stack.image, [&](EightBits image) {
    for (std::uint8_t& value : image) value &= kept;
    return image;
  });
}

void change_contrast(StackPair& stack, double by) {
  change_slices(stack.image, [&](const EightBits& image) {
    double sum = 0;
    for (const std::uint8_t value : image) sum += value;
    const double mean = std::floor(sum / static_cast<double>(image.size()) + 0.5);
    return blended(EightBits(image.size(), static_cast<std::uint8_t>(mean)), image, by);
  });
}

void change_brightness(StackPair& stack, double by) {
  change_slices(stack.image, [&](const EightBits& image) {
    return blended(EightBits(image.size()), image, by);
  });
}

void change_sharpness(StackPair& stack, double by) {
  change_slices(stack.image, [&](const EightBits& image) {
    return blended(smoothed(image, stack.image.height, stack.image.width), image, by);
  });
}

void augment(StackPair& stack, Random& random) {
  const auto one_half = [&] { return random.below(2) == 1; };
  if (one_half()) {
    const int quarters = static_cast<int>(random.below(4));
    turn_and_flip(stack, quarters, one_half());
  }
  if (one_half()) rotate(stack, static_cast<int>(random.between(-15, 14)));
  if (one_half()) change_gamma(stack, random.uniform(0.5, 3.5));
  if (one_half()) {
    const ErasedBox box = draw_box(stack.image, random);
    erase(stack, box, random);
  }
  for (const int chosen : random.sample(static_cast<int>(std::size(kVariations)), 2)) {
    const Variation& variation = kVariations[chosen];
    variation.vary(stack, random.uniform(variation.low, variation.high));
  }
}

}  // namespace strata::data
