#include "models/architectures/vit.h"

#include "models/batch.h"
#include "models/pass.h"

namespace strata::models {
namespace {

using torch::Tensor;

class Vit : public PatchTransformer {
 public:
  explicit Vit(VitConfig config) : PatchTransformer(config), config_(std::move(config)) {
    const std::int64_t hidden = config_.hidden_size;
    declared().begin_stage({"embeddings", Role::kEmbeddings});
    add_tokens("vit.embeddings.cls_token", 1, embedding());
    add_tokens("vit.embeddings.position_embeddings", config_.patches() + 1, embedding()).part =
        Part::kPositions;
    add_projection();
    add_place("vit.embeddings", LayerKind::kSequence).patch_numbers = patch_numbers();
    add_blocks(true);
    declared().begin_stage({"head", Role::kHead});
    declared().add_norm("vit.layernorm", hidden);
    add_linear("classifier", static_cast<std::int64_t>(labels_.size()), hidden);
  }

  Batch example(std::int64_t) const override {
    const std::int64_t side = config_.image_size;
    return {Tensor(), Tensor(), torch::zeros({1, config_.num_channels, side, side}),
            torch::zeros({1}, torch::kInt64)};
  }
  ImageModel image_model() const override { return images_of(ImageSizes::kOne); }
  Json config() const override { return shared_config("ViTForImageClassification"); }
  std::shared_ptr<const Architecture> with(std::vector<std::string> labels,
                                           std::int64_t) const override {
    VitConfig changed = config_;
    changed.labels = std::move(labels);
    return make_vit(std::move(changed));
  }

 protected:
  State run_embeddings(const Batch& batch, Pass& pass) const override {
    const Tensor image = run_image(batch, Tensor(), pass);
    return entered(batch, pass.dropout(image, config_.hidden_dropout_prob), pass);
  }

  Tensor run_head(const Tensor& first, Pass& pass) const override {
    return pass.linear("classifier", first);
  }

 private:
  VitConfig config_;
};

}  // namespace

VitConfig::VitConfig() {
  model_type = "vit";
  image_size = 224;
  patch_size = 16;
}

std::shared_ptr<const Architecture> make_vit(VitConfig config) {
  return std::make_shared<Vit>(std::move(config));
}

std::shared_ptr<const Architecture> read_vit(ObjectReader& reader) {
  VitConfig config;
  read_patch_transformer(reader, config);
  return make_vit(std::move(config));
}

std::shared_ptr<const Architecture> vit_from_yaml(ObjectReader& section) {
  VitConfig config;
  patch_transformer_from_yaml(section, config);
  return make_vit(std::move(config));
}

}  // namespace strata::models
