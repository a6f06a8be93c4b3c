#include "data/phantoms/tools.h"

#include <cmath>

namespace strata::data {

double smooth_step(double low, double high, double x) {
  const double t = clamp01((x - low) / (high - low));
  return t * t * (3 - 2 * t);
}

double exact_exp(double x) {
  constexpr double kLn2 = 0.6931471805599453;
  if (x < -700) return 0;
  const double n = std::floor(x / kLn2 + 0.5);
  const double r = x - n * kLn2;
  double sum = 1;
  for (int k = 13; k > 0; --k) sum = 1 + r / k * sum;
  return std::ldexp(sum, static_cast<int>(n));
}

double exact_sin(double x) {
  constexpr double kPi = 3.141592653589793;
  const double n = std::floor(x / kPi + 0.5);
  const double r = x - n * kPi;
  double sum = 1;
  for (int k = 10; k > 0; --k) sum = 1 - r * r / ((2 * k) * (2 * k + 1)) * sum;
  const bool odd = n - 2 * std::floor(n / 2) != 0;
  return odd ? -r * sum : r * sum;
}

double exact_cos(double x) {
  return exact_sin(x + 1.5707963267948966);
}

double exact_log(double x) {
  constexpr double kLn2 = 0.6931471805599453, kRootHalf = 0.7071067811865476;
  int exponent = 0;
  double part = std::frexp(x, &exponent);
  if (part < kRootHalf) {
    part *= 2;
    --exponent;
  }
  // 2 artanh((part - 1) / (part + 1)), whose argument is below 0.172.
  const double z = (part - 1) / (part + 1);
  double sum = 0;
  for (int k = 19; k > 0; k -= 2) sum = 1.0 / k + z * z * sum;
  return 2 * z * sum + exponent * kLn2;
}

double exact_pow(double x, double p) {
  return x > 0 ? exact_exp(p * exact_log(x)) : 0;
}

double noise_sample(Random& random) {
  constexpr double kSpread = 1.7320508075688772;  // the sum of four uniforms has variance 1/3
  double sum = 0;
  for (int i = 0; i < 4; ++i) sum += random.uniform();
  return (sum - 2) * kSpread;
}

double distance(double x0, double y0, double x1, double y1) {
  return std::sqrt((x1 - x0) * (x1 - x0) + (y1 - y0) * (y1 - y0));
}

double segment_distance(double x, double y, double x0, double y0, double x1, double y1) {
  const double dx = x1 - x0, dy = y1 - y0;
  const double length = dx * dx + dy * dy;
  const double t = length > 0 ? clamp01(((x - x0) * dx + (y - y0) * dy) / length) : 0;
  return distance(x, y, x0 + t * dx, y0 + t * dy);
}

double Ellipse::radius(double px, double py) const {
  const double u = ((px - x) * cosine + (py - y) * sine) / a;
  const double v = ((py - y) * cosine - (px - x) * sine) / b;
  return std::sqrt(u * u + v * v);
}

double Ellipse::distance(double px, double py) const {
  const double u = (px - x) * cosine + (py - y) * sine;
  const double v = (py - y) * cosine - (px - x) * sine;
  const double r = radius(px, py);
  const double gradient = std::sqrt(u * u / (a * a * a * a) + v * v / (b * b * b * b));
  if (gradient < 1e-9) return a < b ? -a : -b;
  return (r - 1) * r / gradient;
}

double Noise::lattice(std::int64_t x, std::int64_t y) const {
  std::uint64_t h = seed_ ^ static_cast<std::uint64_t>(x) * 0x9E3779B97F4A7C15ULL ^
                    static_cast<std::uint64_t>(y) * 0xC2B2AE3D27D4EB4FULL;
  h = (h ^ h >> 30) * 0xBF58476D1CE4E5B9ULL;
  h = (h ^ h >> 27) * 0x94D049BB133111EBULL;
  h ^= h >> 31;
  return static_cast<double>(h >> 11) * 0x1p-52 - 1;
}

double Noise::at(double x, double y) const {
  const double fx = std::floor(x), fy = std::floor(y);
  const auto ix = static_cast<std::int64_t>(fx), iy = static_cast<std::int64_t>(fy);
  const double u = smooth_step(0, 1, x - fx), v = smooth_step(0, 1, y - fy);
  return mix(mix(lattice(ix, iy), lattice(ix + 1, iy), u),
             mix(lattice(ix, iy + 1), lattice(ix + 1, iy + 1), u), v);
}

double Noise::fractal(double x, double y) const {
  return (4 * at(x, y) + 2 * at(2 * x + 17, 2 * y + 5) + at(4 * x + 31, 4 * y + 43)) / 7;
}

double Mark::at(double px, double py) const {
  return distance(x, y, px, py) / radius;
}

std::optional<std::vector<Mark>> place(const PhantomFacts& facts, Random& random,
                                       const Radii& radii,
                                       const std::function<bool(const Mark&)>& room,
                                       const std::function<bool(const Mark&, const Mark&)>& apart) {
  // At this distance from the midline nobody can doubt the side.
  constexpr double kMidline = 4.5;
  constexpr int kTries = 400;
  std::vector<Mark> marks;
  // The second kind first: ultrasound's cysts must avoid the shadows of its stones.
  for (int kind = 1; kind >= 0; --kind) {
    const FindingFacts& finding = facts.findings[kind];
    for (int i = 0; i < finding.count; ++i) {
      bool left = finding.side == Side::kLeft;
      if (finding.side == Side::kBoth) left = i < 2 ? i == 0 : random.below(2) == 0;
      bool placed = false;
      for (int attempt = 0; attempt < kTries && !placed; ++attempt) {
        Mark mark;
        mark.kind = kind;
        mark.radius = (finding.large ? radii.large : radii.small) * random.uniform(0.92, 1.08);
        const double margin = mark.radius + 0.8;
        mark.x = random.uniform(margin, 32 - kMidline);
        if (!left) mark.x = 64 - mark.x;
        mark.y = random.uniform(margin, 64 - margin);
        placed = room(mark);
        for (const Mark& other : marks)
          placed = placed && (apart ? apart(mark, other)
                                    : distance(mark.x, mark.y, other.x, other.y) >
                                          mark.radius + other.radius + 1.6);
        if (placed) marks.push_back(mark);
      }
      if (!placed) return {};
    }
  }
  return marks;
}

}  // namespace strata::data
