#include "peft/prompt.h"

#include <algorithm>
#include <cmath>

#include "models/pass.h"
#include "peft/limits.h"
#include "peft/targeted.h"
#include "strata/core/error.h"

namespace strata::peft {
namespace {

using models::Layer;
using models::LayerKind;
using torch::Tensor;

const std::string kPrompt = "prompt", kWeight = "prompt_embeddings", kU = "prompt_u",
                  kV = "prompt_v", kInput = "prompt_inputs", kDown = "prompt_network.0",
                  kUp = "prompt_network.2";
constexpr std::int64_t kLongestPrompt = 4096;
constexpr std::int64_t kWidestNetwork = 65536;

const Choices<PromptDepth>& depths() {
  static const Choices<PromptDepth> choices(
      {{PromptDepth::kShallow, "shallow"}, {PromptDepth::kDeep, "deep"}});
  return choices;
}

const Choices<PromptInit>& initializations() {
  static const Choices<PromptInit> choices(
      {{PromptInit::kNormal, "normal"}, {PromptInit::kVpt, "vpt"}});
  return choices;
}

const Fields<PromptFields>& prompt_fields() {
  static const Fields<PromptFields> fields({
      field("length", &PromptFields::length, whole(1), "vectors before the tokens").required(),
      field("depth", &PromptFields::depth, choice(depths()),
            "before the first block, or before every block in place of what the block before has "
            "made of its own (VPT-deep)")
          .written_if_changed(),
      field("rank", &PromptFields::rank, whole(0),
            "the vectors are a product of two matrices of so many columns and rows (DVPT); 0: they "
            "are none")
          .written_if_changed(),
      field("hidden", &PromptFields::hidden, whole(0),
            "the vectors are what a network with so many hidden numbers makes of learned ones "
            "(shallow prompts without a rank); 0: they are none")
          .written_if_changed(),
      field("initialization", &PromptFields::initialization, choice(initializations()),
            "N(0, 0.02²), or VPT's uniform numbers between ±√(6 / (numbers of a patch + width))")
          .written_if_changed(),
  });
  return fields;
}

class Prompts : public Method {
 public:
  explicit Prompts(PromptFields fields) : fields_(fields) {}
  const std::string& name() const override { return kPrompt; }
  bool folds() const override { return false; }
  std::int64_t prefix_tokens() const override { return fields_.length; }
  bool enters_blocks() const override { return deep(); }
  /// What version 1 of the file says of it.
  std::int64_t number() const {
    const bool plain = !deep() && fields_.rank == 0 && fields_.hidden == 0 &&
                       fields_.initialization == PromptInit::kNormal;
    return plain ? fields_.length : 0;
  }

  std::vector<Layer> layers(const Layer& at) const override {
    if (!stands_at(at)) return {};
    if (fields_.hidden > 0)
      return {vectors(at, kInput, LayerKind::kTokens, {fields_.length, at.width},
                      {models::Init::Kind::kNormal, 1}),
              dense(at, kDown, at.width, fields_.hidden), dense(at, kUp, fields_.hidden, at.width)};
    if (fields_.rank == 0)
      return {vectors(at, kWeight, LayerKind::kTokens, {fields_.length, at.width}, init(at))};
    const double of_rank = 1 / std::sqrt(static_cast<double>(fields_.rank));
    return {vectors(at, kU, LayerKind::kLinear, {fields_.length, fields_.rank},
                    {models::Init::Kind::kNormal, of_rank}),
            vectors(at, kV, LayerKind::kTokens, {fields_.rank, at.width}, init(at))};
  }
  Tensor after(const Layer& at, const Tensor&, const Tensor& rows,
               models::Pass& pass) const override {
    if (at.kind != LayerKind::kSequence) return rows;
    const std::int64_t n = rows.size(0);
    // The first block puts its own in their place.
    const Tensor first = deep() ? torch::zeros({n, fields_.length, rows.size(2)}, rows.options())
                                : prompts(at, n, pass);
    return torch::cat({first, rows}, 1);
  }
  Tensor entering(const Layer& block, const Tensor& rows, models::Pass& pass) const override {
    const std::int64_t own = fields_.length;
    return torch::cat({prompts(block, rows.size(0), pass), rows.narrow(1, own, rows.size(1) - own)},
                      1);
  }
  std::vector<FactorPair> factors(const models::Blueprint& blueprint) const override {
    std::vector<FactorPair> found;
    if (fields_.rank == 0) return found;
    for (const Layer& at : blueprint.architecture().layers())
      if (stands_at(at)) found.push_back({prefix(at) + kV, prefix(at) + kU});
    return found;
  }
  Json options() const override { return prompt_fields().write(fields_); }
  void check(const models::Blueprint& blueprint, const std::string& where) const override;

