#include "data/phantoms/bodies.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "data/phantoms/tools.h"

namespace strata::data {
namespace {

struct Point {
  double x, y, z;  ///< in 1/64 of the side; z from the middle slice
};

/// A turned ellipsoid, or a box with `boxed`.
struct Solid {
  Point centre;
  double a, b, c;
  double cosine = 1, sine = 0;
  bool boxed = false;

  /// 0 at the centre, 1 on the surface.
  double radius(const Point& p) const {
    const double dx = p.x - centre.x, dy = p.y - centre.y;
    const double u = (dx * cosine + dy * sine) / a, v = (dy * cosine - dx * sine) / b,
                 w = (p.z - centre.z) / c;
    if (boxed) return std::max({std::abs(u), std::abs(v), std::abs(w)});
    return std::sqrt(u * u + v * v + w * w);
  }
  /// How much of a unit's width around the point is inside, nearly.
  double inside(const Point& p) const { return cover((radius(p) - 1) * std::min({a, b, c})); }
  bool holds(const Point& p) const { return radius(p) < 1; }
};

Solid turned(Solid solid, double angle) {
  solid.cosine = exact_cos(angle);
  solid.sine = exact_sin(angle);
  return solid;
}

/// Value noise in three dimensions: planes of it that change along z.
class Texture {
 public:
  explicit Texture(Random& random) : noise_(random) {}
  /// In [-1, 1], with structures of about `size` units.
  double at(const Point& p, double size) const {
    return noise_.fractal(p.x / size + 0.61 * p.z / size, p.y / size - 0.53 * p.z / size);
  }

 private:
  Noise noise_;
};

struct Tissue {
  double value = 0;
  int label = 0;
};

PhantomBody draw_body(const BodyDrawing& drawing,
                      const std::function<Tissue(const Point& place)>& tissue_at) {
  PhantomBody body{{drawing.slices, drawing.size, drawing.size},
                   {drawing.slices, drawing.size, drawing.size}};
  const double unit = 64.0 / drawing.size, middle = (drawing.slices - 1) / 2.0;
  for (int slice = 0; slice < drawing.slices; ++slice)
    for (int row = 0; row < drawing.size; ++row)
      for (int column = 0; column < drawing.size; ++column) {
        const Tissue tissue = tissue_at(
            {(column + 0.5) * unit, (row + 0.5) * unit, (slice - middle) * drawing.thickness});
        body.tissue.at(slice, row, column) = clamp01(tissue.value);
        body.labels.at(slice, row, column) = static_cast<std::uint8_t>(tissue.label);
      }
  return body;
}

struct Kidney {
  Solid whole, hollow;  ///< the hollow is where vessels enter, towards the spine

