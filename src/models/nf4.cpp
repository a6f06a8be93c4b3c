#include "models/nf4.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "core/document.h"
#include "core/text.h"
#include "models/tensor_bytes.h"
#include "strata/core/error.h"

namespace strata::models {
namespace {

using torch::Tensor;

constexpr std::int64_t kLongestBlock = 1 << 20;
constexpr double kLargest = std::numeric_limits<float>::max();

/// What a weight begins with; scales as float32 and the codes follow.
struct Head {
  std::int64_t rows = 0, columns = 0, block = 0;
  std::int64_t type = 0;  ///< torch::ScalarType that numbers are rounded to
  std::array<float, 16> map = {};

  std::int64_t count() const { return rows * columns; }
  std::int64_t scales() const { return (count() + block - 1) / block; }
};

Head head_of(const Tensor& weight) {
  Head head;
  const Tensor bytes = weight.narrow(0, 0, sizeof(Head)).to(torch::kCPU);
  std::memcpy(&head, bytes.data_ptr(), sizeof(Head));
  return head;
}

[[noreturn]] void fail(const std::string& name, const std::string& what) {
  throw InputError(name + ": " + what);
}

void expect(const std::string& name, const char* part, const Tensor& tensor, torch::ScalarType type,
            std::int64_t count) {
  if (!tensor.defined()) fail(name, std::string("its part ") + part + " is missing");
  if (tensor.scalar_type() != type || tensor.numel() != count) {
    fail(name, std::string("its part ") + part + " has " + std::to_string(tensor.numel()) +
                   " numbers of the type " + dtype_name(dtype_of(tensor)) + ", but " +
                   std::to_string(count) + " of " + dtype_name(dtype_of(torch::empty({0}, type))) +
                   " are needed");
  }
}

/// The parts' JSON, checked.
struct QuantState {
  std::int64_t block = 0, nested_block = 0;
  float nested_offset = 0;
  torch::ScalarType type = torch::kFloat;
};

QuantState read_quant_state(const Nf4Parts& parts, const std::vector<std::int64_t>& shape,
                            const std::string& name) {
  const Document document = parse_json(parts.quant_state, name + ".quant_state");
  ObjectReader reader(document);
  reader.choice("quant_type", {"nf4"});
  QuantState state;
  state.block = reader.integer("blocksize", 1, kLongestBlock);
  const std::string type = reader.choice("dtype", {"float16", "bfloat16", "float32"});
  state.type = type == "float16"    ? torch::kHalf
               : type == "bfloat16" ? torch::kBFloat16
                                    : torch::kFloat;
  if (reader.raw("shape") != Json(shape))
    reader.fail("shape", "config.json asks for " + shape_text(shape));
  if (parts.nested_absmax.defined()) {
    state.nested_block = reader.integer("nested_blocksize", 1, kLongestBlock);
    state.nested_offset = static_cast<float>(reader.number("nested_offset", -kLargest, kLargest));
  }
  return state;
}

/// absmax in float32.
Tensor scales_of(const Nf4Parts& parts, const QuantState& state, std::int64_t count,
                 const std::string& name) {
  if (!parts.nested_absmax.defined()) {
    expect(name, "absmax", parts.absmax, torch::kFloat, count);
    return parts.absmax.flatten();
  }
  expect(name, "absmax", parts.absmax, torch::kByte, count);
  expect(name, "nested_absmax", parts.nested_absmax, torch::kFloat,
         (count + state.nested_block - 1) / state.nested_block);
  expect(name, "nested_quant_map", parts.nested_quant_map, torch::kFloat, 256);
  const Tensor codes = parts.absmax.flatten().to(torch::kLong);
  const Tensor blocks = torch::arange(count).div(state.nested_block, "floor");
  return parts.nested_quant_map.flatten().index_select(0, codes) *
             parts.nested_absmax.flatten().index_select(0, blocks) +
         state.nested_offset;
}

template <typename Number>
void fill(const Head& head, const float* scales, const std::uint8_t* codes, float* numbers) {
  at::parallel_for(0, head.scales(), 1 << 12, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t last = std::min(head.count(), end * head.block);
    for (std::int64_t i = begin * head.block; i < last; ++i) {
      const std::uint8_t pair = codes[i / 2];
      const float number = head.map[i % 2 == 0 ? pair >> 4 : pair & 15] * scales[i / head.block];
      numbers[i] = static_cast<float>(static_cast<Number>(number));
    }
  });
}

}  // namespace

