#pragma once
/// \file
/// Which modules a configuration of PEFT's chooses, by their names.

#include "core/document.h"
#include "models/blueprint.h"

namespace strata::peft {

/// What stands for all linear layers in `target_modules`.
inline constexpr const char* kAllLinear = "all-linear";

/// An adapter_config.json in which names of layers stand in place of what chooses them otherwise:
/// - `target_modules`, `exclude_modules` and `feedforward_modules` that are one regular expression,
///   of a whole name (re.fullmatch), or `target_modules` that is "all-linear": every linear layer
///   but the words' head, and but the classifier where `task_type` is SEQ_CLS;
/// - `layers_to_transform` that counts other blocks than `layers` of LoRA does, or comes with
///   `layers_pattern` (PEFT takes the first number in a name that has a name before it, or the one
///   behind a name of the pattern);
/// - `exclude_modules`, `layers_to_transform` and `layers_pattern` of methods that have no such
///   choice of their own (peft_type other than LORA);
/// - regular expressions among the keys of `rank_pattern` and `alpha_pattern`, of which the first
///   is taken that matches a name's end.
/// All else stays as it is. A layer is chosen where one of the names that transformers has for it
/// is. @throws InputError naming the file and key: no expression, one that takes too long, one that
/// chooses nothing
Document with_chosen_names(Document document, const models::Blueprint& blueprint);

}  // namespace strata::peft
