#pragma once
/// \file
/// Central training of the model that federated runs start from.
/// \code
/// // `data` is a folder as `strata data make` writes it.
/// write_file("tiny.yaml", R"(version: 1
/// name: tiny
/// data: {folder: data}
/// model: {architecture: {hidden_size: 16, layers: 2, heads: 2, image_size: 16, patch_size: 8}}
/// pretrain: {data: data, epochs: 2, batch_size: 10, learning_rate: 0.001}
/// )");
/// const experiment::ToolNames names{{"lntk"}, {"exact"}, {"knee"}};
/// const PretrainSummary made =
///     pretrain_model("tiny.yaml", {"pretrain.epochs=1"}, "model", "cpu", names);
/// assert(made.train_samples == 30 && made.metrics[0].first == "accuracy");
/// assert(std::filesystem::exists("model/model.safetensors"));
/// \endcode

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "strata/fedrunner/run.h"

namespace strata::fedrunner {

struct PretrainSummary {
  std::int64_t parameters = 0, train_samples = 0, test_samples = 0, labels = 0;
  double loss = 0;  ///< on the test split, after the last epoch; NaN without one
  /// Likewise the task's metrics by name, the main one first; NaN where there is nothing of it.
  std::vector<std::pair<std::string, double>> metrics;
  double seconds = 0;  ///< training and the evaluations between epochs
};

/// Trains a fresh model as the `model.architecture` and `pretrain` sections say, or the one that
/// `pretrain.from` names with a fresh output layer for the answers of the vocabulary (not at all
/// with 0 epochs, which makes a foundation of a published model), and writes a Hugging Face folder
/// (config.json, model.safetensors, vocab.txt, tokenizer and preprocessor files; of a model that
/// answers in words tokenizer.json, which for a fresh one is learnt from the texts) with
/// `pretrain.json`: accuracies per epoch, seconds, the data, the provenance. `names` are those that
/// the rest of the file is checked against. LibTorch gets so many `threads`; 0: as many as the
/// model and the batch feed (models/thread_count.h). A batch is split into up to `parallel` parts
/// of at least 8 rows, each differentiated by so many threads; 0: 1 where threads are given, and
/// otherwise as many as the threads leave cores. The last bits of the weights depend on both.
/// @throws InputError before anything is written: a wrong experiment file or data, or an `out` that
/// already holds a model. @throws WorkError: a loss that is not finite, a full disk.
PretrainSummary pretrain_model(const std::filesystem::path& experiment_file,
                               const std::vector<std::string>& set,
                               const std::filesystem::path& out, const std::string& device,
                               const ToolNames& names, int threads = 0, int parallel = 0);

}  // namespace strata::fedrunner
