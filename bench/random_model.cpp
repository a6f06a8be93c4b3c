// A model of random weights as large as a config.json says, for measurements that need its size and
// not its sense: FOLDER/config.json is read, and shards beside it are written.
//
//   bench_random_model FOLDER [float16|bfloat16|float32]
//   bench_random_model --rate     FLOP/s of 616 rows times a 7B model's largest matrix, in float32
#include <algorithm>
#include <chrono>
#include <iostream>
#include <vector>

#include "core/document.h"
#include "models/architectures/architectures.h"
#include "models/checkpoint.h"
#include "models/tensor_bytes.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/core/random.h"

using namespace strata;

namespace {

constexpr std::uint64_t kShardBytes = std::uint64_t{5} * 1000 * 1000 * 1000;  // transformers 4's

/// Numbers as the parameter is drawn, from a table: nobody looks at which they are.
torch::Tensor drawn(const models::Parameter& parameter, torch::ScalarType type) {
  static const torch::Tensor normal = [] {
    Random random(1);
    torch::Tensor table = torch::empty({1 << 20});
    for (std::int64_t i = 0; i < table.numel(); ++i)
      table.data_ptr<float>()[i] = static_cast<float>(random.normal());
    return table;
  }();
  using Kind = models::Init::Kind;
  const auto& init = parameter.init;
  if (init.kind == Kind::kZeros) return torch::zeros(parameter.shape, type);
  if (init.kind == Kind::kOnes) return torch::ones(parameter.shape, type);
  torch::Tensor numbers = torch::empty(parameter.shape, type);
  torch::Tensor flat = numbers.view({-1});
  const double scale = init.scale > 0 ? init.scale : 0.02;
  const auto offset = static_cast<std::int64_t>(derive_seed(2, parameter.name) %
                                                static_cast<std::uint64_t>(normal.numel() / 2));
  for (std::int64_t begin = 0; begin < flat.numel();) {
    const std::int64_t from = begin == 0 ? offset : (begin * 7919) % (normal.numel() / 2);
    const std::int64_t size = std::min(flat.numel() - begin, normal.numel() - from);
    flat.narrow(0, begin, size).copy_(normal.narrow(0, from, size) * scale);
    begin += size;
  }
  return numbers;
}

void write(const std::filesystem::path& folder, Dtype dtype) {
  const auto architecture = models::read_architecture(folder / "config.json");
  std::vector<std::vector<models::Parameter>> shards(1);
  std::uint64_t bytes = 0, total = 0;
  for (const models::Layer& layer : architecture->layers()) {
    for (const models::Parameter& parameter : layer.parameters) {
      std::uint64_t own = dtype_size(dtype);
      for (const std::int64_t side : parameter.shape) own *= static_cast<std::uint64_t>(side);
      if (bytes > 0 && bytes + own > kShardBytes) shards.emplace_back(), bytes = 0;
      shards.back().push_back(parameter);
      bytes += own;
      total += own;
    }
  }
  Json map = Json::object();
  const auto number = [](std::size_t n) {
    const std::string digits = std::to_string(n);
    return std::string(5 - digits.size(), '0') + digits;
  };
  for (std::size_t s = 0; s < shards.size(); ++s) {
    const std::string file =
        "model-" + number(s + 1) + "-of-" + number(shards.size()) + ".safetensors";
    std::vector<TensorEntry> entries;
    for (const models::Parameter& parameter : shards[s]) {
      entries.push_back({.name = parameter.name, .dtype = dtype, .shape = parameter.shape});
      map[parameter.name] = file;
    }
    torch::Tensor now;
    const auto numbers = [&](std::size_t i) {
      now = drawn(shards[s][i], models::scalar_type(dtype));
      return models::bytes_of(now);
    };
    write_safetensors(folder / file, entries, numbers, {{"format", "pt"}});
    std::cerr << file << '\n';
  }
  const Json index{{"metadata", {{"total_size", total}}}, {"weight_map", map}};
  write_file(folder / models::kIndexFile, index.dump(2) + "\n");
}

double product_rate() {
  const torch::Tensor rows = torch::randn({616, 4096}), matrix = torch::randn({11008, 4096});
  double best = 0;
  for (int time = 0; time < 5; ++time) {
    const auto start = std::chrono::steady_clock::now();
    torch::linear(rows, matrix);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::max(best, 2.0 * 616 * 4096 * 11008 / seconds.count());
  }
  return best;
}

}  // namespace

int main(int count, char** arguments) {
  if (count == 2 && std::string(arguments[1]) == "--rate") {
    std::cout << product_rate() << '\n';
    return 0;
  }
  const std::string type = count > 2 ? arguments[2] : "bfloat16";
  if (count < 2 || count > 3) {
    std::cerr << "usage: bench_random_model FOLDER [float16|bfloat16|float32]\n";
    return 2;
  }
  try {
    write(arguments[1], type == "float16"    ? Dtype::kF16
                        : type == "bfloat16" ? Dtype::kBF16
                                             : Dtype::kF32);
  } catch (const InputError& error) {
    std::cerr << error.what() << '\n';
    return 2;
  }
  return 0;
}