  double inside(const Point& p) const { return whole.inside(p) * (1 - hollow.inside(p)); }
  bool holds(const Point& p) const { return whole.holds(p) && !hollow.holds(p); }
};

Kidney draw_kidney(Random& random, double spine_x, double side) {
  const double x = spine_x + side * random.uniform(12.5, 15), y = random.uniform(36, 40),
               z = random.uniform(-4, 4);
  const double a = random.uniform(5.6, 7.2), b = random.uniform(8, 10), c = random.uniform(12, 17);
  const double angle = side * random.uniform(0.2, 0.6);
  Kidney kidney{turned({{x, y, z}, a, b, c}, angle), {}};
  kidney.hollow = {{x - side * a * 0.95, y - 1, z}, a * 0.75, b * 0.42, c * 0.4};
  return kidney;
}

/// A ball at the outer surface of a kidney; of no size where there is none.
Solid draw_lesion(Random& random, const Kidney& kidney, double side) {
  const bool present = random.below(5) < 3;
  const double radius = random.uniform(4, 6), height = random.uniform(-0.5, 0.5),
               front = random.uniform(-0.7, 0.7);
  const Solid& whole = kidney.whole;
  const double out = std::sqrt(std::max(0.0, 1 - height * height - front * front));
  const Point centre = {whole.centre.x + side * whole.a * out, whole.centre.y + whole.b * front,
                        whole.centre.z + whole.c * height};
  if (!present) return {{-1000, -1000, 0}, 1, 1, 1};
  return {centre, radius, radius, radius};
}

double body_and_fat(const Solid& skin, const Solid& muscle, const Point& p) {
  return 0.14 * skin.inside(p) + 0.22 * muscle.inside(p);
}

}  // namespace

PhantomBody draw_abdomen(const BodyDrawing& drawing) {
  Random& random = drawing.random;
  const double x = 32 + random.uniform(-1.5, 1.5), wide = random.uniform(0.92, 1.05);
  const Solid skin{{x, 32, 0}, 28 * wide, 22 * wide, 1000},
      muscle{{x, 32.5, 0}, 25.5 * wide, 19 * wide, 1000};
  const Solid spine{{x, 46, 0}, 5, 4.6, 1000}, canal{{x, 51, 0}, 2, 1.8, 1000};
  const Solid liver = turned({{x - 13, 24, 12}, 12, 10, 22}, random.uniform(-0.3, 0.3));
  const Kidney kidneys[2] = {draw_kidney(random, x, -1), draw_kidney(random, x, 1)};
  const int ill = static_cast<int>(random.below(2));
  const Solid lesion = draw_lesion(random, kidneys[ill], ill == 0 ? -1 : 1);
  const Texture texture(random), bowel(random);
  const double kidney_value = random.uniform(0.6, 0.68), lesion_value = random.uniform(0.9, 1.0);
  return draw_body(drawing, [&](const Point& p) {
    Tissue tissue;
    double& v = tissue.value;
    v = body_and_fat(skin, muscle, p) + 0.02 * texture.at(p, 3) * skin.inside(p);
    const double gut = muscle.inside(p) * cover((p.y - 33) * 0.5);
    v += gut * 0.16 * smooth_step(0.05, 0.35, bowel.at(p, 6)) -
         gut * 0.2 * smooth_step(0.3, 0.6, -bowel.at(p, 5));
    v = mix(v, 0.46 + 0.03 * texture.at(p, 4), liver.inside(p) * muscle.inside(p));
    v = mix(v, 0.76 + 0.08 * texture.at(p, 2), spine.inside(p));
    v = mix(v, 0.3, canal.inside(p));
    for (const Kidney& kidney : kidneys) {
      v = mix(v, 0.16, kidney.hollow.inside(p) * kidney.whole.inside(p));
      v = mix(v, kidney_value + 0.04 * texture.at(p, 3), kidney.inside(p));
      if (kidney.holds(p)) tissue.label = 1;
    }
    v = mix(v, lesion_value + 0.03 * texture.at(p, 2), lesion.inside(p));
    if (lesion.holds(p)) tissue.label = 2;
    return tissue;
  });
}

PhantomBody draw_head(const BodyDrawing& drawing) {
  Random& random = drawing.random;
  const double x = 32 + random.uniform(-1.5, 1.5), y = 32 + random.uniform(-1.5, 1.5);
  const double wide = random.uniform(0.92, 1.04), deep = random.uniform(0.94, 1.04);
  const double tilt = random.uniform(-0.12, 0.12), reach = random.uniform(0.9, 1.05);
  const auto shell = [&](double less) {
    return turned({{x, y, -4}, 23 * wide - less, 27.5 * deep - less, 31 * reach - less}, tilt);
  };
  const Solid scalp = shell(0), skull = shell(2), water = shell(4.2), brain = shell(5.4);
  const Solid ventricles[2] = {turned({{x - 3.4, y - 1, 2}, 2, 7.5, 6}, tilt + 0.18),
                               turned({{x + 3.4, y - 1, 2}, 2, 7.5, 6}, tilt - 0.18)};
  const Texture folds(random), texture(random);
  return draw_body(drawing, [&](const Point& p) {
    Tissue tissue;
    double& v = tissue.value;
    v = 0.85 * scalp.inside(p);
    v = mix(v, 0.1, skull.inside(p));
    v = mix(v, 0.24, water.inside(p));
    // Folds move the surface in and out by up to 1.6 units.
    const double depth = (1 - brain.radius(p)) * brain.a + 1.6 * folds.at(p, 4.5);
    const double whole = clamp01(depth + 0.5);
    const double white = smooth_step(2.2, 4, depth + 1.4 * folds.at(p, 3));
    v = mix(v, mix(0.5, 0.74, white) + 0.03 * texture.at(p, 3), whole);
    for (const Solid& ventricle : ventricles) v = mix(v, 0.22, ventricle.inside(p) * whole);
    if (depth > 0) tissue.label = 1;
    return tissue;
  });
}

PhantomBody draw_pelvis(const BodyDrawing& drawing) {
  Random& random = drawing.random;
  const double x = 32 + random.uniform(-1.5, 1.5), y = 34 + random.uniform(-1.5, 1.5);
  const Solid skin{{x, 32, 0}, 30, 24, 1000}, muscle{{x, 33, 0}, 26, 20, 1000};
  const Solid heads[2] = {{{x - 21, 30, 2}, 6, 6, 13}, {{x + 21, 30, 2}, 6, 6, 13}};
  const double wide = random.uniform(9, 12.5), tall = random.uniform(7, 9),
               high = random.uniform(10, 14);
  const Solid prostate{{x, y, 0}, wide, tall, high};
  const double share = random.uniform(0.55, 0.7);
  const Solid inner{{x, y - tall * 0.22, 0}, wide * share, tall * share, high * share};
  const Solid bladder{{x, y - 5, high + 9}, 13, 9, 10};
  const Solid rectum{{x + random.uniform(-1, 1), y + tall + 5, 0}, 5, 4.4, 1000};
  const Texture texture(random), nodules(random);
  return draw_body(drawing, [&](const Point& p) {
    Tissue tissue;
    double& v = tissue.value;
    v = 0.62 * skin.inside(p) - 0.36 * muscle.inside(p) + 0.05 * texture.at(p, 4) * skin.inside(p);
    for (const Solid& head : heads) v = mix(v, 0.5 + 0.05 * texture.at(p, 2), head.inside(p));
    v = mix(v, 0.95, bladder.inside(p));
    v = mix(v, 0.1 + 0.08 * texture.at(p, 2), rectum.inside(p));
    v = mix(v, 0.68 + 0.06 * texture.at(p, 3), prostate.inside(p));
    v = mix(v, 0.45 + 0.14 * nodules.at(p, 2.5), inner.inside(p));
    if (prostate.holds(p)) tissue.label = 1;
    if (inner.holds(p)) tissue.label = 2;
    return tissue;
  });
}

PhantomBody draw_solids(const BodyDrawing& drawing) {
  Random& random = drawing.random;
  const Solid ground{{32, 32, 0}, random.uniform(24, 31), random.uniform(20, 29), 1000};
  const double half = drawing.thickness * drawing.slices / 2;
  std::vector<Solid> solids;
  for (const bool boxed : {false, true})
    for (std::uint64_t left = random.below(2) + 1; left > 0; --left) {
      const Point centre = {random.uniform(16, 48), random.uniform(18, 46),
                            random.uniform(-0.6, 0.6) * half};
      const double a = random.uniform(3.5, 9), b = random.uniform(3.5, 9),
                   c = random.uniform(4, 14), angle = random.uniform(0, 3.1);
      Solid solid = turned({centre, a, b, c}, angle);
      solid.boxed = boxed;
      solids.push_back(solid);
    }
  const Texture texture(random), clouds(random);
  const double base = random.uniform(0.15, 0.4);
  const std::array<double, 2> values = {random.uniform(0.55, 0.7), random.uniform(0.85, 1)};
  return draw_body(drawing, [&](const Point& p) {
    Tissue tissue;
    tissue.value = ground.inside(p) * (base + 0.12 * clouds.at(p, 7));
    for (const Solid& solid : solids) {
      const double value = values[solid.boxed ? 1 : 0] + 0.04 * texture.at(p, 3);
      tissue.value = mix(tissue.value, value, solid.inside(p));
      if (solid.holds(p)) tissue.label = solid.boxed ? 2 : 1;
    }
    return tissue;
  });
}

}  // namespace strata::data
