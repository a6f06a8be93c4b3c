// OCT (layers and shot noise), fundus photography (disc and vessels), dermoscopy (pigment and
// hairs), histology (stained cells), endoscopy (a lit tube with reflections).
#include "data/phantoms/optics.h"

#include <algorithm>
#include <cmath>

#include "data/phantoms/tools.h"

namespace strata::data {
namespace {

constexpr double kTurn = 6.283185307179586;

struct Stroke {
  double x0, y0, x1, y1, width;
};

/// A quadratic Bézier curve as short strokes that taper from width to `thin` of it.
void add_curve(std::vector<Stroke>& strokes, double x0, double y0, double x1, double y1, double x2,
               double y2, double width, double thin) {
  constexpr int kPieces = 12;
  const auto point = [&](double t, double a, double b, double c) {
    return (1 - t) * (1 - t) * a + 2 * t * (1 - t) * b + t * t * c;
  };
  for (int i = 0; i < kPieces; ++i) {
    const double s = static_cast<double>(i) / kPieces, t = (i + 1.0) / kPieces;
    strokes.push_back({point(s, x0, x1, x2), point(s, y0, y1, y2), point(t, x0, x1, x2),
                       point(t, y0, y1, y2), width * mix(1, thin, s)});
  }
}

double strokes_cover(const std::vector<Stroke>& strokes, double x, double y) {
  double best = 0;
  for (const Stroke& s : strokes)
    best = std::max(best, clamp01(0.5 + s.width - segment_distance(x, y, s.x0, s.y0, s.x1, s.y1)));
  return best;
}

/// A border that wobbles around the circle of a mark: signed distance, negative inside.
double wobbly_distance(const Mark& mark, const Noise& noise, double x, double y, double amount) {
  const double d = distance(x, y, mark.x, mark.y);
  const double ux = d > 0 ? (x - mark.x) / d : 0, uy = d > 0 ? (y - mark.y) / d : 0;
  return d - mark.radius * (1 + amount * noise.at(mark.x + 1.6 * ux, mark.y + 1.6 * uy));
}

struct Layer {
  double depth, brightness;
};

/// Reflectivity across the retina, from the inner limiting membrane (0) to the pigment epithelium
/// (1).
double retina_profile(double f) {
  constexpr Layer kLayers[] = {{0.00, 0.80}, {0.16, 0.74}, {0.22, 0.52}, {0.38, 0.48}, {0.44, 0.26},
                               {0.52, 0.26}, {0.56, 0.52}, {0.62, 0.46}, {0.67, 0.20}, {0.80, 0.20},
                               {0.84, 0.74}, {0.88, 0.42}, {0.92, 0.95}, {1.00, 1.00}};
  for (std::size_t i = 1; i < std::size(kLayers); ++i)
    if (f < kLayers[i].depth) {
      const Layer &a = kLayers[i - 1], &b = kLayers[i];
      return mix(a.brightness, b.brightness, clamp01((f - a.depth) / (b.depth - a.depth)));
    }
  return 1;
}

}  // namespace

std::optional<Image> draw_oct(const PhantomDrawing& drawing) {
  Random& random = drawing.random;
  const bool macula = drawing.facts.structure == 0;
  const double base = 43 + random.uniform(-3, 3), tilt = random.uniform(-0.06, 0.06);
  const double bend = random.uniform(0.001, 0.004), centre = 32 + random.uniform(-0.8, 0.8);
  const double full = random.uniform(17.5, 19.5);
  const double cup = random.uniform(3.6, 4.4);
  const auto floor_at = [&](double x) {
    return base + tilt * (x - 32) - bend * (x - 32) * (x - 32);
  };
  const auto thickness = [&](double x) {
    const double t = (x - centre) / 5.5;
    return full * (1 - (macula ? 0.55 : 0.0) * exact_exp(-t * t));
  };
  auto marks = place(
      drawing.facts, random, {3.1, 5.6},
      [&](const Mark& mark) {
        return macula || std::abs(mark.x - centre) > cup + mark.radius + 0.4;
      },
      [](const Mark& mark, const Mark& other) {
        return std::abs(mark.x - other.x) > mark.radius + other.radius + 1;
      });
  if (!marks) return {};
  for (Mark& mark : *marks)
    mark.y = floor_at(mark.x) - (mark.kind == 0 ? 0.52 * thickness(mark.x) : 0.0);
  const Noise choroid(random), wave(random);
  return paint(drawing.size, [&](double x, double y) {
    const double bruch = floor_at(x);
    double lift = 0;
    for (const Mark& mark : *marks)
      if (mark.kind == 1) {
        const double q = std::abs(x - mark.x) / mark.radius;
        if (q < 1) lift = std::max(lift, 1.25 * mark.radius * std::sqrt(1 - q * q));
      }
    const double epithelium = bruch - lift;
    double inner = bruch - thickness(x) + 0.5 * wave.at(x / 7, 0);
    const double open = macula ? 0 : smooth_step(cup + 2.5, cup - 2.5, std::abs(x - centre));
    inner = mix(inner, bruch + 4, open);
    double v = 0.05;
    if (y > bruch + 1) {
      v = 0.5 * exact_exp(-(y - bruch) / 9) * (0.85 + 0.5 * choroid.fractal(x / 3, y / 3)) + 0.05;
      v *= mix(1, 0.75, open);
    } else if (y > epithelium + 1) {
      v = mix(0.42, 0.8, cover(std::abs(y - bruch) - 0.3));
    } else if (y > inner) {
      v = retina_profile((y - inner) / (epithelium + 1 - inner)) *
          smooth_step(-0.2, 0.8, y - inner);
      v = mix(v, 0.3, open);
    }
    if (open > 0.5 && y < inner) v = 0.05;
    for (const Mark& mark : *marks)
      if (mark.kind == 0) {
        const Ellipse bubble = {mark.x, mark.y, mark.radius,
                                std::min(mark.radius, 0.34 * thickness(mark.x))};
        v = mix(v, 0.72, cover(std::abs(bubble.distance(x, y)) - 0.3) * 0.7);
        v = mix(v, 0.02, cover(bubble.distance(x, y) + 0.2));
      }
    // Speckle multiplies, shot noise grows with the root of the signal.
    v *= 1 + 0.16 * noise_sample(random);
    v += 0.07 * std::sqrt(std::max(v, 0.0)) * noise_sample(random);
    return grey(0.92 * v);
  });
}

std::optional<Image> draw_fundus(const PhantomDrawing& drawing) {
  Random& random = drawing.random;
  const bool macula = drawing.facts.structure == 0;
  const double flip = random.below(2) == 0 ? 1 : -1;
  const double disc_x = macula ? 32 + flip * random.uniform(19, 21.5) : 32 + random.uniform(-1, 1);
  const double disc_y = 32 + random.uniform(-1.5, 1.5);
  const double disc_radius = macula ? random.uniform(4.6, 5.4) : random.uniform(7, 8);
  const Ellipse disc = {disc_x, disc_y, disc_radius * 0.9, disc_radius};
  std::vector<Stroke> arteries, veins;
  for (const double up : {-1.0, 1.0})
    for (int branch = 0; branch < 2; ++branch) {
      auto& tree = branch == 0 ? veins : arteries;
      const double width = branch == 0 ? 0.85 : 0.55;
      if (macula) {
        const double top = disc_y + up * random.uniform(17, 22) * (branch == 0 ? 1 : 0.88);
        const double end_x = 32 - flip * random.uniform(16, 26),
                     end_y = disc_y + up * random.uniform(10, 22);
        add_curve(tree, disc_x, disc_y, disc_x - flip * 8, top, end_x, end_y, width, 0.4);
        add_curve(tree, disc_x - flip * 6, disc_y + up * 9, disc_x - flip * 8, disc_y + up * 20,
                  32 - flip * random.uniform(-4, 8), disc_y + up * 30, width * 0.7, 0.4);
        const double twig_y = disc_y + up * random.uniform(11, 13),
                     twig_x = 32 - flip * random.uniform(0, 6);
        add_curve(tree, disc_x - flip * 12, twig_y, 32, disc_y + up * 12, twig_x, disc_y + up * 6,
                  width * 0.5, 0.4);
        add_curve(tree, disc_x, disc_y, disc_x + flip * 4, disc_y + up * 8, disc_x + flip * 8,
                  disc_y + up * 12, width * 0.7, 0.5);
      } else {
        for (const double across : {-1.0, 1.0}) {
          const double x = 32 + across * random.uniform(14, 26),
                       y = 32 + up * random.uniform(18, 28);
          add_curve(tree, disc_x, disc_y, disc_x + across * random.uniform(0, 7), disc_y + up * 13,
                    x, y, width, 0.45);
          add_curve(tree, disc_x + across * 4, disc_y + up * 10, disc_x + across * 12,
                    disc_y + up * 10, disc_x + across * 26, disc_y + up * random.uniform(4, 12),
                    width * 0.6, 0.4);
        }
      }
    }
  const auto marks = place(drawing.facts, random, {3.0, 5.7}, [&](const Mark& mark) {
    return distance(mark.x, mark.y, 32, 32) < 28.5 - mark.radius &&
           disc.distance(mark.x, mark.y) > mark.radius + 1;
  });
  if (!marks) return {};
  const Noise texture(random), edge(random);
  const double red = random.uniform(0.80, 0.88), green = random.uniform(0.38, 0.46);
  return paint(drawing.size, [&](double x, double y) {
    const double from_centre = distance(x, y, 32, 32) / 31;
    Rgb c = {red, green, 0.15};
    c = c * (1.08 - 0.42 * from_centre * from_centre + 0.05 * texture.fractal(x / 6, y / 6));
    if (macula)
      c = mix(c, Rgb{0.5, 0.17, 0.07}, 0.65 * smooth_step(5.5, 0.5, distance(x, y, 32, 32.5)));
    c = mix(c, Rgb{0.98, 0.76, 0.42}, smooth_step(0.9, -0.9, disc.distance(x, y)));
    c = mix(c, Rgb{1.0, 0.9, 0.66}, 0.7 * smooth_step(0.55, 0.25, disc.radius(x, y)));
    c = mix(c, Rgb{0.66, 0.17, 0.09}, 0.85 * strokes_cover(arteries, x, y));
    c = mix(c, Rgb{0.50, 0.09, 0.07}, 0.9 * strokes_cover(veins, x, y));
    for (const Mark& mark : *marks) {
      const double d = wobbly_distance(mark, edge, x, y, 0.16);
      c = mark.kind == 0 ? mix(c, Rgb{0.36, 0.02, 0.03}, 0.96 * smooth_step(0.7, -0.7, d))
                         : mix(c, Rgb{1.0, 0.98, 0.70}, cover(d));
    }
    const double grain = 0.012 * noise_sample(random);
    c = {c.r + grain, c.g + grain, c.b + grain};
    return c * cover((from_centre - 1) * 31);
  });
}

std::optional<Image> draw_dermoscopy(const PhantomDrawing& drawing) {
  Random& random = drawing.random;
  const bool palm = drawing.facts.structure == 1;
  const auto marks = place(drawing.facts, random, {3.2, 6.2}, [&](const Mark& mark) {
    return distance(mark.x, mark.y, 32, 32) < 32 - mark.radius;
  });
  if (!marks) return {};
  constexpr Rgb kTones[] = {{0.93, 0.76, 0.66}, {0.88, 0.67, 0.54}, {0.80, 0.58, 0.45}};
  const Rgb tone = palm ? Rgb{0.92, 0.72, 0.64} : kTones[random.below(3)];
  const double angle = random.uniform(0, kTurn), along = exact_cos(angle),
               across = exact_sin(angle);
  std::vector<Stroke> hairs;
  const int hair_count = palm ? 0 : static_cast<int>(random.between(4, 8));
  for (int i = 0; i < hair_count; ++i) {
    const double x = random.uniform(2, 62), y = random.uniform(2, 62),
                 turn = random.uniform(0, kTurn);
    const double length = random.uniform(14, 26), dx = length * exact_cos(turn),
                 dy = length * exact_sin(turn);
    const double bow_x = x + random.uniform(-6, 6), bow_y = y + random.uniform(-6, 6);
    add_curve(hairs, x - dx, y - dy, bow_x, bow_y, x + dx, y + dy, 0.3, 0.6);
  }
  const Noise blotch(random), pores(random), edge(random), pigment(random);
  return paint(drawing.size, [&](double x, double y) {
    const double shade =
        1 + 0.05 * blotch.fractal(x / 10, y / 10) + 0.03 * pores.at(x / 1.3, y / 1.3);
    Rgb c = tone * shade;
    if (palm) {
      const double phase =
          ((x - 32) * along + (y - 32) * across) * 1.35 + 2.2 * blotch.at(x / 16, y / 16);
      const double ridge = exact_sin(phase);
      c = mix(c, Rgb{0.72, 0.47, 0.40}, 0.55 * smooth_step(0.1, -0.9, ridge));
      const double dots = exact_sin(((y - 32) * along - (x - 32) * across) * 1.6);
      c = mix(c, Rgb{1, 0.95, 0.9}, 0.6 * smooth_step(0.7, 1, ridge) * smooth_step(0.6, 1, dots));
    }
    for (const Mark& mark : *marks) {
      const double d = wobbly_distance(mark, edge, x, y, 0.18);
      const double inside = smooth_step(0.9, -0.5, d);
      const double mottle = pigment.fractal(x / 1.8, y / 1.8);
      const Rgb brown = mix(Rgb{0.40, 0.23, 0.13}, Rgb{0.20, 0.10, 0.06}, clamp01(0.5 + mottle));
      const Rgb crimson =
          mix(Rgb{0.85, 0.10, 0.20}, Rgb{0.62, 0.03, 0.18}, clamp01(0.5 + 1.3 * mottle));
      c = mix(c, mark.kind == 0 ? brown : crimson, 0.96 * inside);
    }
    c = mix(c, Rgb{0.16, 0.10, 0.08}, 0.85 * strokes_cover(hairs, x, y));
    const double corner = smooth_step(44, 34, distance(x, y, 32, 32)),
                 grain = 0.012 * noise_sample(random);
    c = c * mix(0.35, 1, corner);
    return Rgb{c.r + grain, c.g + grain, c.b + grain};
  });
}

std::optional<Image> draw_histology(const PhantomDrawing& drawing) {
  Random& random = drawing.random;
  const bool colon = drawing.facts.structure == 0;
  const auto marks = place(drawing.facts, random, {3.2, 6.2}, [](const Mark&) { return true; });
  if (!marks) return {};
  struct Nucleus {
    double x, y, radius, dark;
  };
  std::vector<Nucleus> nuclei;
  std::vector<Ellipse> glands;
  if (colon) {
    const double shift_x = random.uniform(-8, 8), shift_y = random.uniform(-8, 8);
    for (int row = -1; row < 6; ++row)
      for (int column = -1; column < 6; ++column) {
        const double x = 15.5 * column + (row % 2 != 0 ? 7.7 : 0) + shift_x + random.uniform(-1, 1);
        const double y = 13.5 * row + shift_y + random.uniform(-1, 1);
        glands.push_back({x, y, random.uniform(5.4, 6.3), random.uniform(5.4, 6.3)});
        for (int k = 0; k < 15; ++k) {
          const double turn = kTurn * k / 15 + random.uniform(-0.08, 0.08);
          nuclei.push_back({x + 5.2 * exact_cos(turn), y + 5.2 * exact_sin(turn),
                            random.uniform(0.75, 0.95), 0.8});
        }
      }
    for (int i = 0; i < 110; ++i)
      nuclei.push_back(
          {random.uniform(0, 64), random.uniform(0, 64), random.uniform(0.4, 0.7), 0.7});
  } else {
    for (int row = 0; row < 25; ++row)
      for (int column = 0; column < 25; ++column)
        if (random.uniform() < 0.86)
          nuclei.push_back({2.7 * column + random.uniform(-0.8, 0.8),
                            2.7 * row + random.uniform(-0.8, 0.8), random.uniform(0.75, 1.1),
                            random.uniform(0.5, 0.9)});
  }
  const Noise fibres(random), edge(random), chromatin(random);
  return paint(drawing.size, [&](double x, double y) {
    const double fibre = fibres.fractal(x / 7 + 0.6 * fibres.at(y / 9, 7), y / 2.2);
    Rgb c = colon ? mix(Rgb{0.93, 0.62, 0.76}, Rgb{0.97, 0.78, 0.86}, 0.5 + 0.5 * fibre)
                  : mix(Rgb{0.88, 0.68, 0.85}, Rgb{0.93, 0.78, 0.90}, 0.5 + 0.5 * fibre);
    for (const Ellipse& gland : glands) {
      c = mix(c, Rgb{0.86, 0.72, 0.86}, cover(gland.distance(x, y)));
      c = mix(c, Rgb{0.80, 0.60, 0.78}, 0.8 * smooth_step(0.34, 0.2, gland.radius(x, y)));
    }
    double nucleus = 0;
    for (const Nucleus& n : nuclei) {
      const double dx = x - n.x, dy = y - n.y;
      if (dx * dx + dy * dy > 4) continue;
      nucleus = std::max(nucleus,
                         n.dark * smooth_step(0.6, -0.4, std::sqrt(dx * dx + dy * dy) - n.radius));
    }
    c = mix(c, Rgb{0.36, 0.22, 0.56}, nucleus);
    for (const Mark& mark : *marks) {
      const double d = wobbly_distance(mark, edge, x, y, mark.kind == 0 ? 0.14 : 0.06);
      if (mark.kind == 0) {
        const Rgb dense = mix(Rgb{0.06, 0.02, 0.20}, Rgb{0.18, 0.06, 0.32},
                              clamp01(0.5 + chromatin.at(x / 1.1, y / 1.1)));
        c = mix(c, Rgb{0.96, 0.82, 0.90}, cover(d - 0.9));
        c = mix(c, dense, cover(d));
      } else {
        c = mix(c, Rgb{0.80, 0.42, 0.62}, cover(d - 0.3));
        c = mix(c, Rgb{1.0, 0.99, 1.0}, cover(d + 0.4));
      }
    }
    const double grain = 0.012 * noise_sample(random);
    return Rgb{c.r + grain, c.g + grain, c.b + grain};
  });
}

std::optional<Image> draw_endoscopy(const PhantomDrawing& drawing) {
  Random& random = drawing.random;
  const bool colon = drawing.facts.structure == 0;
  const double cx = 32 + random.uniform(-2.5, 2.5), cy = 32 + random.uniform(-2.5, 2.5);
  const auto marks = place(drawing.facts, random, {3.2, 5.9}, [&](const Mark& mark) {
    const bool seen = distance(mark.x, mark.y, 32, 32) < 30 - mark.radius;
    return seen && (!colon || distance(mark.x, mark.y, cx, cy) > 7 + mark.radius);
  });
  if (!marks) return {};
  const Noise wobble(random), mucosa(random), edge(random);
  std::vector<Mark> glints;
  for (int i = 0; i < 7; ++i)
    glints.push_back({random.uniform(10, 54), random.uniform(10, 54), random.uniform(0.4, 0.8), 0});
  const double turn = random.uniform(0, kTurn), along = exact_cos(turn), across = exact_sin(turn);
  constexpr double kFolds[] = {10.5, 16, 22.5, 30};
  return paint(drawing.size, [&](double x, double y) {
    const double rho = distance(x, y, cx, cy);
    Rgb c = colon ? Rgb{0.88, 0.47, 0.42} : Rgb{0.90, 0.54, 0.44};
    double light = 1 + 0.08 * mucosa.fractal(x / 4, y / 4);
    if (colon) {
      const double ux = rho > 0 ? (x - cx) / rho : 0, uy = rho > 0 ? (y - cy) / rho : 0;
      const double bent = rho * (1 + 0.12 * wobble.at(1.4 * ux, 1.4 * uy));
      light *= 0.04 + 0.96 * smooth_step(3, 15, bent);
      // A fold catches the light on its rim and hides what is just behind it.
      for (const double fold : kFolds)
        light *= 1 + 0.22 * smooth_step(1.4, 0, std::abs(bent - fold)) -
                 0.38 * smooth_step(fold - 3.6, fold - 1.2, bent) * cover(bent - fold + 1);
    } else {
      const double phase =
          ((x - 32) * along + (y - 32) * across) * 0.44 + 2.6 * wobble.at(x / 15, y / 15);
      const double fold = exact_sin(phase);
      light *= 0.98 + 0.16 * fold - 0.22 * smooth_step(-0.2, -1, fold);
      light *= 1.1 - 0.0006 * distance(x, y, 32, 32) * distance(x, y, 32, 32);
    }
    c = c * light;
    for (const Mark& glint : glints)
      c = mix(c, Rgb{1, 0.98, 0.95}, 0.9 * cover(distance(x, y, glint.x, glint.y) - glint.radius));
    for (const Mark& mark : *marks) {
      const double d = wobbly_distance(mark, edge, x, y, mark.kind == 0 ? 0.06 : 0.16),
                   q = mark.at(x, y);
      if (mark.kind == 0) {
        // A polyp: a dome lit from the upper left, in its own contact shadow.
        c = mix(c, Rgb{0.30, 0.05, 0.07}, 0.85 * smooth_step(1.3, 0.2, d));
        const double lit =
            clamp01(1.05 - 0.75 * q * q - 0.3 * ((x - mark.x) + (y - mark.y)) / mark.radius);
        c = mix(c, mix(Rgb{0.58, 0.14, 0.16}, Rgb{1.0, 0.55, 0.55}, lit), cover(d));
        c = mix(
            c, Rgb{1, 0.97, 0.95},
            0.95 * cover(distance(x, y, mark.x - 0.32 * mark.radius, mark.y - 0.32 * mark.radius) -
                         0.14 * mark.radius));
      } else {
        c = mix(c, Rgb{0.55, 0.06, 0.08}, cover(d - 0.9));
        c = mix(c, Rgb{0.98, 0.95, 0.72}, cover(d + 0.2));
      }
    }
    const double dx = std::abs(x - 32), dy = std::abs(y - 32);
    const double frame = cover(std::max({dx - 31, dy - 31, (dx + dy - 46) * 0.7}));
    const double grain = 0.012 * noise_sample(random);
    c = {c.r + grain, c.g + grain, c.b + grain};
    return c * frame;
  });
}

}  // namespace strata::data
