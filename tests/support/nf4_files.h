#pragma once
// Model folders whose linear layers are in NF4, as bitsandbytes writes them.

#include <array>
#include <cmath>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "core/document.h"
#include "models/torch.h"
#include "strata/core/safetensors.h"

namespace strata::test {

/// The sixteen numbers of NF4 (Dettmers et al. 2023, appendix E).
inline constexpr std::array<float, 16> kNf4 = {
    -1.0F,        -0.6961928F, -0.52507305F, -0.39491749F, -0.28444138F, -0.18477343F,
    -0.09105004F, 0.0F,        0.0795803F,   0.1609302F,   0.2461123F,   0.33791524F,
    0.44070983F,  0.562617F,   0.72295684F,  1.0F};

/// A weight in 64-blocks with scales in float32: the file's tensors, and its numbers.
struct Nf4Weight {
  std::vector<std::uint8_t> codes;
  std::vector<float> absmax, numbers;
  std::string state;
};

inline Nf4Weight to_nf4(const float* weight, std::int64_t rows, std::int64_t columns) {
  constexpr std::int64_t kBlock = 64;
  const std::int64_t count = rows * columns;
  Nf4Weight made;
  made.codes.resize(static_cast<std::size_t>((count + 1) / 2));
  for (std::int64_t begin = 0; begin < count; begin += kBlock) {
    const std::int64_t end = std::min(count, begin + kBlock);
    float scale = 0;
    for (std::int64_t i = begin; i < end; ++i) scale = std::max(scale, std::abs(weight[i]));
    made.absmax.push_back(scale);
    for (std::int64_t i = begin; i < end; ++i) {
      std::size_t nearest = 0;
      for (std::size_t code = 1; code < kNf4.size(); ++code)
        if (std::abs(kNf4[code] * scale - weight[i]) < std::abs(kNf4[nearest] * scale - weight[i]))
          nearest = code;
      made.codes[static_cast<std::size_t>(i / 2)] |=
          static_cast<std::uint8_t>(i % 2 == 0 ? nearest << 4 : nearest);
      made.numbers.push_back(kNf4[nearest] * scale);
    }
  }
  made.state = Json{{"quant_type", "nf4"},
                    {"blocksize", kBlock},
                    {"dtype", "float32"},
                    {"shape", {rows, columns}}}
                   .dump();
  return made;
}

/// Copies a folder with one model.safetensors: the weights of two dimensions whose names have
/// `which` in them become NF4 in `packed`, and the numbers that these mean in `plain`.
inline void copy_as_nf4(const std::filesystem::path& from, const std::filesystem::path& packed,
                        const std::filesystem::path& plain, const std::string& which) {
  const SafetensorsFile file(from / "model.safetensors");
  std::vector<TensorView> small, wide;
  std::deque<Nf4Weight> made;
  const auto bytes = [](const auto& numbers) {
    return std::string_view(reinterpret_cast<const char*>(numbers.data()),
                            numbers.size() * sizeof(numbers[0]));
  };
  for (const TensorEntry& entry : file.tensors()) {
    const TensorView whole{entry.name, entry.dtype, entry.shape, file.bytes(entry)};
    if (entry.shape.size() != 2 || entry.name.find(which) == std::string::npos) {
      small.push_back(whole);
      wide.push_back(whole);
      continue;
    }
    std::vector<float> numbers(static_cast<std::size_t>(entry.element_count()));
    std::memcpy(numbers.data(), whole.bytes.data(), whole.bytes.size());
    const Nf4Weight& own =
        made.emplace_back(to_nf4(numbers.data(), entry.shape[0], entry.shape[1]));
    wide.push_back({entry.name, Dtype::kF32, entry.shape, bytes(own.numbers)});
    const auto count = [](const auto& all) { return static_cast<std::int64_t>(all.size()); };
    small.push_back({entry.name, Dtype::kU8, {count(own.codes), 1}, bytes(own.codes)});
    small.push_back({entry.name + ".absmax", Dtype::kF32, {count(own.absmax)}, bytes(own.absmax)});
    small.push_back({entry.name + ".quant_map", Dtype::kF32, {16}, bytes(kNf4)});
    small.push_back({entry.name + ".quant_state.bitsandbytes__nf4",
                     Dtype::kU8,
                     {count(own.state)},
                     bytes(own.state)});
  }
  for (const auto& [folder, views] : {std::pair{packed, &small}, std::pair{plain, &wide}}) {
    std::filesystem::create_directories(folder);
    Json config = load_json(from / "config.json").root;
    if (folder == packed)
      config["quantization_config"] = {{"quant_method", "bitsandbytes"},
                                       {"load_in_4bit", true},
                                       {"load_in_8bit", false},
                                       {"bnb_4bit_quant_type", "nf4"},
                                       {"bnb_4bit_use_double_quant", false}};
    std::ofstream(folder / "config.json") << config.dump(2);
    for (const char* other : {"tokenizer.json", "preprocessor_config.json"})
      if (std::filesystem::exists(from / other))
        std::filesystem::copy_file(from / other, folder / other);
    write_safetensors(folder / "model.safetensors", *views, {{"format", "pt"}});
  }
}

}  // namespace strata::test
