#include "models/model.h"

#include <algorithm>
#include <stdexcept>

#include "core/machine.h"
#include "core/text.h"
#include "models/architectures/config_limits.h"
#include "models/architectures/published_checkpoints.h"
#include "models/checkpoint.h"
#include "models/drawn.h"
#include "models/nf4.h"
#include "models/preprocessor_config.h"
#include "models/resized_positions.h"
#include "models/short_weights.h"
#include "models/tensor_bytes.h"
#include "models/units.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/core/random.h"
#include "strata/core/sha256.h"

namespace strata::models {

using torch::Tensor;

namespace {

/// With the keys of the user's own configuration that the architecture does not know, all in the
/// order of transformers. What the labels are for is the task's to say.
Json with_further_keys(const Json& config, const Json& own) {
  std::map<std::string, Json> keys;
  for (const auto& [key, value] : config.items()) keys[key] = value;
  for (const auto& [key, value] : own.items()) {
    if (key != "num_labels" && key != "problem_type") keys.emplace(key, value);
  }
  if (own.contains("dtype")) keys["dtype"] = config.at("torch_dtype");  // transformers 5's name
  Json all = Json::object();
  for (const auto& [key, value] : keys) all[key] = value;
  return all;
}

}  // namespace

Model::Model(Blueprint blueprint, torch::Device device)
    : blueprint_(std::make_shared<const Blueprint>(std::move(blueprint))),
      device_(device),
      units_(stage_units(*blueprint_, Buffers::kFrozen)) {}

Model::Model(Blueprint blueprint, std::uint64_t seed, torch::Device device)
    : Model(std::move(blueprint), device) {
  for (const Parameter& parameter : blueprint_->parameters()) draw(parameter, seed);
  for (const Parameter& buffer : blueprint_->buffers()) draw(buffer, seed);
}

void Model::draw(const Parameter& parameter, std::uint64_t seed) {
  if (parameter.init.kind == Init::Kind::kRowNorms) {
    const Tensor rows = computable(weights_.at(parameter.init.of)).flatten(1);
    weights_[parameter.name] =
        torch::linalg_vector_norm(rows, 2, {1}, false, {}).view(parameter.shape);
    return;
  }
  weights_[parameter.name] = drawn(parameter, seed).to(device_);
}

Tensor drawn(const Parameter& parameter, std::uint64_t seed) {
  if (parameter.counter) return torch::zeros(parameter.shape, torch::kLong);
  Tensor tensor = torch::zeros(parameter.shape);
  Random random(derive_seed(seed, parameter.name));
  auto* values = tensor.data_ptr<float>();
  const double scale = parameter.init.scale;
  const auto fill = [&](auto&& number) {
    for (std::int64_t i = 0; i < tensor.numel(); ++i) values[i] = static_cast<float>(number());
  };
  switch (parameter.init.kind) {
    case Init::Kind::kZeros:
      break;
    case Init::Kind::kOnes:
      tensor.fill_(1);
      break;
    case Init::Kind::kNormal:
      fill([&] { return parameter.init.mean + scale * random.normal(); });
      break;
    case Init::Kind::kUniform:
      fill([&] { return random.uniform(-scale, scale); });
      break;
    case Init::Kind::kRowNorms:
      throw std::logic_error("the norms of rows are no numbers to draw");
    case Init::Kind::kIdentity: {
      const auto diagonal = tensor.diagonal(0, 0, 1);
      diagonal.fill_(scale);
      break;
    }
  }
  return tensor;
}

Model Model::load_base(Blueprint blueprint, const std::filesystem::path& folder,
                       torch::Device device) {
  if (has_published_checkpoint(folder, blueprint.architecture())) {
    Model model(std::move(blueprint), device);
    for (const auto& [name, weight] : read_published_checkpoint(model.architecture(), folder))
      model.weights_[name] = weight.to(device);
    return model;
  }
  const auto checkpoint = std::make_shared<const Checkpoint>(
      Checkpoint::of_folder(folder, blueprint.architecture().lent_weights()));
  const auto parameters = readable(blueprint.architecture().layers());
  checkpoint->check(parameters, "config.json", blueprint.architecture().passed_over());
  Model model(std::move(blueprint), device);
  read_parameters(*checkpoint, parameters, Numbers::kAsStored, device, model.weights_);
  model.source_ = checkpoint;
  model.streams_ = checkpoint->byte_count() > physical_memory() / 4;
  return model;
}

void Model::save_base(const std::filesystem::path& folder) const {
  const auto& layers = architecture().layers();
  Json config = architecture().config();
  const Json own = source_ ? parse_json(source_->config(), "config.json").root : Json();
  if (!source_) {
    write_parameters(folder / kWeightsFile, stored(layers), weights_);
  } else if (architecture().keeps_file_names()) {
    config["torch_dtype"] = write_like(*source_, folder, readable(layers), weights_);
    config = with_further_keys(config, own);
  } else if (is_of_timm(own)) {
    write_like(*source_, folder, readable(layers), weights_, Names::kLast);
    config = timm_config(own, architecture().labels());
  } else {
    // Names of another library cannot stand beside a configuration of transformers.
    config["torch_dtype"] =
        write_like(*source_, folder, readable(layers), weights_, Names::kOfParameters);
    config = with_further_keys(config, own);
  }
  write_file(folder / "config.json", config.dump(2) + "\n");
  write_image_processor(blueprint_->image_processor(), architecture().image_model(), folder);
}

void Model::set_attachments(Attachments attachments, std::uint64_t seed) {
  Blueprint changed = *blueprint_;
  changed.set_attachments(std::move(attachments));
  blueprint_ = std::make_shared<const Blueprint>(std::move(changed));
  for (const Parameter& parameter : blueprint_->parameters()) {
    if (!weights_.count(parameter.name)) draw(parameter, seed);
  }
}

void Model::relabel(std::vector<std::string> labels, std::uint64_t seed) {
  blueprint_ = std::make_shared<const Blueprint>(blueprint_->with(std::move(labels)));
  units_ = stage_units(*blueprint_, Buffers::kFrozen);
  Weights kept;
  for (const auto& parameters : {blueprint_->parameters(), blueprint_->buffers()}) {
    for (const Parameter& parameter : parameters) {
      if (const auto known = weights_.find(parameter.name); known != weights_.end())
        kept.insert(*known);
    }
  }
  weights_ = std::move(kept);
  for (const Parameter& parameter : blueprint_->parameters())
    if (!weights_.count(parameter.name)) draw(parameter, seed);
  const auto& layers = architecture().layers();
  const auto output = std::find_if(layers.rbegin(), layers.rend(),
                                   [](const Layer& layer) { return !layer.parameters.empty(); });
  for (const Layer& layer : layers) {
    if (!layer.of_labels && &layer != &*output) continue;
    for (const Parameter& parameter : layer.parameters) draw(parameter, seed);
  }
}

void Model::set_image_size(std::int64_t side) {
  blueprint_ = std::make_shared<const Blueprint>(blueprint_->with_image_size(side));
  units_ = stage_units(*blueprint_, Buffers::kFrozen);
  for (const Layer& layer : architecture().layers()) {
    if (layer.part != Part::kPositions) continue;
    for (const Parameter& parameter : layer.parameters) {
      Tensor& weight = weights_.at(parameter.name);
      if (weight.sizes() != torch::IntArrayRef(parameter.shape))
        weight = resized_positions(computable(weight), parameter.shape).contiguous();
    }
  }
}

const Unit& Model::unit(const std::string& name) const {
  for (const Unit& unit : units_) {
    if (unit.name == name) return unit;
  }
  const std::vector<std::string> names = names_of(units_);
  throw InputError("unknown unit \"" + name + "\"" + did_you_mean(name, names) +
                   "; the units are " + quoted_list(names));
}

std::vector<Tensor> Model::weights_of(const Unit& unit) const {
  std::vector<Tensor> tensors;
  for (const std::string& name : unit.parameters) tensors.push_back(weights_.at(name));
  return tensors;
}

std::int64_t Model::number_bytes() const {
  const Tensor& any = weights_.begin()->second;
  return is_short(any) ? sizeof(float) : static_cast<std::int64_t>(any.element_size());
}

void Model::train_only(const std::vector<std::string>& unit_names) {
  std::set<std::string> trained;
  for (const std::string& name : unit_names) {
    const Unit& chosen = unit(name);
    trained.insert(chosen.parameters.begin(), chosen.parameters.end());
  }
  for (auto& [name, tensor] : weights_) {
    const bool trains = trained.count(name) > 0;
    if (trains) tensor = computable(tensor);
    tensor.set_requires_grad(trains);
    if (!tensor.requires_grad()) tensor.mutable_grad().reset();
  }
}

Weights Model::state() const {
  Weights copies;
  for (const auto& [name, tensor] : weights_) copies[name] = tensor.detach().clone();
  return copies;
}

void Model::load_state(const Weights& state) {
  const torch::NoGradGuard no_grad;
  for (const auto& [name, tensor] : state) {
    Tensor& weight = weights_.at(name);
    if (is_short(weight) && tensor.scalar_type() != weight.scalar_type())
      weight = computable(weight);
    weight.copy_(tensor);
  }
}

void Model::own(const std::set<std::string>& names) {
  for (auto& [name, tensor] : weights_) {
    tensor = tensor.detach();
    if (!names.count(name)) continue;
    if (is_nf4(tensor)) {
      throw InputError("the weight \"" + name +
                       "\" is stored in 4 bits (NF4), and stays as it is: LoRA, adapters, prompts, "
                       "norms and biases train over it");
    }
    tensor = is_short(tensor) ? computable(tensor) : tensor.clone();
  }
}

Model Model::clone(const std::set<std::string>& names) const {
  Model copy = *this;
  copy.own(names);
  return copy;
}

Model Model::clone() const {
  Model copy = *this;
  copy.weights_ = state();
  return copy;
}

void Model::set_companions(Weights weights) {
  Companions companions;
  for (const auto& [name, weight] : weights) {
    const std::string& method = blueprint_->layer_of(name).method;
    if (method.empty())
      throw InputError("the weight \"" + name +
                       "\" is the architecture's own and has no companion");
    companions.methods.insert(method);
  }
  companions.weights = std::move(weights);
  companions_ = companions.weights.empty()
                    ? nullptr
                    : std::make_shared<const Companions>(std::move(companions));
}

State Model::run(const Batch& batch, const std::optional<at::Generator>& dropout,
                 const std::set<std::string>& by_batch) const {
  Pass pass(*blueprint_, weights_, dropout, by_batch, companions_.get());
  State state;
  for (std::int64_t stage = 0; stage < stage_count(); ++stage)
    state = run_stage(stage, batch, state, pass);
  return state;
}

Tensor Model::forward(const Batch& batch, const std::optional<at::Generator>& dropout,
                      const std::set<std::string>& by_batch) const {
  return run(batch, dropout, by_batch).values.at(kLogits);
}

State Model::run_stage(std::int64_t stage, const Batch& batch, const State& input,
                       const std::optional<at::Generator>& dropout,
                       const std::set<std::string>& by_batch) const {
  Pass pass(*blueprint_, weights_, dropout, by_batch, companions_.get());
  return run_stage(stage, batch, input, pass);
}

State Model::run_stage(std::int64_t stage, const Batch& batch, const State& input,
                       Pass& pass) const {
  State output = architecture().run(stage, batch, input, pass);
  release_stage(stage);
  return output;
}

void Model::release_stage(std::int64_t stage) const {
  if (!streams_) return;
  for (const Layer& layer : architecture().layers()) {
    // What later stages use besides is looked at again by the last of them, after its own.
    if (layer.stage != stage && stage + 1 != stage_count()) continue;
    for (const Parameter& parameter : layer.parameters) release_pages(weights_.at(parameter.name));
  }
}

State Model::capture_stage(std::int64_t stage, const Batch& batch, const State& input,
                           const std::set<std::string>& weights,
                           std::vector<CapturedOp>& ops) const {
  const torch::AutoGradMode recording(true);
  CapturingPass pass(*blueprint_, weights_, weights, ops, batch.size());
  return run_stage(stage, batch, input, pass);
}

std::string Model::earlier_fingerprint() const {
  Sha256 hash;
  for (const auto& [name, tensor] : weights_) {
    const Tensor values = plain(tensor);
    hash.update(name);
    hash.update(bytes_of(values));
  }
  return hash.hex();
}

std::string Model::fingerprint() const {
  Sha256 hash;
  for (const auto& [name, tensor] : weights_)
    hash.update(name + "\n" + shape_text(tensor.sizes().vec()) + "\n" + digests_->of(tensor) +
                "\n");
  return hash.hex();
}

}  // namespace strata::models
