// Circles, squares and triangles on backgrounds of many kinds: what a model learns here about
// presence, side, number and size is meant to transfer to the phantoms.
#include "data/phantoms/shapes.h"

#include <algorithm>
#include <cmath>

#include "data/phantoms/tools.h"

namespace strata::data {
namespace {

constexpr Rgb kColours[] = {{0.90, 0.12, 0.12},
                            {0.10, 0.65, 0.20},
                            {0.12, 0.25, 0.90},
                            {0.95, 0.85, 0.10},
                            {0.55, 0.15, 0.70}};

double shape_distance(int shape, const Mark& mark, double x, double y) {
  const double dx = x - mark.x, dy = y - mark.y, r = mark.radius;
  switch (shape) {
    case 0:
      return std::sqrt(dx * dx + dy * dy) - r;
    case 1:
      return std::max(std::abs(dx), std::abs(dy)) - 0.88 * r;
    default:
      return std::max(dy - 0.75 * r, 0.894 * std::abs(dx) - 0.447 * (dy + 1.2 * r));
  }
}

double contrast(const Rgb& a, const Rgb& b) {
  return std::sqrt((a.r - b.r) * (a.r - b.r) + (a.g - b.g) * (a.g - b.g) +
                   (a.b - b.b) * (a.b - b.b));
}

double luminance(const Rgb& c) {
  return 0.3 * c.r + 0.59 * c.g + 0.11 * c.b;
}

}  // namespace

const std::vector<std::string>& shape_colours() {
  static const std::vector<std::string> colours = {"red", "green", "blue", "yellow", "purple"};
  return colours;
}

std::optional<Image> draw_shapes(const PhantomDrawing& drawing, const ShapesStyle& style) {
  Random& random = drawing.random;
  const auto marks = place(drawing.facts, random, {3.4, 6.5}, [](const Mark&) { return true; });
  if (!marks) return {};
  const Noise coarse(random), fine(random);
  const double turn = random.uniform(0, 6.283185307179586);
  const double along = exact_cos(turn), across = exact_sin(turn);
  const auto background_colour = [&] {
    if (!style.coloured) return grey(random.uniform(0.05, 0.95));
    for (;;) {
      Rgb c = grey(random.uniform(0.05, 0.95));
      for (double* channel : {&c.r, &c.g, &c.b}) *channel += random.uniform(-0.1, 0.1);
      if (contrast(c, kColours[style.colours[0]]) > 0.55 &&
          contrast(c, kColours[style.colours[1]]) > 0.55)
        return c;
    }
  };
  const Rgb first = background_colour();
  const bool gradient = random.below(2) == 0;
  const Rgb second = gradient ? mix(first, background_colour(), 0.6) : first;
  const double clouds = random.below(2) == 0 ? random.uniform(0.05, 0.2) : 0;
  const double stripes = random.below(4) == 0 ? random.uniform(0.04, 0.1) : 0;
  const double grain = random.below(2) == 0 ? random.uniform(0.02, 0.09) : 0.01;
  const bool vignette = random.below(4) == 0;
  std::array<Rgb, 2> fill;
  for (int k = 0; k < 2; ++k) {
    fill[k] = kColours[style.colours[k]];
    if (!style.coloured) {
      const double around = luminance(mix(first, second, 0.5));
      const bool brighter = around < 0.35 || (around < 0.65 && random.below(2) == 0);
      fill[k] = grey(clamp01(around + (brighter ? 1 : -1) * random.uniform(0.38, 0.55)));
    }
  }
  return paint(drawing.size, [&](double x, double y) {
    const double t = clamp01(0.5 + ((x - 32) * along + (y - 32) * across) / 70);
    Rgb c = mix(first, second, t);
    const double add = clouds * coarse.fractal(x / 7, y / 7) +
                       stripes * exact_sin((x * across - y * along) * 0.9) +
                       0.4 * grain * fine.at(x, y);
    c = {c.r + add, c.g + add, c.b + add};
    for (const Mark& mark : *marks)
      c = mix(c, fill[mark.kind], cover(shape_distance(style.kinds[mark.kind], mark, x, y)));
    if (vignette) c = c * smooth_step(47, 33, distance(x, y, 32, 32));
    const double dust = grain * noise_sample(random);
    return Rgb{c.r + dust, c.g + dust, c.b + dust};
  });
}

}  // namespace strata::data