 private:
  bool deep() const { return fields_.depth == PromptDepth::kDeep; }
  bool stands_at(const Layer& at) const {
    return deep() ? at.kind == LayerKind::kBlock && at.patch_numbers > 0
                  : at.kind == LayerKind::kSequence;
  }
  std::string prefix(const Layer& at) const { return deep() ? at.name + "." : ""; }
  models::Init init(const Layer& at) const {
    if (fields_.initialization == PromptInit::kNormal) return library_normal();
    return {models::Init::Kind::kUniform,
            std::sqrt(6 / static_cast<double>(at.patch_numbers + at.width))};
  }
  Layer vectors(const Layer& at, const std::string& tail, LayerKind kind, models::Shape shape,
                models::Init init) const {
    const std::string name = prefix(at) + tail;
    return {.name = name,
            .kind = kind,
            .stage = at.stage,
            .role = deep() ? at.role : Role::kPrompt,
            .width = at.width,
            .parameters = {{name, std::move(shape), std::move(init)}}};
  }
  Layer dense(const Layer& at, const std::string& name, std::int64_t inputs,
              std::int64_t outputs) const {
    Layer layer = vectors(at, name, LayerKind::kLinear, {outputs, inputs}, kaiming(inputs));
    layer.width = outputs;
    layer.parameters = {{name + ".weight", {outputs, inputs}, kaiming(inputs)},
                        {name + ".bias", {outputs}, kaiming(inputs), true}};
    return layer;
  }
  /// (n, length, width).
  Tensor prompts(const Layer& at, std::int64_t n, models::Pass& pass) const {
    const std::string name = prefix(at);
    if (fields_.hidden > 0) {
      const Tensor input = pass.weight(kInput);
      const Tensor all = pass.used(models::Use::kAdded, kInput, Tensor(),
                                   input.expand({n, input.size(0), input.size(1)}));
      return pass.linear(kUp, torch::tanh(pass.linear(kDown, all)));
    }
    if (fields_.rank == 0) {
      const Tensor own = pass.weight(name + kWeight);
      return pass.used(models::Use::kAdded, name + kWeight, Tensor(),
                       own.expand({n, own.size(0), own.size(1)}));
    }
    // Vᵀ Uᵀ by a linear layer with the weight U; that it mixes V's rows is said besides.
    const Tensor v = pass.weight(name + kV).t();
    const Tensor turned = pass.linear(name + kU, v.expand({n, v.size(0), v.size(1)}));
    const Tensor u = pass.weight(name + kU);
    return pass.used(models::Use::kMixture, name + kV, u.expand({n, u.size(0), u.size(1)}),
                     turned.transpose(1, 2));
  }

  PromptFields fields_;
};

void Prompts::check(const models::Blueprint& blueprint, const std::string& where) const {
  require_place(where, blueprint, LayerKind::kSequence, "prompts");
  const Layer& place = require_place(
      where, blueprint, [&](const Layer& at) { return stands_at(at); }, "prompts of every block");
  if (fields_.initialization == PromptInit::kVpt && place.patch_numbers == 0)
    no_place(where, blueprint, "VPT's prompts: what enters its blocks is no image's");
  require_range(where, "prompt_length", fields_.length, 1, kLongestPrompt);
  require_range(where, "prompts.rank", fields_.rank, 0, std::min(fields_.length, place.width));
  if (fields_.hidden == 0) return;
  require_range(where, "prompts.hidden", fields_.hidden, 1, kWidestNetwork);
  if (deep() || fields_.rank > 0 || fields_.initialization != PromptInit::kNormal)
    throw InputError(where + ": prompts.hidden is of shallow prompts without a rank, and its " +
                     "network has an initialization of its own");
}

}  // namespace

MethodPtr make_prompts(PromptFields fields) {
  return std::make_shared<Prompts>(fields);
}

MethodPtr make_prompts(std::int64_t length) {
  PromptFields fields;
  fields.length = length;
  return make_prompts(fields);
}

MethodType prompt_type() {
  return from_fields(
      {.name = kPrompt,
       .section = "prompts",
       .plural = "prompts",
       .help =
           "learned vectors before the tokens of the first block, or of every block (VPT, DVPT)",
       .needs = "prompt_length",
       .trains = own_layers(kPrompt),
       .own_number =
           [](const Method& method) { return static_cast<const Prompts&>(method).number(); },
       .from_own_number = [](std::int64_t length) { return make_prompts(length); },
       .largest_own_number = kLongestPrompt},
      prompt_fields(), [](const PromptFields& fields) { return make_prompts(fields); });
}

}  // namespace strata::peft
