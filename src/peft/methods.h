#pragma once
/// \file
/// The one list of PEFT methods, and what is done with a model's: adding, reading, writing,
/// dividing into units. LibTorch's types do not show.

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/document.h"
#include "models/blueprint.h"
#include "models/units.h"
#include "peft/method.h"
#include "strata/core/unit.h"

namespace strata::peft {

using Methods = std::vector<MethodPtr>;

/// In the order in which a model's methods act and its weights stand.
const std::vector<MethodType>& method_types();

/// The `model.peft` mapping: one section a method. @throws InputError: an unknown method or field,
/// none at all
Methods read_methods(ObjectReader section);
/// `lora:rank=8,targets=query+value`, as --peft has it: the same fields; NAME alone takes every
/// default. @throws InputError beginning with `where`
MethodPtr parse_method(const std::string& text, const std::string& where);
/// The sections' names, and their fields as a table documents them: `lora.rank`.
std::string section_names();
std::vector<FieldRow> field_rows();
/// The same of every text.
Methods parse_methods(const std::vector<std::string>& texts, const std::string& where);
/// The row of the list.
const MethodType& type_of(const Method& method);
/// The mapping that read_methods reads back.
Json methods_json(const Methods& methods);

/// Gives a model these methods, too. @throws InputError beginning with `where` where it has one of
/// them already, or one does not fit it
models::Blueprint with_methods(const models::Blueprint& blueprint, const Methods& methods,
                               const std::string& where);
/// Those that it has.
Methods methods_of(const models::Blueprint& blueprint);
std::vector<FactorPair> factors_of(const models::Blueprint& blueprint);
/// The parameters of those methods of its that may have companions.
std::set<std::string> companion_parameters(const models::Blueprint& blueprint);

/// The units of a scheme: one kind, or several joined by '+', each once.
/// - block: all weights of the block itself; not together with attention, decoder, layernorm, norm
/// and bias, which it holds;
/// - the name of a method: what it trains. Methods that add weights must be the model's.
///
/// Units of stages beside the blocks hold all of the architecture's own weights there; with `only`
/// as one more part they hold what the kinds do, and that of the head the classifier besides:
/// "bias+only" is BitFit. Of a method's layers there, they hold those of the scheme's kinds.
///
/// "adapter+layernorm" gives "adapter+layernorm.0", …; "lora+prompt" gives "prompt", "lora.0", ….
/// @throws InputError for a scheme with an unknown or repeated kind, or one whose weights the model
/// lacks
std::vector<Unit> scheme_units(const models::Blueprint& blueprint, const std::string& scheme,
                               std::int64_t text_tokens, models::Buffers buffers);
/// For the longest text.
std::vector<Unit> scheme_units(const models::Blueprint& blueprint, const std::string& scheme,
                               models::Buffers buffers);
/// Whether a unit holds weights of a method.
bool holds(const models::Blueprint& blueprint, const Unit& unit, const std::string& method);

}  // namespace strata::peft
