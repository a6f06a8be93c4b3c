#pragma once
/// \file
/// A method of PEFT's that acts on layers chosen by their names: what such methods share.

#include <string>
#include <utility>
#include <vector>

#include "peft/method.h"
#include "peft/targets.h"

namespace strata::peft {

/// What stands before the names of weights in PEFT's files.
inline constexpr const char* kPeftPrefix = "base_model.model.";

/// What torch.nn.init.kaiming_uniform_ with a = √5 draws of a matrix with so many columns.
models::Init kaiming(std::int64_t columns);

/// A field of ends of layers' names.
Kind<std::vector<std::string>> layer_names();

class Targeted : public Method {
 public:
  /// \param from_peft  the targets are of a file of PEFT's, which need not all select a layer
  Targeted(std::vector<std::string> targets, bool from_peft, MayTarget may, TargetWords words)
      : targets_(std::move(targets)),
        from_peft_(from_peft),
        may_(std::move(may)),
        words_(std::move(words)) {}

  bool has(const models::Layer& layer) const { return may_(layer) && selects_any(targets_, layer); }
  const std::vector<std::string>& targets() const { return targets_; }

  /// Under the names of every transformers (other_names).
  std::vector<std::string> file_names(const models::Layer& layer,
                                      const models::Parameter& parameter) const override;
  void check(const models::Blueprint& blueprint, const std::string& where) const override;

 protected:
  /// A layer of its own beside `at` with one parameter, both called at.name + ending (+ tail).
  static models::Layer beside(const models::Layer& at, const std::string& ending,
                              models::LayerKind kind, models::Shape shape, models::Init init,
                              const std::string& tail = "");
  /// What every adapter_config.json has, and `target_modules`.
  Json peft_config(const std::string& peft_type, const models::Blueprint& blueprint) const;

 private:
  std::vector<std::string> targets_;
  bool from_peft_;
  MayTarget may_;
  TargetWords words_;
};

/// A field of a PEFT file that must be absent, null, empty or what it is when nothing asks for it.
/// @throws InputError
void check_neutral(ObjectReader& reader, const std::string& key, const Json& neutral);
/// Dropout of a PEFT file, from 0 to 1 or null: training's alone, which Strata does without.
/// @throws InputError
void pass_over_dropout(ObjectReader& reader, const std::string& key);
/// check_neutral of what all such methods have: chosen layers, biases of a file's own. Their
/// dropout is passed over.
void check_neutral_choices(ObjectReader& reader);
/// The same of patterns (patterns.h), of methods that have none.
void check_no_patterns(ObjectReader& reader);

}  // namespace strata::peft
