#include "peft/fused_lora.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "core/text.h"
#include "peft/files.h"
#include "peft/lora.h"
#include "peft/methods.h"
#include "peft/targeted.h"
#include "peft/targets.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata::peft {
namespace {

using models::Blueprint;
using models::Layer;
using models::Model;
using models::StoredParameter;
using torch::Tensor;

constexpr const char *kRanks = "rank_pattern", *kAlphas = "alpha_pattern",
                     *kTargets = "target_modules";

std::string down_of(const std::string& layer) {
  return layer + ".lora_A.weight";
}
std::string up_of(const std::string& layer) {
  return layer + ".lora_B.weight";
}

/// PEFT's rule for a name that is no layer's own.
bool chooses(const std::string& target, const std::string& name) {
  return name == target || name.ends_with("." + target);
}

/// A layer of transformers' with the parts that the model has of it, in their order.
struct Whole {
  std::string name;
  std::vector<const Layer*> parts;
};
std::vector<Whole> wholes(const Blueprint& blueprint) {
  std::vector<Whole> found;
  for (const Layer& layer : blueprint.architecture().layers()) {
    if (!layer.share.only || !is_linear_matrix(layer)) continue;
    if (found.empty() || found.back().name != layer.share.name)
      found.push_back({layer.share.name,
                       std::vector<const Layer*>(static_cast<std::size_t>(layer.share.parts))});
    found.back().parts[static_cast<std::size_t>(layer.share.part)] = &layer;
  }
  return found;
}

/// The value of the first key, of those in alphabetical order, that chooses the layer.
template <typename Value>
Value chosen_value(const Json& config, const char* key, const std::string& layer, Value fallback) {
  if (!config.contains(key) || !config.at(key).is_object()) return fallback;
  const std::map<std::string, Json> pattern = config.at(key);
  for (const auto& [name, value] : pattern)
    if (chooses(name, layer) && value.is_number()) return value.template get<Value>();
  return fallback;
}

StoredParameter stored_factor(const std::string& name, models::Shape shape) {
  return {{name, std::move(shape)}, {kPeftPrefix + name}};
}

Tensor rows_of(const Tensor& up, std::int64_t parts, std::int64_t part) {
  const std::int64_t rows = up.size(0) / parts;
  return up.narrow(0, part * rows, rows);
}

/// Whose ranks are whose, by where B is not 0.
std::vector<FusedPair::Part> parts_of(const Whole& whole, const Tensor& up) {
  const auto count = static_cast<std::int64_t>(whole.parts.size());
  const std::int64_t ranks = up.size(1);
  std::vector<FusedPair::Part> own;
  for (std::int64_t part = 0; part < count; ++part)
    if (rows_of(up, count, part).any().item<bool>())
      own.push_back({whole.parts[static_cast<std::size_t>(part)]->name, part, 0, ranks});
  if (own.empty())  // a fresh pair
    for (std::int64_t part = 0; part < count; ++part)
      own.push_back({whole.parts[static_cast<std::size_t>(part)]->name, part, 0, ranks});
  const auto parts = static_cast<std::int64_t>(own.size());
  if (ranks % parts != 0) return own;
  const std::int64_t each = ranks / parts;
  const bool blocks = std::all_of(own.begin(), own.end(), [&](const FusedPair::Part& at) {
    const Tensor rows = rows_of(up, count, at.part);
    const std::int64_t begin = (&at - own.data()) * each, end = begin + each;
    return !rows.narrow(1, 0, begin).any().item<bool>() &&
           !rows.narrow(1, end, ranks - end).any().item<bool>();
  });
  if (!blocks || !up.any().item<bool>()) return own;
  for (std::int64_t i = 0; i < parts; ++i) {
    own[static_cast<std::size_t>(i)].begin = i * each;
    own[static_cast<std::size_t>(i)].rank = each;
  }
  return own;
}

}  // namespace

