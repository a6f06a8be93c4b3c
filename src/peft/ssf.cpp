#include "peft/ssf.h"

#include "models/pass.h"
#include "peft/limits.h"
#include "strata/core/error.h"

namespace strata::peft {
namespace {

using models::Layer;
using models::LayerKind;
using torch::Tensor;

const std::string kSsf = "ssf";

class Ssf : public Method {
 public:
  explicit Ssf(SsfFields fields) : fields_(fields) {}
  const std::string& name() const override { return kSsf; }

  std::vector<Layer> layers(const Layer& at) const override {
    if (!scales(at)) return {};
    const std::string name = at.name + ".ssf";
    const models::Init around_one{models::Init::Kind::kNormal, 0.02, 1};
    return {{.name = name,
             .kind = LayerKind::kScale,
             .stage = at.stage,
             .role = at.role,
             .width = at.width,
             .parameters = {{name + "_scale", {at.width}, around_one},
                            {name + "_shift", {at.width}, library_normal(), true}},
             .frozen = at.frozen}};
  }
  Tensor after(const Layer& at, const Tensor&, const Tensor& output,
               models::Pass& pass) const override {
    return scales(at) ? pass.scale(at.name + ".ssf", output) : output;
  }
  Json options() const override { return {{"before_batch_norm", fields_.before_batch_norm}}; }
  void check(const models::Blueprint& blueprint, const std::string& where) const override {
    require_place(
        where, blueprint, [&](const Layer& at) { return scales(at); }, "SSF's scales");
  }
  void check_moving(const std::set<std::string>& norms, const std::string& where) const override {
    if (norms.empty() || !fields_.before_batch_norm) return;
    throw InputError(where + "ssf.before_batch_norm: \"" + *norms.begin() +
                     "\" normalises by each batch, which takes SSF's scales and shifts away "
                     "again; leave it out, or take units.buffers: frozen");
  }

 private:
  bool scales(const Layer& at) const {
    switch (at.kind) {
      case LayerKind::kLinear:
        return at.role != Role::kHead;
      case LayerKind::kConvolution:
        return !at.before_batch_norm || fields_.before_batch_norm;
      case LayerKind::kBatchNorm:
        return !fields_.before_batch_norm;
      case LayerKind::kNorm:
      case LayerKind::kRmsNorm:
        return true;
      default:
        return false;
    }
  }

  SsfFields fields_;
};

}  // namespace

MethodPtr make_ssf(SsfFields fields) {
  return std::make_shared<Ssf>(fields);
}

MethodType ssf_type() {
  static const Fields<SsfFields> fields({
      field("before_batch_norm", &SsfFields::before_batch_norm, boolean(),
            "behind convolutions in place of the BatchNorms that follow them, which must then be "
            "frozen"),
  });
  return from_fields({.name = kSsf,
                      .section = "ssf",
                      .plural = "SSF's scales",
                      .help = "a scale and a shift behind every linear layer and norm (SSF)",
                      .trains = own_layers(kSsf)},
                     fields, make_ssf);
}

}  // namespace strata::peft
