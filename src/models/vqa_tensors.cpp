#include "models/vqa_tensors.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "core/console.h"
#include "strata/core/error.h"

namespace strata::models {
namespace {

/// (n, 3, height, width) bytes, the sides those of the largest image.
torch::Tensor side_by_side(const std::vector<data::StoredImage>& stored,
                           const std::vector<int>& flips) {
  int height = 0, width = 0;
  for (const data::StoredImage& image : stored) {
    height = std::max(height, image.size.height);
    width = std::max(width, image.size.width);
  }
  const auto n = static_cast<std::int64_t>(stored.size());
  torch::Tensor images = torch::zeros({n, 3, height, width}, torch::kUInt8);
  for (std::size_t i = 0; i < stored.size(); ++i) {
    const data::ImageSize size = stored[i].size;
    // from_blob wants memory that may be written to, and copies nothing.
    torch::Tensor own = torch::from_blob(const_cast<std::uint8_t*>(stored[i].pixels),
                                         {3, size.height, size.width}, torch::kUInt8);
    std::vector<std::int64_t> dimensions;
    if (!flips.empty() && (flips[i] & 1)) dimensions.push_back(2);
    if (!flips.empty() && (flips[i] & 2)) dimensions.push_back(1);
    if (!dimensions.empty()) own = own.flip(dimensions);
    images[static_cast<std::int64_t>(i)]
        .narrow(1, 0, size.height)
        .narrow(2, 0, size.width)
        .copy_(own);
  }
  return images;
}

/// (v · rescale_factor - mean) / std of every channel.
torch::Tensor normalised(const torch::Tensor& images, const data::ImageProcessor& processor) {
  const double factor = processor.rescale ? processor.rescale_factor : 1;
  std::array<double, 3> divisor, offset;
  for (std::size_t c = 0; c < 3; ++c) {
    const double std = processor.normalize ? processor.std[c] : 1;
    divisor[c] = std / factor;
    offset[c] = processor.normalize ? processor.mean[c] / std : 0;
  }
  torch::Tensor pixels = images.to(torch::kFloat);
  const auto alike = [](const std::array<double, 3>& of) {
    return of[0] == of[1] && of[1] == of[2];
  };
  if (alike(divisor) && alike(offset)) return pixels.div_(divisor[0]).sub_(offset[0]);
  const auto channels = [&](const std::array<double, 3>& of) {
    return torch::tensor({of[0], of[1], of[2]}, torch::kFloat)
        .view({1, 3, 1, 1})
        .to(images.device());
  };
  return pixels.div_(channels(divisor)).sub_(channels(offset));
}

}  // namespace

VqaTensors::VqaTensors(const data::Manifest& manifest, const std::vector<int>& indices,
                       const Blueprint& blueprint, const data::WordPiece& tokenizer,
                       bool drop_unseen, std::shared_ptr<data::ImageStore> images)
    : images_(std::move(images)),
      patch_size_(blueprint.architecture().image_model().patch_size),
      grid_(blueprint.architecture().image_model().image_size / patch_size_),
      asked_(static_cast<std::int64_t>(indices.size())) {
  const bool owned = !images_;
  if (owned) images_ = std::make_shared<data::ImageStore>(manifest, blueprint.image_processor());
  const Architecture& architecture = blueprint.architecture();
  const std::vector<std::string>& known = architecture.labels();
  const bool reads_text = architecture.text_tokens() > 0;
  std::unordered_map<std::string, std::int64_t> label_ids;
  for (std::size_t id = 0; id < known.size(); ++id) {
    label_ids.emplace(known[id], static_cast<std::int64_t>(id));
  }

  std::vector<std::vector<std::int64_t>> encoded;
  std::vector<std::int64_t> lengths, labels;
  for (const int index : indices) {
    const data::Example& example = manifest.examples.at(index);
    std::vector<std::int64_t> accepted;
    for (const std::string& answer : example.answers) {
      const auto label = label_ids.find(answer);
      if (label != label_ids.end()) accepted.push_back(label->second);
    }
    if (accepted.empty()) {
      if (!drop_unseen) {
        const std::string answer = example.answers.empty() ? "" : example.answers.front();
        throw InputError((manifest.folder / example.image).string() + ", question \"" +
                         example.question + "\": the answer \"" + answer +
                         "\" is not one of the model's " + std::to_string(known.size()) +
                         " labels" + did_you_mean(answer, known) +
                         "; data.unseen_answers: drop (strata score: --unseen-answers drop) passes "
                         "over such questions, model.answers: "
                         "data makes a label of every training answer");
      }
      ++unseen_;
      if (example.split == "train") continue;
    }
    labels.push_back(accepted.empty() ? kNoTarget : accepted.front());
    accepted_.push_back(std::move(accepted));
    closed_.push_back(example.answer_type == "closed");

    image_index_.push_back(images_->add(example.image));
    if (reads_text) {
      encoded.push_back(
          tokenizer.encode(example.question, static_cast<int>(architecture.text_tokens())));
      lengths.push_back(static_cast<std::int64_t>(encoded.back().size()));
    }
  }
  const std::int64_t n = static_cast<std::int64_t>(labels.size());
  if (n == 0 && asked_ > 0) {
    throw InputError("no training example is left, as none of " + std::to_string(asked_) +
                     " has an answer among the model's " + std::to_string(known.size()) +
                     " labels (data.unseen_answers: drop)");
  }

  if (reads_text) {
    const std::int64_t longest = n ? *std::max_element(lengths.begin(), lengths.end()) : 0;
    input_ids_ = torch::full({n, longest}, tokenizer.pad_id(), torch::kInt64);
    for (std::int64_t i = 0; i < n; ++i) {
      std::copy(encoded[i].begin(), encoded[i].end(),
                input_ids_.data_ptr<std::int64_t>() + i * longest);
    }
    lengths_ = torch::tensor(lengths, torch::kInt64);
  }
  labels_ = torch::tensor(labels, torch::kInt64);

  if (owned) images_->load();
}

Batch VqaTensors::batch(const std::vector<std::int64_t>& rows, torch::Device device,
                        const std::vector<int>& flips) const {
  const torch::Tensor index = torch::tensor(rows, torch::kInt64);
  std::vector<std::size_t> indices;
  for (const std::int64_t row : rows)
    indices.push_back(image_index_.at(static_cast<std::size_t>(row)));
  const std::vector<data::StoredImage> stored = images_->get(indices);
  const torch::Tensor images = side_by_side(stored, flips);

  Batch batch;
  if (input_ids_.defined()) {
    const torch::Tensor lengths = lengths_.index_select(0, index);
    const std::int64_t longest = lengths.max().item<std::int64_t>();
    batch.input_ids = input_ids_.narrow(1, 0, longest).index_select(0, index).to(device);
    batch.attention_mask =
        (torch::arange(longest).unsqueeze(0) < lengths.unsqueeze(1)).to(torch::kFloat).to(device);
  }
  batch.pixels = normalised(images.to(device), images_->processor());
  batch.grids = grids_of(stored);
  batch.labels = labels_.index_select(0, index).to(device);
  return batch;
}

torch::Tensor VqaTensors::grids_of(const std::vector<data::StoredImage>& images) const {
  bool usual = true;
  std::vector<std::int64_t> grids;
  for (const data::StoredImage& image : images) {
    const std::int64_t rows = image.size.height / patch_size_;
    const std::int64_t columns = image.size.width / patch_size_;
    usual = usual && rows == grid_ && columns == grid_;
    grids.insert(grids.end(), {rows, columns});
  }
  if (usual) return {};
  return torch::tensor(grids, torch::kInt64).view({-1, 2});
}

std::int64_t VqaTensors::label(std::int64_t row) const {
  return labels_.data_ptr<std::int64_t>()[row];
}

bool VqaTensors::accepts(std::int64_t row, std::int64_t label) const {
  const std::vector<std::int64_t>& accepted = accepted_.at(row);
  return std::find(accepted.begin(), accepted.end(), label) != accepted.end();
}

void log_unseen(const std::vector<std::pair<std::string, const VqaTensors*>>& sets,
                const std::string& what_became) {
  std::int64_t unseen = 0, asked = 0;
  std::string clients;
  for (const auto& [client, set] : sets) {
    unseen += set->unseen();
    asked += set->asked();
    if (set->unseen() == 0 || client.empty()) continue;
    clients += (clients.empty() ? " (" : ", ") + client + " " + std::to_string(set->unseen()) +
               " of " + std::to_string(set->asked());
  }
  if (unseen == 0) return;
  log_info("answers outside the model's labels: " + std::to_string(unseen) + " of " +
           std::to_string(asked) + " " + what_became + clients + (clients.empty() ? "" : ")"));
}

}  // namespace strata::models