std::vector<FusedPair> fused_pairs(const Document& config, const Blueprint& blueprint,
                                   const std::filesystem::path& folder) {
  std::vector<FusedPair> pairs;
  const Json& root = config.root;
  const bool lora = root.is_object() && root.value("peft_type", Json()) == lora_type().peft_type;
  if (!lora || !root.contains(kTargets) || !root.at(kTargets).is_array()) return pairs;
  const auto targeted = [&](const std::string& name) {
    const Json& targets = root.at(kTargets);
    return std::any_of(targets.begin(), targets.end(), [&](const Json& target) {
      return target.is_string() && chooses(target.get<std::string>(), name);
    });
  };
  std::optional<models::Checkpoint> file;
  for (const Whole& whole : wholes(blueprint)) {
    if (!targeted(whole.name)) continue;
    if (root.value("use_dora", Json()) == true)
      throw InputError(config.file + ": use_dora: DoRA beside \"" + whole.name +
                       "\", which Strata has in parts, is not supported");
    if (root.value("lora_bias", Json()) == true)
      throw InputError(config.file + ": lora_bias: a pair's bias beside \"" + whole.name +
                       "\", which Strata has in parts, is not supported");
    if (!file) file.emplace(folder / kPeftWeightsFile);
    const auto ranks = chosen_value<std::int64_t>(root, kRanks, whole.name, root.value("r", 0));
    const models::Shape& shape = whole.parts.front()->weight()->shape;
    FusedPair pair;
    pair.layer = whole.name;
    pair.parts = static_cast<std::int64_t>(whole.parts.size());
    pair.down = stored_factor(down_of(whole.name), {ranks, shape[1]});
    pair.up = stored_factor(up_of(whole.name), {shape[0] * pair.parts, ranks});
    const auto found = file->find(pair.up);
    if (!found || found.entry->shape != pair.up.parameter.shape)
      throw InputError(file->name() + ": the weight \"" + pair.up.names.front() +
                       "\" is missing, or has not the shape " +
                       shape_text(pair.up.parameter.shape) + " that " + config.file + " asks for");
    models::Weights read;
    models::read_parameters(*file, {pair.up}, models::Numbers::kFloat32, torch::kCPU, read);
    pair.own = parts_of(whole, read.at(pair.up.parameter.name));
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

Document with_parts(Document config, const std::vector<FusedPair>& pairs) {
  if (pairs.empty()) return config;
  Json& root = config.root;
  const bool stabilized = root.value("use_rslora", Json()) == true;
  const Json before = root;
  const auto is_whole = [&](const std::string& name) {
    return std::any_of(pairs.begin(), pairs.end(),
                       [&](const FusedPair& pair) { return chooses(name, pair.layer); });
  };
  Json targets = Json::array();
  for (const Json& target : before.at(kTargets))
    if (!target.is_string() || !is_whole(target.get<std::string>())) targets.push_back(target);
  for (const char* key : {kRanks, kAlphas}) {
    root[key] = Json::object();
    if (!before.contains(key) || !before.at(key).is_object()) continue;
    for (const auto& [name, value] : before.at(key).items())
      if (!is_whole(name)) root[key][name] = value;
  }
  const double alpha = before.value("lora_alpha", 8.0);
  for (const FusedPair& pair : pairs) {
    const auto all = static_cast<double>(pair.up.parameter.shape[1]);
    const double own = chosen_value<double>(before, kAlphas, pair.layer, alpha);
    for (const FusedPair::Part& part : pair.own) {
      const double share = static_cast<double>(part.rank) / all;
      targets.push_back(part.layer);
      root[kRanks][part.layer] = part.rank;
      root[kAlphas][part.layer] = own * (stabilized ? std::sqrt(share) : share);
    }
  }
  root[kTargets] = std::move(targets);
  return config;
}

void split_pairs(const std::vector<FusedPair>& pairs, const models::Weights& whole,
                 models::Weights& into) {
  for (const FusedPair& pair : pairs) {
    const Tensor &down = whole.at(pair.down.parameter.name), &up = whole.at(pair.up.parameter.name);
    for (const FusedPair::Part& part : pair.own) {
      into[down_of(part.layer)] = down.narrow(0, part.begin, part.rank).clone();
      into[up_of(part.layer)] =
          rows_of(up, pair.parts, part.part).narrow(1, part.begin, part.rank).clone();
    }
  }
}

namespace {

/// A model's pairs by the weights beside which they stand.
using PairsByWeight = std::map<std::string, FactorPair>;

struct FusedFile {
  std::vector<StoredParameter> parameters;
  models::Weights weights;
  Json ranks = Json::object(), alphas = Json::object(), targets = Json::array();
};

void add_whole(const Whole& whole, const Model& model, const PairsByWeight& pairs, bool stabilized,
               FusedFile& file) {
  std::vector<Tensor> down, up;
  std::int64_t ranks = 0;
  std::optional<double> scale;
  for (const Layer* part : whole.parts) {
    const auto found = pairs.find(part->weight()->name);
    if (found == pairs.end()) continue;
    if (!scale) scale = found->second.scale;
    down.push_back(model.weight(found->second.first).detach().to(torch::kCPU));
    ranks += down.back().size(0);
  }
  if (down.empty()) return;
  std::int64_t begin = 0;
  for (const Layer* part : whole.parts) {
    Tensor rows = torch::zeros({part->weight()->shape[0], ranks});
    if (const auto found = pairs.find(part->weight()->name); found != pairs.end()) {
      Tensor own = model.weight(found->second.second).detach().to(torch::kCPU);
      if (found->second.scale != *scale) own = own * (found->second.scale / *scale);
      rows.narrow(1, begin, own.size(1)).copy_(own);
      begin += own.size(1);
    }
    up.push_back(rows);
  }
  const std::string first = down_of(whole.name), second = up_of(whole.name);
  file.weights[first] = torch::cat(down).contiguous();
  file.weights[second] = torch::cat(up).contiguous();
  for (const std::string& name : {first, second})
    file.parameters.push_back(stored_factor(name, file.weights.at(name).sizes().vec()));
  file.targets.push_back(whole.name);
  file.ranks[whole.name] = ranks;
  const auto size = static_cast<double>(ranks);
  file.alphas[whole.name] = *scale * (stabilized ? std::sqrt(size) : size);
}

/// Without what is of the parts: their names are no layers of transformers'.
void keep_others(const Json& pattern, const std::vector<Whole>& all, Json& into) {
  for (const auto& [name, value] : pattern.items()) {
    const bool of_part = std::any_of(all.begin(), all.end(), [&](const Whole& whole) {
      return std::any_of(whole.parts.begin(), whole.parts.end(),
                         [&](const Layer* part) { return part->name == name; });
    });
    if (!of_part) into[name] = value;
  }
}

}  // namespace

void write_fused_pairs(const Model& model, const std::filesystem::path& folder,
                       std::vector<ExportedFile>& files) {
  const Blueprint& blueprint = model.blueprint();
  const std::vector<Whole> all = wholes(blueprint);
  std::filesystem::path place;  // of methods with PEFT's files, the first is in the folder itself
  for (const MethodPtr& method : methods_of(blueprint)) {
    const MethodType& type = type_of(*method);
    if (type.own()) continue;
    if (type.peft_type != lora_type().peft_type) {
      place = lora_type().section;
      continue;
    }
    PairsByWeight pairs;
    for (FactorPair& pair : method->factors(blueprint)) pairs[pair.base] = std::move(pair);
    FusedFile file;
    Json config = type.write_peft(*method, blueprint);
    const bool dora = pairs.count("") > 0;
    std::vector<const Layer*> parts;
    for (const Whole& whole : all) {
      if (!dora) add_whole(whole, model, pairs, config.contains("use_rslora"), file);
      parts.insert(parts.end(), whole.parts.begin(), whole.parts.end());
    }
    const auto is_part = [&](const Layer& layer) {
      return std::find(parts.begin(), parts.end(), &layer) != parts.end();
    };
    std::vector<std::string> others;
    for (const Layer& layer : blueprint.layers()) {
      if (layer.method != method->name()) continue;
      const std::string at = layer.name.substr(0, layer.name.rfind(".lora_"));
      const auto beside = std::find_if(blueprint.architecture().layers().begin(),
                                       blueprint.architecture().layers().end(),
                                       [&](const Layer& own) { return own.name == at; });
      if (is_part(*beside)) {
        if (dora || config.contains("lora_bias"))
          throw InputError(std::string("--out: ") + (dora ? "DoRA" : "a pair's bias") +
                           " beside \"" + beside->share.name +
                           "\", which PEFT has as one layer, cannot be exported");
        continue;
      }
      for (const models::Parameter& parameter : layer.parameters) {
        file.weights[parameter.name] = model.weight(parameter.name);
        file.parameters.push_back({parameter, method->file_names(layer, parameter)});
      }
      others.push_back(at);
    }
    if (file.targets.empty()) return;
    for (const std::string& target : target_modules(blueprint, [&](const Layer& layer) {
           return !is_part(layer) &&
                  std::find(others.begin(), others.end(), layer.name) != others.end();
         }))
      file.targets.push_back(target);
    keep_others(config.value(kRanks, Json::object()), all, file.ranks);
    keep_others(config.value(kAlphas, Json::object()), all, file.alphas);
    config[kTargets] = file.targets;
    config[kRanks] = file.ranks;
    config[kAlphas] = file.alphas;
    models::write_parameters(folder / place / kPeftWeightsFile, file.parameters, file.weights);
    write_file(folder / place / kPeftConfigFile, config.dump(2) + "\n");
    for (ExportedFile& written : files) {
      if (written.file != (place / kPeftWeightsFile).string()) continue;
      written.tensors = written.numbers = 0;
      for (const StoredParameter& stored : file.parameters) {
        ++written.tensors;
        written.numbers += stored.parameter.numel();
      }
    }
    return;
  }
}

}  // namespace strata::peft
