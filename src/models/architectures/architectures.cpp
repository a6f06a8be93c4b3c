#include "models/architectures/architectures.h"

#include <algorithm>
#include <functional>

#include "models/architectures/albef.h"
#include "models/architectures/blip2.h"
#include "models/architectures/clip.h"
#include "models/architectures/config_limits.h"
#include "models/architectures/resnet.h"
#include "models/architectures/sam.h"
#include "models/architectures/timm_vit.h"
#include "models/architectures/vilt.h"
#include "models/architectures/vision_language.h"
#include "models/architectures/vit.h"

namespace strata::models {
namespace {

using Made = std::shared_ptr<const Architecture>;

struct Row {
  const char* type;
  Made (*read)(ObjectReader& config);
  Made (*from_yaml)(ObjectReader& section) = nullptr;  ///< nullptr: not from scratch
  const char* yaml_keys = nullptr;                     ///< that it takes, in words
  /// What timm calls its networks, whose config.json `read` takes, too; nullptr: none is read.
  std::vector<std::string> (*timm_names)() = nullptr;
};

// A further architecture is a file and a row.
constexpr Row kArchitectures[] = {
    {"vilt", read_vilt, vilt_from_yaml, kViltKeys},
    {"vit", read_vit, vit_from_yaml, kVitKeys, vit_timm_names},
    {"vit_mae", read_vit_mae},
    {"clip", read_clip},
    {"clip_vision_model", read_clip},
    {"resnet", read_resnet, resnet_from_yaml, kResnetKeys, resnet_timm_names},
    {"sam", read_sam, sam_from_yaml, kSamKeys},
    {"llava", read_llava, llava_from_yaml, kLlavaKeys},
    {"llava_llama", read_original_llava},
    {"llava_mistral", read_original_llava},
    {"paligemma", read_paligemma},
    {"albef", read_albef},
    {"idefics3", read_idefics3},
    {"smolvlm", read_idefics3},
    {"blip-2", read_blip2},
};

const Row& row_of(const std::string& type) {
  for (const Row& row : kArchitectures)
    if (row.type == type) return row;
  throw std::out_of_range(type);
}

/// timm's config.json says which network it is under `architecture`.
const Row& row_of_timm(ObjectReader& config) {
  std::vector<std::string> all;
  std::vector<const Row*> rows;
  for (const Row& row : kArchitectures) {
    if (!row.timm_names) continue;
    for (std::string& name : row.timm_names()) {
      all.push_back(std::move(name));
      rows.push_back(&row);
    }
  }
  const std::string name = config.choice("architecture", all);
  return *rows[static_cast<std::size_t>(std::find(all.begin(), all.end(), name) - all.begin())];
}

/// Of weights in few bits, those that are read: bitsandbytes' NF4 (nf4.h).
void check_quantization(ObjectReader& config) {
  if (!config.has("quantization_config")) return;
  ObjectReader quantization = config.object("quantization_config");
  const auto refuse = [&](const char* key, const std::string& found) {
    quantization.fail(key, found +
                               " weights are not read; bitsandbytes' NF4 is, and the model as it "
                               "was before they were made");
  };
  const std::string method = quantization.text("quant_method", "bitsandbytes");
  if (method != "bitsandbytes") refuse("quant_method", "\"" + method + "\"");
  if (quantization.boolean("load_in_8bit", false)) refuse("load_in_8bit", "8-bit");
  const std::string type = quantization.text("bnb_4bit_quant_type", "nf4");
  if (type != "nf4") refuse("bnb_4bit_quant_type", "\"" + type + "\"");
}

}  // namespace

std::vector<std::string> architecture_names() {
  std::vector<std::string> names;
  for (const Row& row : kArchitectures) names.emplace_back(row.type);
  return names;
}

std::shared_ptr<const Architecture> read_architecture(const std::filesystem::path& config) {
  const Document document = load_json(config);
  ObjectReader reader(document);
  if (is_of_timm(document.root)) return row_of_timm(reader).read(reader);
  check_quantization(reader);
  return row_of(reader.choice("model_type", architecture_names())).read(reader);
}

std::string yaml_keys() {
  std::string names, keys;
  for (const Row& row : kArchitectures) {
    if (!row.from_yaml) continue;
    const std::string type = std::string("`") + row.type + "`";
    names += names.empty() ? "`type` (" + type : ", or " + type;
    keys += "; of a " + type + ": " + row.yaml_keys;
  }
  return names + ")" + keys;
}

std::shared_ptr<const Architecture> architecture_from_yaml(ObjectReader reader) {
  std::vector<std::string> names;
  for (const Row& row : kArchitectures)
    if (row.from_yaml) names.emplace_back(row.type);
  Made made = row_of(reader.choice("type", names, names.front())).from_yaml(reader);
  reader.finish();
  return made;
}

}  // namespace strata::models
