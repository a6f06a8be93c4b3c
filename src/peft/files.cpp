#include "peft/files.h"

#include <algorithm>
#include <map>
#include <set>

#include "models/architectures/albef_checkpoint.h"
#include "models/checkpoint.h"
#include "models/model.h"
#include "models/torch.h"
#include "peft/lora.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata::peft {
namespace {

using models::Blueprint;
using models::StoredParameter;

bool is_own(const MethodType& type) {
  return type.own_number != nullptr;
}

/// The field of strata_adapters.json for a method.
Methods read_own(ObjectReader reader) {
  reader.version(1);
  Methods methods;
  for (const MethodType& type : method_types()) {
    if (!is_own(type)) continue;
    const std::int64_t number = reader.integer(type.needs, 0, type.largest_own_number, 0);
    if (number > 0) methods.push_back(type.from_own_number(number));
  }
  reader.finish();
  return methods;
}

std::string own_config(const Methods& methods) {
  Json json = {{"version", 1}};
  // In the order of their names, as the file has always had them.
  std::map<std::string, std::int64_t> numbers;
  for (const MethodType& type : method_types())
    if (is_own(type)) numbers[type.needs] = 0;
  for (const MethodPtr& method : methods) {
    const MethodType& type = type_of(*method);
    if (is_own(type)) numbers[type.needs] = type.own_number(*method);
  }
  for (const auto& [field, number] : numbers) json[field] = number;
  return json.dump(2) + "\n";
}

/// A file of weights beside a base's, and which it holds.
struct WeightsFile {
  std::string file, config_file;
  std::vector<StoredParameter> parameters;
};

std::vector<WeightsFile> weights_files(const Blueprint& blueprint) {
  WeightsFile own{kOwnWeightsFile, kOwnConfigFile, {}};
  WeightsFile theirs{kPeftWeightsFile, kPeftConfigFile, {}};
  for (const MethodPtr& method : methods_of(blueprint)) {
    auto& into = is_own(type_of(*method)) ? own : theirs;
    for (const models::Layer& layer : blueprint.layers()) {
      if (layer.method != method->name()) continue;
      for (const models::Parameter& parameter : layer.parameters)
        into.parameters.push_back({parameter, method->file_names(layer, parameter)});
    }
  }
  std::vector<WeightsFile> files;
  for (WeightsFile* file : {&own, &theirs})
    if (!file->parameters.empty()) files.push_back(std::move(*file));
  return files;
}

/// The same of a folder that may be of an earlier Strata, which wrote all to PEFT's files.
std::vector<WeightsFile> weights_files(const Blueprint& blueprint,
                                       const std::filesystem::path& folder) {
  auto files = weights_files(blueprint);
  const bool own_beside = files.size() > 0 && files.front().file == kOwnWeightsFile &&
                          !std::filesystem::exists(folder / kOwnConfigFile);
  if (!own_beside) return files;
  WeightsFile all{kPeftWeightsFile, kPeftConfigFile, {}};
  for (WeightsFile& file : files)
    std::move(file.parameters.begin(), file.parameters.end(), std::back_inserter(all.parameters));
  return {all};
}

}  // namespace

Blueprint read_blueprint(const std::filesystem::path& folder) {
  const std::filesystem::path theirs = folder / kPeftConfigFile, own = folder / kOwnConfigFile;
  Blueprint blueprint = models::read_base_blueprint(folder);
  if (std::filesystem::exists(theirs)) {
    const Document document = load_json(theirs);
    ObjectReader reader(document);
    Methods methods;
    if (reader.has("peft_type") || !reader.has("strata"))
      methods.push_back(read_lora_config(reader));
    if (reader.has("strata")) {
      for (MethodPtr& method : read_own(reader.object("strata")))
        methods.push_back(std::move(method));
    }
    blueprint = with_methods(blueprint, methods, theirs.string());
  }
  if (std::filesystem::exists(own)) {
    const Document document = load_json(own);
    blueprint = with_methods(blueprint, read_own(ObjectReader(document)), own.string());
  }
  return blueprint;
}

void check_weights(const std::filesystem::path& folder, const Blueprint& blueprint) {
  const models::Architecture& architecture = blueprint.architecture();
  if (const auto file = models::albef_checkpoint_in(folder, architecture))
    models::read_albef_checkpoint(architecture, *file);
  else
    models::Checkpoint::of_folder(folder).check(models::readable(architecture.layers()),
                                                "config.json");
  for (const WeightsFile& file : weights_files(blueprint, folder))
    models::Checkpoint(folder / file.file).check(file.parameters, file.config_file);
}

models::Model load_model(const std::filesystem::path& folder, const c10::Device& device) {
  const Blueprint blueprint = read_blueprint(folder);
  models::Model model = models::Model::load_base(blueprint, folder, device);
  for (const WeightsFile& file : weights_files(blueprint, folder)) {
    const models::Checkpoint checkpoint(folder / file.file);
    checkpoint.check(file.parameters, file.config_file);
    models::read_parameters(checkpoint, file.parameters, models::Numbers::kFloat32, device,
                            model.weights());
  }
  return model;
}

models::Model load_model(const std::filesystem::path& folder) {
  return load_model(folder, torch::kCPU);
}

void save_configs(const Blueprint& blueprint, const std::filesystem::path& folder) {
  const Methods methods = methods_of(blueprint);
  std::set<std::string> unused = {kPeftConfigFile, kOwnConfigFile};
  for (const MethodPtr& method : methods) {
    const bool own = is_own(type_of(*method));
    const std::string file = own ? kOwnConfigFile : kPeftConfigFile;
    if (unused.erase(file) > 0)
      write_file(folder / file, own ? own_config(methods) : lora_config(*method, blueprint));
  }
  for (const std::string& file : unused) std::filesystem::remove(folder / file);
}

void save_model(const models::Model& model, const std::filesystem::path& folder) {
  model.save_base(folder);
  // Weights before what describes them, and the other way round where there are none any more: a
  // description without weights would be in the way of whoever opens the folder.
  std::set<std::string> unused = {kPeftWeightsFile, kOwnWeightsFile};
  for (const WeightsFile& file : weights_files(model.blueprint())) {
    models::write_parameters(folder / file.file, file.parameters, model.weights());
    unused.erase(file.file);
  }
  save_configs(model.blueprint(), folder);
  for (const std::string& file : unused) std::filesystem::remove(folder / file);
}

void add_methods(models::Model& model, const Methods& methods, std::uint64_t seed) {
  model.set_attachments(with_methods(model.blueprint(), methods, "model").attachments(), seed);
}

void set_units(models::Model& model, const std::string& scheme, models::Buffers buffers) {
  model.set_units(scheme_units(model.blueprint(), scheme, buffers));
}

}  // namespace strata::peft
