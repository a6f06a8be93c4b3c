#pragma once
/// \file
/// What the renderers of the phantoms and of the shapes share. Internal to the data module.

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "data/image.h"
#include "data/phantoms/drawing.h"
#include "strata/core/random.h"

namespace strata::data {

struct Rgb {
  double r = 0, g = 0, b = 0;
};

inline double clamp01(double x) {
  return x < 0 ? 0 : x > 1 ? 1 : x;
}
inline double mix(double a, double b, double t) {
  return a + (b - a) * t;
}
inline Rgb mix(const Rgb& a, const Rgb& b, double t) {
  return {mix(a.r, b.r, t), mix(a.g, b.g, t), mix(a.b, b.b, t)};
}
inline Rgb operator*(const Rgb& c, double s) {
  return {c.r * s, c.g * s, c.b * s};
}
inline Rgb grey(double v) {
  return {v, v, v};
}
/// 0 below low, 1 above high, smooth between.
double smooth_step(double low, double high, double x);
/// How much of a pixel lies inside a border at the signed distance d (negative inside).
inline double cover(double d) {
  return clamp01(0.5 - d);
}

/// exp, sin and cos to about 1e-12, from basic operations only.
double exact_exp(double x);
double exact_sin(double x);
double exact_cos(double x);
/// log of x > 0, and x^p of x ≥ 0 (0 for x = 0), likewise; 1^p is exactly 1.
double exact_log(double x);
double exact_pow(double x, double p);

/// Nearly normal with mean 0 and standard deviation 1 (a sum of four uniforms).
double noise_sample(Random& random);

double distance(double x0, double y0, double x1, double y1);
double segment_distance(double x, double y, double x0, double y0, double x1, double y1);

struct Ellipse {
  double x, y, a, b;            ///< centre and half axes
  double cosine = 1, sine = 0;  ///< of the rotation
  /// Normalised radius: 0 at the centre, 1 on the border.
  double radius(double px, double py) const;
  /// Signed distance to the border, nearly: exact on it, negative inside.
  double distance(double px, double py) const;
};

/// Smooth random field with values in [-1, 1]: value noise on the integer lattice.
class Noise {
 public:
  explicit Noise(Random& random) : seed_(random()) {}
  double at(double x, double y) const;
  /// Three octaves, in [-1, 1].
  double fractal(double x, double y) const;

 private:
  double lattice(std::int64_t x, std::int64_t y) const;
  std::uint64_t seed_;
};

/// One finding in the picture.
struct Mark {
  double x, y, radius;
  int kind;  ///< 0 or 1, as PhantomFacts::findings
  /// 0 at the centre, 1 on the border.
  double at(double px, double py) const;
};

struct Radii {
  double small = 3.0, large = 6.0;
};

/// Places the findings of `facts` where `room(mark)` allows, clear of the midline, of the image's
/// border and of each other (by distance, or by `apart` where given). Empty if no place was found.
std::optional<std::vector<Mark>> place(
    const PhantomFacts& facts, Random& random, const Radii& radii,
    const std::function<bool(const Mark&)>& room,
    const std::function<bool(const Mark&, const Mark&)>& apart = {});

/// Evaluates colour(x, y) at every pixel's centre, row by row, and rounds to 8 bits.
template <typename Colour>
Image paint(int size, Colour colour) {
  Image image{size, size, {}};
  image.pixels.reserve(static_cast<std::size_t>(size) * size * 3);
  const double scale = 64.0 / size;
  for (int j = 0; j < size; ++j)
    for (int i = 0; i < size; ++i) {
      const Rgb c = colour((i + 0.5) * scale, (j + 0.5) * scale);
      for (const double v : {c.r, c.g, c.b})
        image.pixels.push_back(static_cast<std::uint8_t>(clamp01(v) * 255 + 0.5));
    }
  return image;
}

}  // namespace strata::data
