#include "peft/files.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "models/architectures/published_checkpoints.h"
#include "models/checkpoint.h"
#include "models/model.h"
#include "models/torch.h"
#include "peft/adapter_hub.h"
#include "peft/chosen_names.h"
#include "peft/fused_lora.h"
#include "peft/replaced.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata::peft {
namespace {

using models::Blueprint;
using models::StoredParameter;

bool has_number(const MethodType& type) {
  return type.own_number != nullptr;
}

/// strata_adapters.json. Version 1 has a number a method, version 2 `peft`, as `model.peft`.
Methods read_numbers(ObjectReader& reader) {
  Methods methods;
  for (const MethodType& type : method_types()) {
    if (!has_number(type)) continue;
    const std::int64_t number = reader.integer(type.needs, 0, type.largest_own_number, 0);
    if (number > 0) methods.push_back(type.from_own_number(number));
  }
  reader.finish();
  return methods;
}

Methods read_own(ObjectReader reader) {
  if (reader.integer("version", 1, 2) == 1) return read_numbers(reader);
  Methods methods = read_methods(reader.object("peft", true));
  reader.finish();
  return methods;
}

std::string own_config(const Methods& all) {
  Methods methods;
  bool numbered = true;
  for (const MethodPtr& method : all) {
    const MethodType& type = type_of(*method);
    if (!type.own()) continue;
    methods.push_back(method);
    numbered = numbered && has_number(type) && type.own_number(*method) > 0;
  }
  if (!numbered) return Json{{"version", 2}, {"peft", methods_json(methods)}}.dump(2) + "\n";
  Json json = {{"version", 1}};
  // In the order of their names, as the file has always had them.
  std::map<std::string, std::int64_t> numbers;
  for (const MethodType& type : method_types())
    if (has_number(type)) numbers[type.needs] = 0;
  for (const MethodPtr& method : methods)
    numbers[type_of(*method).needs] = type_of(*method).own_number(*method);
  for (const auto& [field, number] : numbers) json[field] = number;
  return json.dump(2) + "\n";
}

/// A method with PEFT's files and the folder of a model folder that they are in: the first one's
/// are in the model's own, a further one's in one of its name, as PEFT's further adapters are.
struct PeftPlace {
  MethodPtr method;
  std::filesystem::path folder;
};

std::vector<PeftPlace> peft_places(const Blueprint& blueprint) {
  std::vector<PeftPlace> places;
  for (const MethodPtr& method : methods_of(blueprint)) {
    const MethodType& type = type_of(*method);
    if (!type.own()) places.push_back({method, places.empty() ? "" : type.section});
  }
  return places;
}

/// A file of weights beside a base's, and which it holds.
struct WeightsFile {
  std::filesystem::path file, config_file;
  std::vector<StoredParameter> parameters = {};
  /// Whose factors stand in `parameters` in place of their parts'.
  std::vector<FusedPair> fused = {};
};

enum class FileUse { kWrite, kRead };

/// Files are read under further names: those that other versions of transformers have of a layer.
void add_parameters(const Blueprint& blueprint, const Method& method, FileUse use,
                    WeightsFile& file) {
  const std::set<std::string> left_out = method.left_out();
  for (const models::Layer& layer : blueprint.layers()) {
    if (layer.method != method.name()) continue;
    for (const models::Parameter& parameter : layer.parameters) {
      if (use == FileUse::kRead && left_out.count(parameter.name)) continue;
      std::vector<std::string> names = method.file_names(layer, parameter);
      const std::string own = names.front();
      const std::size_t at = own.find(layer.name);
      for (const std::string& alias : layer.aliases) {
        if (use == FileUse::kWrite || at == std::string::npos) continue;
        std::string further = std::string(own).replace(at, layer.name.size(), alias);
        if (std::find(names.begin(), names.end(), further) == names.end())
          names.push_back(std::move(further));
      }
      file.parameters.push_back({parameter, std::move(names)});
    }
  }
}

std::vector<WeightsFile> weights_files(const Blueprint& blueprint, FileUse use) {
  std::vector<WeightsFile> files;
  WeightsFile own{kOwnWeightsFile, kOwnConfigFile};
  for (const MethodPtr& method : methods_of(blueprint))
    if (type_of(*method).own()) add_parameters(blueprint, *method, use, own);
  if (!own.parameters.empty()) files.push_back(std::move(own));
  for (const PeftPlace& place : peft_places(blueprint)) {
    files.push_back({place.folder / kPeftWeightsFile, place.folder / kPeftConfigFile});
    add_parameters(blueprint, *place.method, use, files.back());
  }
  return files;
}

/// Every file that a folder may have of methods, of whatever model.
std::set<std::filesystem::path> possible_files(const char* name, const char* own) {
  std::set<std::filesystem::path> files = {name, own};
  for (const MethodType& type : method_types())
    if (!type.own()) files.insert(std::filesystem::path(type.section) / name);
  return files;
}

/// Removes files, and the folders of further methods that are then empty.
void remove_all(const std::filesystem::path& folder, const std::set<std::filesystem::path>& files) {
  for (const std::filesystem::path& file : files) {
    std::error_code ignored;
    if (!std::filesystem::remove(folder / file, ignored) || !file.has_parent_path()) continue;
    std::filesystem::remove(folder / file.parent_path(), ignored);
  }
}

/// A method's, from PEFT's configuration of it; none where that changes weights of the base alone.
Methods read_peft(const Document& config, const Blueprint& blueprint) {
  const Document document = with_chosen_names(config, blueprint);
  ObjectReader reader(document);
  std::vector<std::string> known = {kNormTuning};
  for (const MethodType& type : method_types())
    if (!type.own()) known.push_back(type.peft_type);
  const std::string found = reader.choice("peft_type", known);
  for (const MethodType& type : method_types())
    if (type.peft_type == found) return {type.read_peft(reader)};
  return {};
}

/// Adds what a folder of PEFT's brings of the base's weights to its file's list.
void add_replaced(const std::filesystem::path& folder, const Blueprint& blueprint,
                  const Method* method, WeightsFile& file) {
  if (!std::filesystem::exists(folder / file.config_file)) return;
  const Document document = with_chosen_names(load_json(folder / file.config_file), blueprint);
  ObjectReader reader(document);
  if (!reader.has("peft_type")) return;
  for (StoredParameter& parameter : replaced_by(reader, method, blueprint))
    file.parameters.push_back(std::move(parameter));
}

/// Puts whole pairs into the list of a folder of PEFT's in place of their parts'.
void take_fused(const std::filesystem::path& folder, const Blueprint& blueprint,
                WeightsFile& file) {
  if (!std::filesystem::exists(folder / kPeftConfigFile)) return;
  file.fused = fused_pairs(load_json(folder / kPeftConfigFile), blueprint, folder);
  for (const FusedPair& pair : file.fused) {
    for (const FusedPair::Part& part : pair.own)
      std::erase_if(file.parameters, [&](const StoredParameter& stored) {
        return stored.parameter.name.starts_with(part.layer + ".lora_");
      });
    file.parameters.insert(file.parameters.end(), {pair.down, pair.up});
  }
}

/// The weights of the base that partial.safetensors holds, under whichever of their names.
void add_partial(const Blueprint& blueprint, const std::filesystem::path& folder,
                 std::vector<WeightsFile>& files) {
  if (!std::filesystem::exists(folder / kPartialFile)) return;
  const models::Checkpoint held(folder / kPartialFile);
  WeightsFile file{kPartialFile, "config.json"};
  for (StoredParameter& parameter : models::readable(blueprint.architecture().layers()))
    if (held.find(parameter)) file.parameters.push_back(std::move(parameter));
  files.push_back(std::move(file));
}

/// @throws InputError where partial.json says that partial.safetensors is of another base
void check_partial_base(const models::Model& base, const std::filesystem::path& folder) {
  const std::filesystem::path index = folder / kPartialIndexFile;
  if (!std::filesystem::exists(folder / kPartialFile) || !std::filesystem::exists(index)) return;
  const Document document = load_json(index);
  ObjectReader reader(document);
  const std::string key = "base_fingerprint", exported = reader.text(key, "");
  if (exported.empty() || exported == base.fingerprint() || exported == base.earlier_fingerprint())
    return;
  reader.fail(key, std::string(kPartialFile) + " was exported from the foundation \"" + exported +
                       "\", but the weights beside it are of another, \"" + base.fingerprint() +
                       "\"");
}

/// AdapterHub's configuration, where the folder's adapter_config.json is one.
std::optional<Document> hub_document(const std::filesystem::path& folder) {
  if (!std::filesystem::exists(folder / kHubConfigFile)) return {};
  Document document = load_json(folder / kHubConfigFile);
  ObjectReader reader(document);
  if (!is_hub_config(reader)) return {};
  return document;
}

/// What a folder of AdapterHub's holds, and our own file of other methods.
std::vector<WeightsFile> hub_files(const Blueprint& blueprint, const Document& document,
                                   const std::filesystem::path& folder) {
  if (!peft_places(blueprint).empty()) {
    throw InputError(document.file +
                     ": methods with PEFT's files do not go with an adapter of AdapterHub's");
  }
  if (!std::filesystem::exists(folder / kHubWeightsFile)) {
    throw InputError((folder / kHubWeightsFile).string() +
                     ": it is missing; AdapterHub writes it by save_adapter(..., "
                     "use_safetensors=True)");
  }
  ObjectReader config(document);
  const MethodPtr theirs = read_hub(config, blueprint);
  std::vector<WeightsFile> files;
  WeightsFile beside{kOwnWeightsFile, kOwnConfigFile};
  for (const MethodPtr& method : methods_of(blueprint))
    if (method->name() != theirs->name())
      add_parameters(blueprint, *method, FileUse::kRead, beside);
  if (!beside.parameters.empty()) files.push_back(std::move(beside));
  files.push_back(
      {kHubWeightsFile, kHubConfigFile, hub_parameters(*theirs, blueprint, config.text("name"))});
  return files;
}

/// The same of a folder, which may be of an earlier Strata, which wrote all to PEFT's files, and
/// may bring weights of the base.
std::vector<WeightsFile> weights_files(const Blueprint& blueprint,
                                       const std::filesystem::path& folder) {
  if (const auto hub = hub_document(folder)) {
    auto files = hub_files(blueprint, *hub, folder);
    add_partial(blueprint, folder, files);
    return files;
  }
  auto files = weights_files(blueprint, FileUse::kRead);
  const bool own_beside = files.size() > 0 && files.front().file == kOwnWeightsFile &&
                          !std::filesystem::exists(folder / kOwnConfigFile);
  if (own_beside) {
    WeightsFile all{kPeftWeightsFile, kPeftConfigFile, {}};
    for (WeightsFile& file : files)
      std::move(file.parameters.begin(), file.parameters.end(), std::back_inserter(all.parameters));
    return {all};
  }
  add_partial(blueprint, folder, files);
  const auto places = peft_places(blueprint);
  if (places.empty()) {
    WeightsFile base_alone{kPeftWeightsFile, kPeftConfigFile};
    add_replaced(folder, blueprint, nullptr, base_alone);
    if (!base_alone.parameters.empty()) files.push_back(std::move(base_alone));
  }
  for (const PeftPlace& place : places) {
    const auto at = std::find_if(files.begin(), files.end(), [&](const WeightsFile& file) {
      return file.file == place.folder / kPeftWeightsFile;
    });
    take_fused(folder / place.folder, blueprint, *at);
    add_replaced(folder, blueprint, place.method.get(), *at);
  }
  return files;
}

/// What files of methods leave out.
void draw_again(models::Model& model, const c10::Device& device) {
  const Blueprint& blueprint = model.blueprint();
  for (const MethodPtr& method : methods_of(blueprint)) {
    for (const auto& [name, numbers] : method->drawn_again(blueprint))
      model.weights()[name] =
          torch::tensor(numbers).view(blueprint.parameter(name).shape).to(device);
  }
}

/// PEFT's configuration in a folder, by the model's own layers.
Document peft_document(const std::filesystem::path& folder, const Blueprint& blueprint) {
  Document document = load_json(folder / kPeftConfigFile);
  const std::vector<FusedPair> fused = fused_pairs(document, blueprint, folder);
  return with_parts(std::move(document), fused);
}

}  // namespace

