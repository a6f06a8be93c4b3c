#pragma once
/// \file
/// `answering`: how a model that speaks answers where it is evaluated.

#include "core/fields.h"
#include "tasks/answering.h"

namespace strata::experiment {

const Fields<tasks::AnsweringOptions>& answering_fields();

}  // namespace strata::experiment
