#include "peft/prompt.h"

#include "models/pass.h"
#include "peft/limits.h"

namespace strata::peft {
namespace {

using models::Layer;
using torch::Tensor;

const std::string kPrompt = "prompt", kWeight = "prompt_embeddings";
constexpr std::int64_t kLongestPrompt = 4096;

class Prompts : public Method {
 public:
  explicit Prompts(std::int64_t length) : length_(length) {}
  const std::string& name() const override { return kPrompt; }
  std::int64_t prefix_tokens() const override { return length_; }

  std::vector<Layer> layers(const Layer& at) const override {
    if (at.kind != models::LayerKind::kSequence) return {};
    return {{.name = kWeight,
             .kind = models::LayerKind::kTokens,
             .stage = at.stage,
             .role = Role::kPrompt,
             .width = at.width,
             .parameters = {{kWeight, {length_, at.width}, library_normal()}}}};
  }
  Tensor after(const Layer& at, const Tensor&, const Tensor& rows,
               models::Pass& pass) const override {
    if (at.kind != models::LayerKind::kSequence) return rows;
    const Tensor prompts = pass.weight(kWeight).expand({rows.size(0), length_, rows.size(2)});
    return torch::cat({pass.used(models::Use::kAdded, kWeight, Tensor(), prompts), rows}, 1);
  }
  Json options() const override { return {{"length", length_}}; }
  void check(const models::Blueprint& blueprint, const std::string& where) const override {
    require_place(where, blueprint, models::LayerKind::kSequence, "prompts");
    require_range(where, "prompt_length", length_, 1, kLongestPrompt);
  }

 private:
  std::int64_t length_;
};

}  // namespace

MethodPtr make_prompts(std::int64_t length) {
  return std::make_shared<Prompts>(length);
}

MethodType prompt_type() {
  struct Options {
    std::int64_t length = 0;
  };
  static const Fields<Options> fields({
      field("length", &Options::length, whole(1), "vectors before the tokens").required(),
  });
  return from_fields({.name = kPrompt,
                      .section = "prompts",
                      .plural = "prompts",
                      .help = "learned vectors before the tokens of the first block",
                      .needs = "prompt_length",
                      .trains = own_layers(kPrompt),
                      .own_number = [](const Method& method) { return method.prefix_tokens(); },
                      .from_own_number = make_prompts,
                      .largest_own_number = kLongestPrompt},
                     fields, [](const Options& options) { return make_prompts(options.length); });
}

}  // namespace strata::peft