Blueprint read_blueprint(const std::filesystem::path& folder) {
  const std::filesystem::path theirs = folder / kPeftConfigFile, own = folder / kOwnConfigFile;
  Blueprint blueprint = models::read_base_blueprint(folder);
  if (std::filesystem::exists(theirs)) {
    const Document document = peft_document(folder, blueprint);
    ObjectReader reader(document);
    Methods methods;
    if (is_hub_config(reader))
      methods = {read_hub(reader, blueprint)};
    else if (reader.has("peft_type") || !reader.has("strata"))
      methods = read_peft(document, blueprint);
    if (reader.has("strata")) {
      ObjectReader own_numbers = reader.object("strata");
      own_numbers.version(1);
      for (MethodPtr& method : read_numbers(own_numbers)) methods.push_back(std::move(method));
    }
    blueprint = with_methods(blueprint, methods, theirs.string());
  }
  for (const MethodType& type : method_types()) {
    const std::filesystem::path further = folder / type.section / kPeftConfigFile;
    if (type.own() || !std::filesystem::exists(further)) continue;
    blueprint = with_methods(blueprint,
                             read_peft(peft_document(folder / type.section, blueprint), blueprint),
                             further.string());
  }
  if (std::filesystem::exists(own)) {
    const Document document = load_json(own);
    blueprint = with_methods(blueprint, read_own(ObjectReader(document)), own.string());
  }
  // Whatever is wrong in PEFT's files is said before weights are looked for.
  weights_files(blueprint, folder);
  return blueprint;
}

