#pragma once
/// \file
/// A parameter-efficient fine-tuning method: which small weights it puts beside a model's own, or
/// which of these it trains, where it acts, and what of it is in which file. One file a method; the
/// list of them is methods.h. LibTorch's types do not show.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/document.h"
#include "core/fields.h"
#include "models/attachment.h"
#include "models/blueprint.h"

namespace strata::peft {

/// Two parameters of which a layer uses the product second · first alone: LoRA's A and B.
struct FactorPair {
  std::string first, second;
  /// The weight to which scale · second · first is added; empty: none, as of DoRA, which does more,
  /// and of prompts. Factors of a convolution are matrices once flattened behind their first
  /// dimension.
  std::string base = {};
  double scale = 1;
  std::string bias = {};  ///< what scale times is added besides, the second's own; empty: none
};

class Method : public models::Attachment {
 public:
  /// Its fields as `model.peft` has them, with every default filled in.
  virtual Json options() const = 0;
  /// @throws InputError beginning with `where` for a field that the model does not allow
  virtual void check(const models::Blueprint& blueprint, const std::string& where) const = 0;
  /// The names that a parameter of its layers has in its file.
  virtual std::vector<std::string> file_names(const models::Layer& layer,
                                              const models::Parameter& parameter) const {
    return {parameter.name};
  }
  /// Which of its parameters the file that it was read from leaves out.
  virtual std::set<std::string> left_out() const { return {}; }
  /// These by their names, row by row, as whoever wrote the file draws them.
  virtual std::map<std::string, std::vector<float>> drawn_again(
      const models::Blueprint& blueprint) const {
    return {};
  }
  /// That its units can be trained while these BatchNorms normalise by the batch.
  /// @throws InputError beginning with `where`
  virtual void check_moving(const std::set<std::string>& norms, const std::string& where) const {}
  /// Whether all it does at a layer is linear in the layer's input or output (peft/merge.h).
  virtual bool folds() const { return true; }
  /// Whether its parameters may have companions (models::Companions): all that it does, it does to
  /// outputs, and two sets of weights beside one another mean something.
  virtual bool has_companions() const { return false; }
  /// Those of its parameters that are averaged better as products (see aggregate).
  virtual std::vector<FactorPair> factors(const models::Blueprint& blueprint) const { return {}; }
};

using MethodPtr = std::shared_ptr<const Method>;

/// What the list holds of a method.
struct MethodType {
  std::string name;        ///< Attachment::name, and what schemes of units call it
  std::string section;     ///< its key in `model.peft`, and in --peft; empty: it adds nothing
  std::string plural;      ///< what messages call its weights: "LoRA pairs"
  std::string help;        ///< Markdown: what it puts where
  std::string needs = {};  ///< the number that version 1 of a file has of it: "lora_rank"
  /// From its section, and from the text of an option. @throws InputError
  std::function<MethodPtr(ObjectReader section)> read = nullptr;
  std::function<MethodPtr(const std::string& text, const std::string& where)> parse = nullptr;
  std::function<std::vector<FieldRow>()> rows = nullptr;  ///< documents its fields
  /// Which parameters of a model are its own to train.
  std::function<bool(const models::Layer&, const models::Parameter&)> trains = nullptr;
  /// PEFT's name of it, where its files are PEFT's; empty: they are ours (peft/files.h).
  std::string peft_type = {};
  /// adapter_config.json of it, and back. @throws InputError naming the file and key
  std::function<Json(const Method&, const models::Blueprint&)> write_peft = nullptr;
  std::function<MethodPtr(ObjectReader&)> read_peft = nullptr;
  bool own() const { return peft_type.empty(); }
  /// Of methods that version 1 of strata_adapters.json had: the one number that describes it, or 0
  /// where it takes more.
  std::function<std::int64_t(const Method&)> own_number = nullptr;
  std::function<MethodPtr(std::int64_t)> from_own_number = nullptr;
  std::int64_t largest_own_number = 0;
};

/// A method that is made from fields (core/fields.h).
template <typename Options, typename Make>
MethodType from_fields(MethodType type, const Fields<Options>& fields, Make make) {
  type.read = [=](ObjectReader section) { return make(fields.read(std::move(section))); };
  type.parse = [=](const std::string& text, const std::string& where) {
    return make(fields.parse(text, where));
  };
  type.rows = [=] { return fields.rows(); };
  return type;
}

/// That the layer is one of the method's.
std::function<bool(const models::Layer&, const models::Parameter&)> own_layers(std::string method);

}  // namespace strata::peft
