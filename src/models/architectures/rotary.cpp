#include "models/architectures/rotary.h"

#include <cmath>
#include <numbers>
#include <vector>

namespace strata::models {
namespace {

using torch::Tensor;

constexpr double kLargestTheta = 1e12, kLargestFactor = 1e6;

void read_kind(ObjectReader& reader, Rotary& rotary) {
  const char* key = reader.has("rope_type") ? "rope_type" : "type";
  const std::string kind = reader.choice(key, {"default", "linear", "llama3"}, "default");
  if (kind == "default") return;
  rotary.kind = kind == "linear" ? Rotary::Kind::kLinear : Rotary::Kind::kLlama3;
  rotary.factor = reader.number("factor", 1, kLargestFactor);
  if (rotary.kind == Rotary::Kind::kLinear) return;
  rotary.low_frequency_factor = reader.number("low_freq_factor", 1e-6, kLargestFactor);
  rotary.high_frequency_factor = reader.number("high_freq_factor", 1e-6, kLargestFactor);
  rotary.original_positions =
      reader.integer("original_max_position_embeddings", 1, std::int64_t{1} << 24);
  if (rotary.high_frequency_factor <= rotary.low_frequency_factor)
    reader.fail("high_freq_factor", "it must be above low_freq_factor");
}

/// Llama 3.1's: pairs whose wave is longer than the context turn `factor` times more slowly.
double llama3_frequency(const Rotary& rotary, double frequency) {
  const double turns = static_cast<double>(rotary.original_positions) * frequency /
                       (2 * std::numbers::pi);  // within the original context
  const double low = rotary.low_frequency_factor, high = rotary.high_frequency_factor;
  if (turns < low) return frequency / rotary.factor;
  if (turns > high) return frequency;
  const double share = (turns - low) / (high - low);
  return (1 - share) * frequency / rotary.factor + share * frequency;
}

}  // namespace

Rotary read_rotary(ObjectReader& reader) {
  Rotary rotary;
  rotary.theta = reader.number("rope_theta", 1e-6, kLargestTheta, rotary.theta);
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (reader.raw(key).is_null()) continue;
    ObjectReader section = reader.object(key);
    rotary.theta = section.number("rope_theta", 1e-6, kLargestTheta, rotary.theta);
    read_kind(section, rotary);
  }
  return rotary;
}

Tensor rotary_angles(const Rotary& rotary, std::int64_t head_size, const Tensor& positions) {
  const std::int64_t pairs = head_size / 2;
  std::vector<float> frequencies(static_cast<std::size_t>(pairs));
  for (std::int64_t i = 0; i < pairs; ++i) {
    // In the steps and the precision of the files' makers.
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(head_size);
    double frequency = 1 / std::pow(rotary.theta, static_cast<double>(exponent));
    if (rotary.kind == Rotary::Kind::kLinear) frequency /= rotary.factor;
    if (rotary.kind == Rotary::Kind::kLlama3) frequency = llama3_frequency(rotary, frequency);
    frequencies[static_cast<std::size_t>(i)] = static_cast<float>(frequency);
  }
  const Tensor of_pairs = torch::tensor(frequencies).to(positions.device());
  const Tensor angles = positions.reshape({-1, 1}).to(torch::kFloat) * of_pairs;
  return torch::cat({angles, angles}, 1);
}

}  // namespace strata::models
