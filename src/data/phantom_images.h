#pragma once
/// \file
/// The pictures of the phantoms: one renderer a modality. Internal to the data module.
///
/// Coordinates are in 1/64 of the image's side, whatever its size in pixels: x to the right, y
/// down, the image's midline at x = 32. "left" and "right" are those of the viewer. Only +, -, *,
/// /, sqrt, floor and ldexp are used, which IEEE 754 fixes to the last bit (the sources are
/// compiled without contraction into fused multiply-adds), so that a seed gives the same pixels on
/// every machine. For the same reason no full expression draws two random numbers where C++ leaves
/// the order of evaluation open.

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "data/image.h"
#include "strata/core/random.h"

namespace strata::data {

enum class Side { kLeft, kRight, kBoth };

struct FindingFacts {
  int count = 0;  ///< 0: not there
  Side side = Side::kLeft;
  bool large = false;
};

/// What is to be seen: indices into the modality's structures and findings.
struct PhantomFacts {
  int structure = 0;
  std::array<FindingFacts, 2> findings;
};

struct PhantomDrawing {
  const PhantomFacts& facts;
  int size;
  Random& random;
};

/// Draws the facts, or nothing where the findings did not fit into this draw's anatomy.
using Renderer = std::optional<Image> (*)(const PhantomDrawing&);

std::optional<Image> draw_xray(const PhantomDrawing& drawing);  // lungs, knee: opacity, cavity
std::optional<Image> draw_ct(const PhantomDrawing& drawing);    // lungs, liver: nodule, cyst
std::optional<Image> draw_mri(const PhantomDrawing& drawing);   // brain, knee: lesion, bleed
std::optional<Image> draw_ultrasound(const PhantomDrawing& drawing);  // liver, kidney: cyst, stone
std::optional<Image> draw_oct(const PhantomDrawing& drawing);     // macula, optic disc: cyst, druse
std::optional<Image> draw_fundus(const PhantomDrawing& drawing);  // the same: hemorrhage, exudate
std::optional<Image> draw_dermoscopy(const PhantomDrawing& drawing);  // skin, palm: mole, angioma
std::optional<Image> draw_histology(
    const PhantomDrawing& drawing);  // colon, lymph node: nest, vacuole
std::optional<Image> draw_endoscopy(const PhantomDrawing& drawing);  // colon, stomach: polyp, ulcer

/// How a shapes image looks: `kinds` are the shapes (0 circle, 1 square, 2 triangle) of the two
/// entries of PhantomFacts::findings, `colours` index shape_colours(); without `coloured`
/// everything is grey.
struct ShapesStyle {
  std::array<int, 2> kinds;
  std::array<int, 2> colours;
  bool coloured = true;
};
const std::vector<std::string>& shape_colours();
std::optional<Image> draw_shapes(const PhantomDrawing& drawing, const ShapesStyle& style);

// The tools the renderers and the shapes share.

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