void check_weights(const std::filesystem::path& folder, const Blueprint& blueprint) {
  const models::Architecture& architecture = blueprint.architecture();
  if (models::has_published_checkpoint(folder, architecture))
    models::read_published_checkpoint(architecture, folder);
  else
    models::Checkpoint::of_folder(folder, architecture.lent_weights())
        .check(models::readable(architecture.layers()), "config.json", architecture.passed_over());
  for (const WeightsFile& file : weights_files(blueprint, folder))
    models::Checkpoint(folder / file.file).check(file.parameters, file.config_file.string());
  // The fingerprint is of the base's numbers, so that all of them are read, for this file alone.
  if (std::filesystem::exists(folder / kPartialIndexFile))
    check_partial_base(models::Model::load_base(blueprint, folder, torch::kCPU), folder);
}

models::Model load_model(const std::filesystem::path& folder, const c10::Device& device) {
  const Blueprint blueprint = read_blueprint(folder);
  models::Model model = models::Model::load_base(blueprint, folder, device);
  check_partial_base(model, folder);
  for (const WeightsFile& file : weights_files(blueprint, folder)) {
    const models::Checkpoint checkpoint(folder / file.file);
    checkpoint.check(file.parameters, file.config_file.string());
    models::read_parameters(checkpoint, file.parameters, models::Numbers::kFloat32, device,
                            model.weights());
    split_pairs(file.fused, model.weights(), model.weights());
    for (const FusedPair& pair : file.fused)
      for (const StoredParameter* whole : {&pair.down, &pair.up})
        model.weights().erase(whole->parameter.name);
  }
  draw_again(model, device);
  return model;
}

