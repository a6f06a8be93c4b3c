#pragma once
/// \file
/// A model: a blueprint with weights, divided into units.

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "models/batch.h"
#include "models/blueprint.h"
#include "models/capture.h"
#include "models/torch.h"
#include "models/weight_digests.h"

namespace strata::models {

class Checkpoint;
class Pass;
struct Companions;

/// Selecting, freezing, averaging and saving are all by weight name, so it is no torch::nn::Module.
class Model {
 public:
  /// Fresh weights, drawn on the CPU as the blueprint's Inits say. Every weight's numbers follow
  /// from the seed and its name alone, whatever the thread count and device.
  Model(Blueprint blueprint, std::uint64_t seed, torch::Device device = torch::kCPU);
  /// Those of the base from a model folder (see Checkpoint::of_folder); weights of attachments are
  /// for their owner to load. On the CPU those of float32, float16 and bfloat16 are the file's
  /// mapped pages, in its type: they take no memory of their own until they are changed. float64 is
  /// converted to float32. What is trained, owned or drawn is float32.
  /// @throws InputError naming a missing, misshapen or unknown weight
  static Model load_base(Blueprint blueprint, const std::filesystem::path& folder,
                         torch::Device device = torch::kCPU);
  /// Writes config.json, preprocessor_config.json and the base's weights, as transformers loads
  /// them. A model that was loaded is written into files of the names that it came from, shards
  /// among them, which hold what those held in the same order: byte for byte but for weights that
  /// have changed, which become float32. Names are the files' own, beside a config.json of timm in
  /// its form, too; beside one of transformers they are the architecture's, whatever the files'
  /// were. A fresh model becomes model.safetensors, its weights in the architecture's order. One
  /// weight at a time is in memory besides. What relabel() has left out is left out of the files,
  /// and what it has added stands in the last of them.
  void save_base(const std::filesystem::path& folder) const;

  const Blueprint& blueprint() const { return *blueprint_; }
  const Architecture& architecture() const { return blueprint_->architecture(); }
  torch::Device device() const { return device_; }

  /// In place of the attachments there were. Weights that are new are drawn from the seed, as by
  /// the constructor. The units stay what they are until set_units.
  void set_attachments(Attachments attachments, std::uint64_t seed);

  /// Other labels, with a fresh output layer (the last with weights) drawn from the seed, as are
  /// the other layers of a head that the model did not have; what it has no more is forgotten. The
  /// units become those of the constructor.
  void relabel(std::vector<std::string> labels, std::uint64_t seed);

  /// For images of another size: positions are resized (resized_positions.h). The units become
  /// those of the constructor. @throws InputError as Blueprint::with_image_size does
  void set_image_size(std::int64_t side);

  /// At first one for each stage with all of the base's weights.
  const std::vector<Unit>& units() const { return units_; }
  void set_units(std::vector<Unit> units) { units_ = std::move(units); }
  const Unit& unit(const std::string& name) const;  ///< @throws InputError with the nearest name

  /// All weights by name, and all buffers. Like `weight`, which throws std::out_of_range for an
  /// unknown name.
  const Weights& weights() const { return weights_; }
  Weights& weights() { return weights_; }
  torch::Tensor& weight(const std::string& name) { return weights_.at(name); }
  const torch::Tensor& weight(const std::string& name) const { return weights_.at(name); }
  std::vector<torch::Tensor> weights_of(const Unit& unit) const;
  /// Bytes of a number that is computed with, in whatever type a weight is stored.
  std::int64_t number_bytes() const;

  /// requires_grad exactly for the weights of the named units. Autograd then records nothing below
  /// the lowest of them, and back-propagation stops there. Those that are short become float32.
  void train_only(const std::vector<std::string>& unit_names);

  /// Copies of all weights (detached), and back into the same tensors (an optimizer that holds them
  /// stays valid); where the tensor is short and what comes is not, it becomes float32 instead.
  /// @throws std::out_of_range for an unknown name.
  Weights state() const;
  void load_state(const Weights& state);
  /// A copy by `=` shares the weights. own() makes copies of those named, of short ones in float32,
  /// and keeps sharing the memory of the others, which are then the model's own to freeze: so
  /// models side by side hold their base once. clone() is a copy that owns these, or every one.
  void own(const std::set<std::string>& names);
  Model clone(const std::set<std::string>& names) const;
  Model clone() const;

