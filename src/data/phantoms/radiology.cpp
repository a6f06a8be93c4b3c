// X-ray (projection), CT (windowed slices), MRI (contrast, bias field, Rician noise), ultrasound (a
// fan of beams with speckle, shadows and enhancement).
#include "data/phantoms/radiology.h"

#include <cmath>

#include "data/phantoms/tools.h"

namespace strata::data {
namespace {

/// Path length through a unit sphere at the normalised distance q from its axis.
double chord(double q) {
  return q < 1 ? std::sqrt(1 - q * q) : 0;
}

/// Path length through bone: a tube with a dense wall, seen from the side.
double bone_path(double signed_distance, double half_width) {
  if (signed_distance >= 0) return 0;
  const double q = 1 + signed_distance / half_width;
  return 0.35 * chord(q) + 0.3 * (chord(q) - 0.8 * chord(q * 1.18)) + 0.25 * cover(signed_distance);
}

double finding_path(const std::vector<Mark>& marks, double x, double y) {
  double path = 0;
  for (const Mark& mark : marks) {
    const double q = mark.at(x, y), d = (q - 1) * mark.radius;
    if (mark.kind == 0) path += 1.25 * chord(q * 0.94);
    // A cavity: a dense wall about 1.3 units thick around air.
    if (mark.kind == 1) path += 1.0 * (cover(d) - cover(d + 1.3)) - 0.75 * cover(d + 1.3);
  }
  return path;
}

std::optional<Image> draw_chest_film(const PhantomDrawing& drawing) {
  Random& random = drawing.random;
  const double cx = 32 + random.uniform(-1.2, 1.2), cy = 30 + random.uniform(-1.5, 1.5);
  const double wide = random.uniform(0.95, 1.06);
  const Ellipse lungs[2] = {{cx - 13 * wide, cy, 10.5 * wide, 21},
                            {cx + 13 * wide, cy, 10.5 * wide, 21}};
  const Ellipse heart = {cx + 4, cy + 13, 10.5 * random.uniform(0.85, 1.1), 9.5};
  const double dome = cy + random.uniform(16, 19), rib_phase = random.uniform(0, 5);
  const Noise texture(random);
  const auto marks = place(drawing.facts, random, {3.2, 6.1}, [&](const Mark& mark) {
    const bool in_lung = std::min(lungs[0].distance(mark.x, mark.y),
                                  lungs[1].distance(mark.x, mark.y)) < -0.55 * mark.radius;
    return in_lung && heart.distance(mark.x, mark.y) > 0.4 * mark.radius &&
           mark.y < dome - mark.radius;
  });
  if (!marks) return {};
  return paint(drawing.size, [&](double x, double y) {
    const double dx = x - cx, side = std::abs(dx);
    const double shoulder = 31 - 18 * smooth_step(12, -4, y);
    const double body = cover((side - shoulder) * 0.6);
    const double below = smooth_step(-1.5, 1.5, y - dome - 0.018 * (side - 12) * (side - 12));
    double lung = 0;
    for (const Ellipse& ellipse : lungs)
      lung = std::max(lung, smooth_step(1.2, -1.2, ellipse.distance(x, y)));
    lung *= 1 - below;
    double path =
        body * (0.95 + 0.25 * below) - 0.7 * lung + 0.05 * lung * texture.fractal(x / 3, y / 3);
    path += 0.75 * chord(heart.radius(x, y)) * (1 - 0.5 * below);
    path += 0.75 * cover(side - 3.6) * (0.85 + 0.15 * exact_sin(y * 1.5)) * body;
    for (int k = 0; k < 8; ++k) {
      const double rib = 3 + rib_phase + 7 * k + 0.02 * side * side - 0.18 * side;
      path += 0.2 * cover(std::abs(y - rib) - 0.8) * cover(side - 25) * cover(3 - side) * body;
    }
    path += 0.28 * cover(segment_distance(side, y, 3, 9, 21, 5) - 1.0) * body;
    path += finding_path(*marks, x, y);
    const double transmitted = exact_exp(-1.25 * path);
    const double v =
        0.97 - 0.95 * transmitted + 0.022 * noise_sample(random) * std::sqrt(transmitted);
    return Rgb{v * 0.95, v * 0.98, v};
  });
}

std::optional<Image> draw_knee_film(const PhantomDrawing& drawing) {
  Random& random = drawing.random;
  const double cx = 32 + random.uniform(-1, 1), joint = 34 + random.uniform(-2, 2);
  const double tilt = random.uniform(-0.05, 0.05), wide = random.uniform(0.96, 1.04);
  // Half width of the bones at a height: shafts that flare into condyles and plateau.
  const auto half_width = [&](double y) {
    const double above = joint - y, below = y - joint;
    return wide *
           (above > 0 ? 14.5 + 8 * smooth_step(22, 5, above) : 14 + 8 * smooth_step(18, 2, below));
  };
  const auto bone_distance = [&](double x, double y) {
    const double side = std::abs(x - cx - tilt * (y - joint));
    const double notch =
        joint - 2.5 + 0.01 * (side - 11) * (side - 11) * -1.0 - 2 * smooth_step(5, 0, side);
    const double gap = y < joint ? y - notch : joint + 1.8 - y;
    const double round = 3 * smooth_step(12, 22, side) * smooth_step(7, 0, std::abs(y - joint));
    return std::max(side - half_width(y) + round, gap);
  };
  const Noise trabeculae(random);
  const auto marks = place(drawing.facts, random, {3.2, 6.1}, [&](const Mark& mark) {
    return bone_distance(mark.x, mark.y) < -0.75 * mark.radius;
  });
  if (!marks) return {};
  return paint(drawing.size, [&](double x, double y) {
    const double side = std::abs(x - cx - tilt * (y - joint));
    const double d = bone_distance(x, y);
    double path = 0.42 * cover((side - 30.5) * 0.5);
    path += bone_path(d, half_width(y)) * (1 + 0.12 * trabeculae.fractal(x / 1.6, y / 2.6));
    path += 0.35 * smooth_step(-2.2, -0.6, d) * cover(d);
    path += finding_path(*marks, x, y);
    const double transmitted = exact_exp(-0.92 * std::max(0.0, path));
    const double v = 1.02 - transmitted + 0.022 * noise_sample(random) * std::sqrt(transmitted);
    return Rgb{v * 0.95, v * 0.98, v};
  });
}

/// A display window: HU to [0, 1].
double windowed(double hu, double centre, double width) {
  return clamp01((hu - centre) / width + 0.5);
}

struct Dot {
  double x, y, radius;
};

double dots_cover(const std::vector<Dot>& dots, double x, double y) {
  double best = 0;
  for (const Dot& dot : dots)
    best = std::max(best, cover(distance(x, y, dot.x, dot.y) - dot.radius));
  return best;
}

// Ultrasound's beams leave a virtual apex above the image.
constexpr double kApexX = 32, kApexY = -12, kOpening = 0.66, kNear = 17, kFar = 73;

/// A beam is named by its slope dx/dy.
double beam_slope(double x, double y) {
  return (x - kApexX) / (y - kApexY);
}

/// The findings within the fan, none in the shadow of a stone.
std::optional<std::vector<Mark>> place_in_fan(const PhantomDrawing& drawing) {
  return place(
      drawing.facts, drawing.random, {3.1, 5.6},
      [&](const Mark& mark) {
        const double depth = distance(mark.x, mark.y, kApexX, kApexY);
        return depth > kNear + mark.radius + 2 && depth < kFar - mark.radius - 6 &&
               std::abs(mark.x - kApexX) + mark.radius < (kOpening - 0.03) * (mark.y - kApexY);
      },
      [&](const Mark& mark, const Mark& other) {
        const double gap = std::abs(beam_slope(mark.x, mark.y) - beam_slope(other.x, other.y)) *
                           (std::min(mark.y, other.y) - kApexY);
        const bool side_by_side = gap > mark.radius + other.radius + 0.5;
        const bool above =
            mark.kind == 0 && other.kind == 1 && mark.y < other.y - mark.radius - other.radius - 1;
        const bool both_cysts =
            mark.kind == 0 && other.kind == 0 &&
            distance(mark.x, mark.y, other.x, other.y) > mark.radius + other.radius + 2;
        return side_by_side || above || both_cysts;
      });
}

}  // namespace

std::optional<Image> draw_xray(const PhantomDrawing& drawing) {
  return drawing.facts.structure == 0 ? draw_chest_film(drawing) : draw_knee_film(drawing);
}

std::optional<Image> draw_ct(const PhantomDrawing& drawing) {
  Random& random = drawing.random;
  const bool chest = drawing.facts.structure == 0;
  const double cx = 32 + random.uniform(-1, 1), cy = 31 + random.uniform(-1, 1);
  const double scale = random.uniform(0.97, 1.03);
  const Ellipse skin = {cx, cy, 29.5 * scale, 23.5 * scale};
  const Ellipse wall = {cx, cy, 27 * scale, 21 * scale};
  const Ellipse lungs[2] = {{cx - 14, cy, 10.5, 17, 0.985, 0.174},
                            {cx + 14, cy, 10.5, 17, 0.985, -0.174}};
  const Ellipse heart = {cx + 4, cy - 4, 9, 8};
  const Ellipse liver = {cx - 9, cy - 2, 16.5, 17};
  const Ellipse spleen = {cx + 18, cy + 3, 7.5, 12, 0.97, -0.24};
  const Ellipse stomach = {cx + 11, cy - 11, 10.5, 6.5};
  const Ellipse vertebra = {cx, cy + 14, 5.2, 4.4};
  std::vector<Dot> vessels;
  for (int i = 0; i < 34; ++i) {
    const Ellipse& lung = lungs[i % 2];
    vessels.push_back({lung.x + random.uniform(-8, 8), lung.y + random.uniform(-14, 14),
                       random.uniform(0.35, 0.8)});
  }
  const auto marks = place(drawing.facts, random, {3.0, 5.8}, [&](const Mark& mark) {
    const auto inside = [&](const Ellipse& organ, double share) {
      return organ.distance(mark.x, mark.y) < -share * mark.radius;
    };
    if (chest) return (inside(lungs[0], 0.85) || inside(lungs[1], 0.85)) && !inside(heart, -0.7);
    return wall.distance(mark.x, mark.y) < -mark.radius - 2.5 && !inside(vertebra, -1.2) &&
           (inside(liver, 0.7) || inside(spleen, 0.5) || inside(stomach, 0.5));
  });
  if (!marks) return {};
  const Noise texture(random);
  return paint(drawing.size, [&](double x, double y) {
    double hu = -1000;
    const auto add = [&](double share, double value) { hu = mix(hu, value, share); };
    add(cover(skin.distance(x, y)), -95);
    add(cover(wall.distance(x, y)), chest ? 45 : 20);
    const double rib = wall.distance(x, y) + 1.6;
    const double along = (x - cx) * 0.55 + (y - cy) * ((x > cx) ? 0.9 : -0.9);
    add(cover(std::abs(rib) - 1.0) * smooth_step(0.35, 0.6, exact_sin(along * 0.55)), 420);
    if (chest) {
      for (const Ellipse& lung : lungs) {
        const double in_lung = cover(lung.distance(x, y)) * cover(-heart.distance(x, y));
        add(in_lung, -840 + 45 * texture.fractal(x / 4, y / 4));
        add(in_lung * dots_cover(vessels, x, y), -250);
      }
      add(cover(heart.distance(x, y)), 60);
    } else {
      add(cover(wall.distance(x, y) + 3) * 0.75, -60);
      add(cover(stomach.distance(x, y)), 48 + 20 * texture.fractal(x / 3, y / 3));
      add(cover(spleen.distance(x, y)), 105);
      add(cover(liver.distance(x, y)), 95 + 10 * texture.fractal(x / 3, y / 3));
      add(cover(distance(x, y, cx + 3, cy + 7.5) - 2.0), 180);
    }
    add(cover(vertebra.distance(x, y)), 330);
    add(cover(vertebra.distance(x, y) + 1.3), 230);
    add(cover(distance(x, y, cx, cy + 19.2) - 1.3), 20);
    for (const Mark& mark : *marks) {
      const double d = (mark.at(x, y) - 1) * mark.radius;
      if (mark.kind == 0) {
        add(cover(d), chest ? 60 : 245);
      } else {
        // A cyst: thin-walled air in the lung, water in the liver.
        add(cover(d), chest ? -150 : 75);
        add(cover(d + (chest ? 1.1 : 0.5)), chest ? -1010 : -45);
      }
    }
    add(cover(std::abs(y - 59 - 0.006 * (32 - x) * (x - 32)) - 0.6), -100);
    hu += (chest ? 42 : 11) * noise_sample(random);
    const double v = chest ? windowed(hu, -500, 1250) : windowed(hu, 60, 400);
    return grey(v * cover(distance(x, y, 32, 32) - 32.5));
  });
}

std::optional<Image> draw_mri(const PhantomDrawing& drawing) {
  Random& random = drawing.random;
  const bool brain = drawing.facts.structure == 0;
  const bool t1 = random.below(2) == 0;
  const double cx = 32 + random.uniform(-1, 1), cy = 32 + random.uniform(-1, 1);
  const Ellipse head = {cx, cy, 26.5 * random.uniform(0.96, 1.03), 30 * random.uniform(0.96, 1.01)};
  const double spread = random.uniform(0.9, 1.15);
  const Ellipse ventricles[2] = {{cx - 3.4 * spread, cy - 1, 2.0, 8, 0.97, 0.24},
                                 {cx + 3.4 * spread, cy - 1, 2.0, 8, 0.97, -0.24}};
  const Ellipse condyle = {cx + 1, cy - 14, 23, 17};
  const Ellipse patella = {cx - 27, cy - 12, 4, 8};
  const double plateau = cy + 7;
  const auto tibia_distance = [&](double x, double y) {
    const double half = 24 - 7 * smooth_step(plateau + 4, plateau + 24, y);
    return std::max(std::abs(x - cx - 1) - half, plateau - y);
  };
  const auto femur_distance = [&](double x, double y) {
    const double shaft = std::max(std::abs(x - cx - 2) - 18, y - cy + 14);
    return std::min(shaft, condyle.distance(x, y));
  };
  const Noise folds(random), texture(random);
  const auto marks = place(drawing.facts, random, {3.0, 5.8}, [&](const Mark& mark) {
    if (!brain)
      return std::min(femur_distance(mark.x, mark.y), tibia_distance(mark.x, mark.y)) <
             -0.9 * mark.radius;
    for (const Ellipse& ventricle : ventricles)
      if (ventricle.distance(mark.x, mark.y) < mark.radius + 0.8) return false;
    return head.distance(mark.x, mark.y) < -6 - mark.radius;
  });
  if (!marks) return {};
  const double bias_x = random.uniform(-0.22, 0.22), bias_y = random.uniform(-0.22, 0.22);
  const double white = t1 ? 0.60 : 0.42, cortex = t1 ? 0.42 : 0.60;
  return paint(drawing.size, [&](double x, double y) {
    double s = 0;
    const auto add = [&](double share, double value) { s = mix(s, value, share); };
    if (brain) {
      const double d = head.distance(x, y);
      add(cover(d), 0.72);
      add(cover(d + 2.0), 0.06);
      add(cover(d + 3.9), 0.14);
      add(cover(d + 5.0), cortex);
      const double fold = folds.fractal(x / 3.4, y / 3.4);
      add(cover(d + 5.0) * smooth_step(0.16, 0.05, std::abs(fold)) * smooth_step(-12, -7, d), 0.18);
      add(cover(d + 8.0 + 4.5 * fold), white);
      add(cover(std::abs(x - cx) - 0.35) * cover(d + 4) * smooth_step(8, 11, std::abs(y - cy)),
          0.15);
      for (const Ellipse& ventricle : ventricles) add(cover(ventricle.distance(x, y)), 0.08);
    } else {
      add(1, t1 ? 0.62 : 0.5);                                          // fat
      add(cover(std::abs(x - cx) - 28 + 2 * folds.at(y / 9, 0)), 0.3);  // muscle and capsule
      const double femur = femur_distance(x, y), tibia = tibia_distance(x, y);
      add(cover(femur - 1.9) * smooth_step(-16, -10, y - cy), 0.78);  // cartilage
      for (const double d : {femur, tibia, patella.distance(x, y)}) {
        add(cover(d), 0.06);
        add(cover(d + 1.1), (t1 ? 0.56 : 0.46) + 0.04 * texture.fractal(x / 2, y / 2));
      }
      const double disc = std::abs(std::abs(x - cx) - 15) - 6;
      add(cover(std::max(disc, std::abs(y - plateau + 2) - 1.3)), 0.04);
      add(cover(segment_distance(x, y, cx - 4, plateau, cx + 5, cy - 3) - 1.0) * cover(-femur),
          0.07);
    }
    for (const Mark& mark : *marks) {
      const double d = (mark.at(x, y) - 1) * mark.radius;
      if (mark.kind == 0) {
        add(cover(d), 1.0);
      } else {
        add(cover(d), 0.85);
        add(cover(d + 0.8), 0.03);
      }
    }
    s *= 1 + bias_x * (x - 32) / 32 + bias_y * (y - 32) / 32;
    // The magnitude of a complex signal with noise in both parts is Rician.
    const double real = s + 0.035 * noise_sample(random), imaginary = 0.035 * noise_sample(random);
    return grey(0.96 * std::sqrt(real * real + imaginary * imaginary));
  });
}

std::optional<Image> draw_ultrasound(const PhantomDrawing& drawing) {
  Random& random = drawing.random;
  const bool liver = drawing.facts.structure == 0;
  const auto marks = place_in_fan(drawing);
  if (!marks) return {};
  const Noise tissue(random), real(random), imaginary(random);
  const double tilt = random.uniform(-0.15, 0.15);
  const Ellipse kidney = {32 + random.uniform(-1.5, 1.5),
                          36 + random.uniform(-1.5, 1.5),
                          24,
                          14.5,
                          1 - tilt * tilt / 2,
                          tilt};
  const Ellipse sinus = {kidney.x, kidney.y, 14, 4.5, kidney.cosine, kidney.sine};
  const double vessel = random.uniform(24, 40), diaphragm = random.uniform(52, 55);
  return paint(drawing.size, [&](double x, double y) {
    const double depth = distance(x, y, kApexX, kApexY), beam = beam_slope(x, y);
    const double fan = cover((std::abs(beam) - kOpening) * (y - kApexY)) * cover(kNear - depth) *
                       cover(depth - kFar);
    double echo = 0.36 * (1 + 0.22 * tissue.fractal(x / 5, y / 5));
    if (liver) {
      const double branch = vessel + 0.35 * (x - 32) + 3 * tissue.at(x / 14, 3);
      echo = mix(echo, 0.08, cover(std::abs(y - branch) - 0.55));
      echo = mix(echo, 1.0,
                 cover(std::abs(depth - kApexX / 8 - diaphragm - 6) - 0.9) *
                     smooth_step(0.5, 0.2, std::abs(beam - 0.1)));
    } else {
      const double d = kidney.distance(x, y) + 1.2 * tissue.at(x / 6, y / 6);
      echo = mix(echo, 0.85, cover(std::abs(d) - 0.6));
      echo = mix(echo, 0.20, cover(d + 0.6));
      echo = mix(echo, 0.75, cover(sinus.distance(x, y) + 1.6 * tissue.at(x / 2.5, y / 2.5)));
    }
    double through = 1;
    for (const Mark& mark : *marks) {
      const double off =
          std::abs(beam - beam_slope(mark.x, mark.y)) * (mark.y - kApexY) / mark.radius;
      const double behind = depth - distance(mark.x, mark.y, kApexX, kApexY) - 0.7 * mark.radius;
      if (behind <= 0) continue;
      if (mark.kind == 0)
        through *= 1 + 0.9 * smooth_step(1.0, 0.7, off) * smooth_step(0, 1.5, behind) *
                           smooth_step(22, 4, behind);
      else
        through *= 1 - 0.93 * smooth_step(1.05, 0.85, off) * smooth_step(0, 1.5, behind);
    }
    echo *= through;
    for (const Mark& mark : *marks) {
      const double d = (mark.at(x, y) - 1) * mark.radius;
      if (mark.kind == 0) {
        echo = mix(echo, 0.9, cover(std::abs(d) - 0.35) * 0.6);
        echo = mix(echo, 0.004, cover(d + 0.3));
      } else {
        echo = mix(echo, 2.6, cover(d));
      }
    }
    // Speckle: the magnitude of a complex field whose grains widen with depth, as the beams do.
    const double u = depth * 0.75, v = beam * 38;
    const double a = real.at(u, v), b = imaginary.at(u, v);
    const double grain = std::sqrt(a * a + b * b) / 0.6 * (0.8 + 0.2 * random.uniform());
    const double value = 0.86 * std::sqrt(echo * (0.18 + 0.82 * grain)) * (1.05 - 0.003 * depth);
    return grey(fan * value);
  });
}

}  // namespace strata::data