models::Model load_model(const std::filesystem::path& folder) {
  return load_model(folder, torch::kCPU);
}

void save_configs(const Blueprint& blueprint, const std::filesystem::path& folder) {
  const Methods methods = methods_of(blueprint);
  auto unused = possible_files(kPeftConfigFile, kOwnConfigFile);
  const auto write = [&](const std::filesystem::path& file, const std::string& text) {
    unused.erase(file);
    std::filesystem::create_directories((folder / file).parent_path());
    write_file(folder / file, text);
  };
  if (std::any_of(methods.begin(), methods.end(),
                  [](const MethodPtr& method) { return type_of(*method).own(); }))
    write(kOwnConfigFile, own_config(methods));
  for (const PeftPlace& place : peft_places(blueprint)) {
    const Json config = type_of(*place.method).write_peft(*place.method, blueprint);
    write(place.folder / kPeftConfigFile, config.dump(2) + "\n");
  }
  remove_all(folder, unused);
}

void save_model(const models::Model& model, const std::filesystem::path& folder) {
  model.save_base(folder);
  save_methods(model, folder);
}

void save_methods(const models::Model& model, const std::filesystem::path& folder) {
  // Weights before what describes them, and the other way round where there are none any more: a
  // description without weights would be in the way of whoever opens the folder.
  auto unused = possible_files(kPeftWeightsFile, kOwnWeightsFile);
  const std::filesystem::path hub = kHubFolder;
  unused.insert({kPartialFile, kPartialIndexFile, kHubWeightsFile, hub / kHubConfigFile,
                 hub / kHubWeightsFile});
  for (const WeightsFile& file : weights_files(model.blueprint(), FileUse::kWrite)) {
    std::filesystem::create_directories((folder / file.file).parent_path());
    models::write_parameters(folder / file.file, file.parameters, model.weights());
    unused.erase(file.file);
  }
  save_configs(model.blueprint(), folder);
  remove_all(folder, unused);
}

void add_methods(models::Model& model, const Methods& methods, std::uint64_t seed) {
  model.set_attachments(with_methods(model.blueprint(), methods, "model").attachments(), seed);
}

void set_units(models::Model& model, const std::string& scheme, models::Buffers buffers) {
  model.set_units(scheme_units(model.blueprint(), scheme, buffers));
}

}  // namespace strata::peft