  /// With which run and run_stage compute; copies share them. None at first, and with an empty map.
  /// @throws InputError for a parameter that no attachment has
  void set_companions(Weights weights);

  /// What the last stage leaves: the composition of all. With `dropout`, a generator of the model's
  /// device (make_generator), dropout is drawn from it where the architecture has any. The
  /// BatchNorms `by_batch` take the batch's own statistics, and their buffers move: they must be
  /// the model's own, as own() makes them.
  State run(const Batch& batch, const std::optional<at::Generator>& dropout = {},
            const std::set<std::string>& by_batch = {}) const;
  /// A classifier's logits (n, labels) of it.
  torch::Tensor forward(const Batch& batch, const std::optional<at::Generator>& dropout = {},
                        const std::set<std::string>& by_batch = {}) const;

  std::int64_t stage_count() const {
    return static_cast<std::int64_t>(architecture().stages().size());
  }
  /// The stage's output; `input` is empty for stage 0.
  State run_stage(std::int64_t stage, const Batch& batch, const State& input,
                  const std::optional<at::Generator>& dropout = {},
                  const std::set<std::string>& by_batch = {}) const;
  /// The same through a pass of the caller's.
  State run_stage(std::int64_t stage, const Batch& batch, const State& input, Pass& pass) const;

  /// run_stage that also appends to `ops` every operation with a weight or bias out of `weights`,
  /// in the order of computation; names of other stages' weights are passed over. All weights are
  /// taken as constants. What is returned belongs to an autograd graph, also where gradients are
  /// switched off, that begins at those values of `input` that require a gradient, and at the
  /// recorded outputs: with X a returned value, torch::autograd::grad({X}, {op.output, …, value},
  /// {G}) gives the δ's and what the stage below goes on with. Where no value requires a gradient,
  /// every recorded output that depends on no earlier one is a leaf. A weight may be used by
  /// several operations: its gradient is their sum; operations may share one output tensor.
  State capture_stage(std::int64_t stage, const Batch& batch, const State& input,
                      const std::set<std::string>& weights, std::vector<CapturedOp>& ops) const;

  /// Whether the memory of mapped weights goes back to the system behind each stage that has used
  /// them (release_pages in tensor_bytes.h), so that a pass holds one stage of the base; it is so
  /// where the files that the base came from have more than a quarter of the machine's memory. No
  /// number depends on it.
  bool streams() const { return streams_; }
  void set_streams(bool streams) { streams_ = streams; }
  /// Gives them back where the base streams. A backward pass through a stage reads its weights once
  /// more after run_stage or capture_stage has let them go.
  void release_stage(std::int64_t stage) const;
  /// The folder for what enters the stages, where they are run twice (StageInputs); empty: memory.
  const std::filesystem::path& spill() const { return spill_; }
  void set_spill(std::filesystem::path folder) { spill_ = std::move(folder); }

  /// The lowest stage that uses a weight. @throws InputError with the nearest name
  std::int64_t stage_of(const std::string& weight) const {
    return blueprint_->layer_of(weight).stage;
  }

  /// SHA-256 over names, shapes and WeightDigests of all weights: of their numbers, whatever the
  /// type. What has not changed since a copy of the model was asked is not read again.
  std::string fingerprint() const;
  /// What an earlier Strata called the fingerprint: SHA-256 over names and float32 numbers. Reads
  /// everything.
  std::string earlier_fingerprint() const;
  const WeightDigests& digests() const { return *digests_; }

 private:
  Model(Blueprint blueprint, torch::Device device);
  void draw(const Parameter& parameter, std::uint64_t seed);

  std::shared_ptr<const Blueprint> blueprint_;
  torch::Device device_ = torch::kCPU;
  std::vector<Unit> units_;
  Weights weights_;
  std::shared_ptr<const Companions> companions_;
  bool streams_ = false;
  std::filesystem::path spill_;
  std::shared_ptr<const Checkpoint> source_;  ///< of the base, where it was loaded
  std::shared_ptr<WeightDigests> digests_ = std::make_shared<WeightDigests>();
};

}  // namespace strata::models