Tensor nf4_weight(const Nf4Parts& parts, const std::vector<std::int64_t>& shape,
                  const std::string& name) {
  if (shape.size() != 2) fail(name, "NF4 is for matrices, not for shape " + shape_text(shape));
  const QuantState state = read_quant_state(parts, shape, name);
  Head head;
  head.rows = shape[0];
  head.columns = shape[1];
  head.block = state.block;
  head.type = static_cast<std::int64_t>(state.type);
  expect(name, "weight", parts.codes, torch::kByte, (head.count() + 1) / 2);
  expect(name, "quant_map", parts.quant_map, torch::kFloat, 16);
  std::memcpy(head.map.data(), parts.quant_map.contiguous().data_ptr(), sizeof(head.map));
  const Tensor scales = scales_of(parts, state, head.scales(), name).contiguous();
  const Tensor codes = parts.codes.contiguous();

  const auto all = static_cast<std::int64_t>(sizeof(Head) + scales.nbytes() + codes.nbytes());
  Tensor weight = torch::empty({all}, torch::kByte);
  auto* bytes = weight.data_ptr<std::uint8_t>();
  std::memcpy(bytes, &head, sizeof(Head));
  std::memcpy(bytes + sizeof(Head), scales.data_ptr(), scales.nbytes());
  std::memcpy(bytes + sizeof(Head) + scales.nbytes(), codes.data_ptr(), codes.nbytes());
  return weight;
}

bool is_nf4(const Tensor& tensor) {
  // Nothing else in a model is uint8.
  return tensor.scalar_type() == torch::kByte && tensor.dim() == 1;
}

std::int64_t nf4_count(const Tensor& weight) {
  return head_of(weight).count();
}

Tensor nf4_numbers(const Tensor& weight) {
  const torch::NoGradGuard no_grad;
  const Head head = head_of(weight);
  const auto scale_bytes = head.scales() * static_cast<std::int64_t>(sizeof(float));
  const auto begin = static_cast<std::int64_t>(sizeof(Head));
  if (!weight.is_cpu()) {
    const Tensor scales = weight.narrow(0, begin, scale_bytes).view(torch::kFloat);
    const Tensor pairs = weight.narrow(0, begin + scale_bytes, (head.count() + 1) / 2);
    const Tensor codes = torch::stack({pairs.bitwise_right_shift(4), pairs.bitwise_and(15)}, 1);
    const Tensor map =
        torch::from_blob(const_cast<float*>(head.map.data()), {16}).to(weight.device());
    const Tensor numbers =
        map.index_select(0, codes.flatten().to(torch::kInt)).narrow(0, 0, head.count()) *
        scales.repeat_interleave(head.block).narrow(0, 0, head.count());
    return numbers.to(static_cast<torch::ScalarType>(head.type))
        .to(torch::kFloat)
        .view({head.rows, head.columns});
  }
  const auto* bytes = weight.data_ptr<std::uint8_t>();
  const auto* scales = reinterpret_cast<const float*>(bytes + begin);
  const std::uint8_t* codes = bytes + begin + scale_bytes;
  Tensor numbers = torch::empty({head.rows, head.columns}, torch::kFloat);
  auto* values = numbers.data_ptr<float>();
  switch (static_cast<torch::ScalarType>(head.type)) {
    case torch::kHalf:
      fill<at::Half>(head, scales, codes, values);
      break;
    case torch::kBFloat16:
      fill<at::BFloat16>(head, scales, codes, values);
      break;
    default:
      fill<float>(head, scales, codes, values);
  }
  return numbers;
}

}  // namespace strata::models
