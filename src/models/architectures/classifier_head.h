#pragma once
/// \file
/// What models that answer in words have in common where they choose among labels instead: the
/// head, and how config.json says so.

#include <string>
#include <vector>

#include "core/document.h"

namespace strata::models {

/// The head of transformers' …ForSequenceClassification: a linear layer without bias that reads the
/// last token's row in place of the words' head.
inline constexpr const char* kScoreHead = "score";

/// The labels of `id2label`, where `architectures` names a …ForSequenceClassification; none of a
/// model that answers in words, whose configuration may have an `id2label` that says nothing.
/// @throws InputError
std::vector<std::string> read_classes(ObjectReader& reader);

/// The configuration of a model that answers in words, with labels: `architectures`, `id2label` and
/// `label2id`, without what it said of earlier ones.
Json with_classes(Json config, const std::vector<std::string>& labels);

}  // namespace strata::models
