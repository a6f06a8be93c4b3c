#pragma once
/// \file
/// The model that runs and pretraining begin with. Internal.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/text/tokenizer.h"
#include "data/text/wordpiece.h"
#include "models/model.h"

namespace strata::fedrunner {

struct Foundation {
  models::Model model;
  data::WordPiece tokenizer;
  std::shared_ptr<const data::Tokenizer> language = nullptr;  ///< of a language model
};

/// The model and the tokenizer of a Hugging Face folder, for images of `image_size` pixels, 0 being
/// the model's own (models::Model::set_image_size). @throws InputError naming the file
Foundation load_foundation(const std::filesystem::path& folder, torch::Device device,
                           std::int64_t image_size = 0);

/// The same for other answers, as transformers loads a model with ignore_mismatched_sizes: all the
/// folder's weights but the output layer's, which are drawn afresh for `labels` from `seed`. A
/// model that answers in words gets a classifier's head (see models::Model::relabel).
Foundation relabelled_foundation(const std::filesystem::path& folder,
                                 const std::vector<std::string>& labels, std::uint64_t seed,
                                 torch::Device device, std::int64_t image_size = 0);

/// Writes a model's folder (see peft::save_model). Where an image may have several labels,
/// config.json says so as transformers does (`problem_type`), which goes by it in losses and
/// pipelines. @throws WorkError
void save_foundation(const models::Model& model, bool several_labels,
                     const std::filesystem::path& folder);

}  // namespace strata::fedrunner
