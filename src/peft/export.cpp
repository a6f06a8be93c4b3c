#include "peft/export.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "models/architectures/published_checkpoints.h"
#include "models/checkpoint.h"
#include "models/model.h"
#include "models/short_weights.h"
#include "peft/adapter_hub.h"
#include "peft/files.h"
#include "peft/fused_lora.h"
#include "peft/replaced.h"
#include "peft/targets.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/core/safetensors.h"

namespace strata::peft {
namespace {

using models::Checkpoint;
using models::Layer;
using models::Model;
using models::Parameter;
using models::StoredParameter;
namespace fs = std::filesystem;

/// A layer's parameter or buffer that is not the base's.
struct Change {
  const Layer* layer;
  const Parameter* parameter;
};

/// A head may be another, for other answers; all else must be there in its shape.
void check_base(const Model& model, const Model& base, const fs::path& from, const fs::path& to) {
  const auto refuse = [&](const std::string& what) {
    throw InputError("--base: " + from.string() + " is not what " + to.string() +
                     " was fine-tuned from: " + what);
  };
  for (const StoredParameter& own : models::stored(model.architecture().layers())) {
    const Parameter& parameter = own.parameter;
    if (model.blueprint().layer_of(parameter.name).role == Role::kHead) continue;
    if (!base.blueprint().has(parameter.name))
      refuse("it has no weight \"" + parameter.name + "\"");
    if (base.blueprint().parameter(parameter.name).shape != parameter.shape)
      refuse("its weight \"" + parameter.name + "\" has another shape");
  }
  for (const StoredParameter& theirs : models::stored(base.architecture().layers())) {
    const std::string& name = theirs.parameter.name;
    if (base.blueprint().layer_of(name).role != Role::kHead && !model.blueprint().has(name))
      refuse("it has a weight \"" + name + "\" besides");
  }
}

bool is_same(const Model& model, const Model& base, const Parameter& parameter) {
  if (!base.blueprint().has(parameter.name)) return false;
  return torch::equal(models::computable(model.weight(parameter.name)),
                      models::computable(base.weight(parameter.name)));
}

std::vector<Change> changes(const Model& model, const Model& base) {
  std::vector<Change> found;
  for (const Layer& layer : model.architecture().layers()) {
    for (const auto* own : {&layer.parameters, &layer.buffers}) {
      for (const Parameter& parameter : *own)
        if (!is_same(model, base, parameter)) found.push_back({&layer, &parameter});
    }
  }
  return found;
}

/// Which tensors of a model folder's files hold its parameters.
class FileTensors {
 public:
  FileTensors(const Model& model, const fs::path& folder)
      : model_(model), two_names_(has_two_names(model.architecture())) {
    if (!models::has_published_checkpoint(folder, model.architecture()))
      checkpoint_.emplace(Checkpoint::of_folder(folder));
    for (StoredParameter& stored : models::readable(model.architecture().layers()))
      readable_.emplace(stored.parameter.name, std::move(stored));
  }

  /// Their names, of two of transformers' the layer's own, as of a counter that an older file
  /// lacks.
  std::string name_of(const Change& change) const {
    const std::string& own = change.parameter->name;
    if (!checkpoint_) return own;
    const Checkpoint::Found found = checkpoint_->find(readable_.at(own));
    return !found || found.entry->name == other_name(change) ? own : found.entry->name;
  }

  /// As a whole where several parameters share it, into `weights` then, too.
  StoredParameter tensor_of(const Change& change, models::Weights& weights) const {
    const Parameter& parameter = *change.parameter;
    const std::string name = name_of(change);
    const models::Share& share = readable_.at(parameter.name).share;
    if (share.name == name) return whole(parameter, share, weights);
    weights[parameter.name] = model_.weight(parameter.name);
    StoredParameter stored{parameter, {name}};
    const std::string other = other_name(change);
    if (name == parameter.name && !other.empty()) stored.names.push_back(other);
    return stored;
  }

