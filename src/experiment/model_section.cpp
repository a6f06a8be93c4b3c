#include "experiment/model_section.h"

#include "models/architectures/architectures.h"
#include "models/architectures/config_limits.h"

namespace strata::experiment {
namespace {

Field<ModelConfig> peft_field() {
  Field<ModelConfig> field{"peft", "", "a mapping", "", Form::kMapping};
  field.read = [](ObjectReader& reader, ModelConfig& model, bool) {
    if (!reader.has("peft")) return;
    model.peft = peft::read_methods(reader.object("peft", true));
    if (model.peft.empty()) reader.fail("peft", "no method; there are " + peft::section_names());
  };
  field.write = [](const ModelConfig& model) {
    return model.peft.empty() ? Json() : peft::methods_json(model.peft);
  };
  field.rows_below = [](const ModelConfig&) { return peft::field_rows(); };
  return field;
}

Field<ModelConfig> architecture_field() {
  Field<ModelConfig> field{"architecture", models::yaml_keys(), "a mapping",
                           "required by `pretrain` without `from`", Form::kMapping};
  field.read = [](ObjectReader& reader, ModelConfig& model, bool) {
    if (reader.has("architecture"))
      model.architecture = models::architecture_from_yaml(reader.object("architecture"));
  };
  // Of a fresh model; runs have a folder.
  field.write = [](const ModelConfig&) { return Json(); };
  return field;
}

}  // namespace

const Fields<ModelConfig>& model_fields() {
  static const auto is_fresh = [](const ModelConfig& model) {
    return model.answers != Answers::kOwn;
  };
  const Choices<Answers> answers({{Answers::kOwn, "own"}, {Answers::kData, "data"}});
  static const Fields<ModelConfig> fields({
      field("folder", &ModelConfig::folder, text(),
            "the foundation, a model's folder from Hugging Face")
          .default_text("required by `run`"),
      field("answers", &ModelConfig::answers, choice(answers),
            "what `run` lets the foundation answer: `own`, what its `config.json` lists; `data`, "
            "the data's training answers, with a fresh output layer for them as with "
            "`ignore_mismatched_sizes` in transformers")
          .written_if_changed(),
      field("image_size", &ModelConfig::image_size, whole(0, models::kLargestImage),
            "pixels of a side of the images that the foundation is to read, in place of its own, "
            "for which its positions are resized: of a `sam`; 0: its own")
          .written_if_changed(),
      field("seed", &ModelConfig::seed, seed_number(),
            "of that layer's weights; the same in all runs")
          .written_if(is_fresh),
      architecture_field(),
      peft_field(),
  });
  return fields;
}

}  // namespace strata::experiment