 private:
  /// Which transformers has for it, too; empty where it has none.
  std::string other_name(const Change& change) const {
    const Layer& layer = *change.layer;
    if (!two_names_ || layer.renamed.empty()) return "";
    return layer.renamed + change.parameter->name.substr(layer.name.size());
  }

  StoredParameter whole(const Parameter& part, const models::Share& share,
                        models::Weights& weights) const {
    std::vector<torch::Tensor> parts(static_cast<std::size_t>(share.parts));
    for (const auto& [name, stored] : readable_) {
      if (stored.share.name == share.name)
        parts[static_cast<std::size_t>(stored.share.part)] =
            models::computable(model_.weight(name));
    }
    Parameter all{share.name, part.shape};
    all.shape.front() *= share.parts;
    weights[share.name] = torch::cat(parts);
    return {all, {share.name}};
  }

  const Model& model_;
  bool two_names_;
  std::optional<Checkpoint> checkpoint_;
  std::map<std::string, StoredParameter> readable_;
};

ExportedFile written(const std::string& file, const std::string& format,
                     const std::vector<StoredParameter>& parameters) {
  ExportedFile exported{file, format};
  for (const StoredParameter& stored : parameters) {
    ++exported.tensors;
    exported.numbers += stored.parameter.numel();
  }
  return exported;
}

/// Whether LN_TUNING says it all.
bool is_norm_tuning(const Model& model, const std::vector<Change>& changed,
                    const FileTensors& files) {
  for (const MethodPtr& method : methods_of(model.blueprint()))
    if (!type_of(*method).own()) return false;
  bool norms = false;
  for (const Change& change : changed) {
    const bool norm = is_norm(*change.layer);
    norms = norms || norm;
    if (!norm && change.layer->role != Role::kHead) return false;
    if (files.name_of(change) != change.parameter->name) return false;
  }
  return norms;
}

ExportedFile write_norm_tuning(const Model& model, const std::vector<Change>& changed,
                               const fs::path& out) {
  std::set<std::string> layers;
  for (const Change& change : changed) layers.insert(change.layer->name);
  const NormTuning tuning = norm_tuning(model.blueprint(), layers);
  models::write_parameters(out / kPeftWeightsFile, tuning.parameters, model.weights());
  write_file(out / kPeftConfigFile, tuning.config.dump(2) + "\n");
  return written(kPeftWeightsFile, std::string("PEFT's ") + kNormTuning, tuning.parameters);
}

/// The same where the folder of the one method that has PEFT's files says it all besides. Whether
/// it does.
bool write_with_method(const Model& model, const std::vector<Change>& changed,
                       const FileTensors& tensors, const fs::path& out,
                       std::vector<ExportedFile>& files) {
  const models::Blueprint& blueprint = model.blueprint();
  Methods theirs;
  for (const MethodPtr& method : methods_of(blueprint))
    if (!type_of(*method).own()) theirs.push_back(method);
  const auto& layers = model.architecture().layers();
  // Beside parts of a layer that PEFT has whole the folder has other pairs (peft/fused_lora.h).
  const bool parts = std::any_of(layers.begin(), layers.end(),
                                 [](const Layer& layer) { return layer.share.only; });
  if (theirs.size() != 1 || parts) return false;
  std::set<std::string> names;
  for (const Change& change : changed) {
    if (tensors.name_of(change) != change.parameter->name) return false;
    names.insert(change.parameter->name);
  }
  const Method& method = *theirs.front();
  const MethodType& type = type_of(method);
  const auto with = with_method(type.write_peft(method, blueprint), method, blueprint, names);
  if (!with) return false;
  std::vector<StoredParameter> parameters = with->parameters;
  for (const Layer& layer : blueprint.layers()) {
    if (layer.method != method.name()) continue;
    for (const Parameter& parameter : layer.parameters)
      parameters.push_back({parameter, method.file_names(layer, parameter)});
  }
  models::write_parameters(out / kPeftWeightsFile, parameters, model.weights());
  write_file(out / kPeftConfigFile, with->config.dump(2) + "\n");
  for (ExportedFile& file : files)
    if (file.file == kPeftWeightsFile) file = written(file.file, file.format, parameters);
  return true;
}

ExportedFile write_partial(const std::vector<Change>& changed, const FileTensors& files,
                           const std::string& fingerprint, const fs::path& out) {
  std::vector<StoredParameter> parameters;
  models::Weights weights;
  std::set<std::string> known;
  Json shapes = Json::object();
  for (const Change& change : changed) {
    StoredParameter stored = files.tensor_of(change, weights);
    if (!known.insert(stored.parameter.name).second) continue;
    for (const std::string& name : stored.names) shapes[name] = stored.parameter.shape;
    parameters.push_back(std::move(stored));
  }
  models::write_parameters(out / kPartialFile, parameters, weights);
  const Json index{{"version", 1}, {"base_fingerprint", fingerprint}, {"parameters", shapes}};
  write_file(out / kPartialIndexFile, index.dump(2) + "\n");
  return written(kPartialFile, "partial", parameters);
}

/// The one method that AdapterHub has, too, in its folder; of two none, which it could not stack
/// so.
void write_hub(const Model& model, const fs::path& out, std::vector<ExportedFile>& files) {
  Methods known;
  for (const MethodPtr& method : methods_of(model.blueprint()))
    if (!hub_form(*method, model.blueprint()).empty()) known.push_back(method);
  if (known.size() != 1) return;
  const Json config = hub_config(*known.front(), model.blueprint());
  const auto parameters =
      hub_parameters(*known.front(), model.blueprint(), config.at("name").get<std::string>());
  const fs::path folder = kHubFolder;
  fs::create_directories(out / folder);
  models::write_parameters(out / folder / kHubWeightsFile, parameters, model.weights());
  write_file(out / folder / kHubConfigFile, config.dump(2) + "\n");
  files.push_back(written((folder / kHubWeightsFile).string(),
                          "AdapterHub's " + hub_form(*known.front(), model.blueprint()),
                          parameters));
}

/// What save_methods has written.
std::vector<ExportedFile> method_files(const Model& model) {
  std::vector<ExportedFile> files;
  bool first = true;
  for (const MethodPtr& method : methods_of(model.blueprint())) {
    const MethodType& type = type_of(*method);
    std::vector<StoredParameter> parameters;
    for (const Layer& layer : model.blueprint().layers()) {
      if (layer.method != method->name()) continue;
      for (const Parameter& parameter : layer.parameters) parameters.push_back({parameter, {}});
    }
    if (type.own()) {
      files.push_back(written(kOwnWeightsFile, "Strata's " + type.section, parameters));
      continue;
    }
    const std::string folder = first ? "" : type.section + "/";
    first = false;
    files.push_back(written(folder + kPeftWeightsFile, "PEFT's " + type.peft_type, parameters));
  }
  return files;
}

}  // namespace

std::vector<ExportedFile> export_changes(const fs::path& model_folder, const fs::path& base_folder,
                                         const fs::path& out) {
  const Model model = load_model(model_folder), base = load_model(base_folder);
  check_base(model, base, base_folder, model_folder);
  const std::vector<Change> changed = changes(model, base);
  if (changed.empty() && methods_of(model.blueprint()).empty()) {
    throw InputError(model_folder.string() + ": no weight differs from those of " +
                     base_folder.string() + ", so there is nothing to export");
  }
  fs::create_directories(out);
  save_methods(model, out);
  std::vector<ExportedFile> files = method_files(model);
  write_fused_pairs(model, out, files);
  write_hub(model, out, files);
  if (changed.empty()) return files;
  const FileTensors tensors(model, model_folder);
  if (write_with_method(model, changed, tensors, out, files)) return files;
  files.push_back(is_norm_tuning(model, changed, tensors)
                      ? write_norm_tuning(model, changed, out)
                      : write_partial(changed, tensors, base.fingerprint(), out));
  return files;
}

}  // namespace strata::peft
