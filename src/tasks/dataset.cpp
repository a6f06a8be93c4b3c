#include "tasks/dataset.h"

#include <algorithm>
#include <array>

#include "core/console.h"

namespace strata::tasks {
namespace {

bool in_tiles(const data::ImageProcessor& processor) {
  return processor.resize == data::ImageProcessor::Resize::kTiles;
}

/// The dimensions of (3, height, width) that a variation mirrors.
std::vector<std::int64_t> mirrored(int flips) {
  std::vector<std::int64_t> dimensions;
  if (flips & 1) dimensions.push_back(2);
  if (flips & 2) dimensions.push_back(1);
  return dimensions;
}

/// Bytes (3, height, width), which copy nothing.
torch::Tensor bytes_of(const data::StoredImage& image) {
  // from_blob wants memory that may be written to.
  return torch::from_blob(const_cast<std::uint8_t*>(image.pixels),
                          {3, image.size.height, image.size.width}, torch::kUInt8);
}

/// The tiles of an image, row by row, and the whole behind them: (tiles, 3, side, side) bytes. An
/// image is mirrored before it is cut.
torch::Tensor tiles_of_image(const data::StoredImage& image, const data::ImageProcessor& processor,
                             int flips) {
  const torch::Tensor all = bytes_of(image);
  const std::vector<std::int64_t> dimensions = mirrored(flips);
  const data::TileGrid grid = processor.tiles(image.size);
  const std::int64_t side = processor.size.width, height = grid.rows * side;
  const torch::Tensor whole =
      all.narrow(1, height, side).narrow(2, 0, side).flip(dimensions).unsqueeze(0);
  if (grid.rows == 0) return whole;
  const torch::Tensor tiles = all.narrow(1, 0, height)
                                  .flip(dimensions)
                                  .reshape({3, grid.rows, side, grid.columns, side})
                                  .permute({1, 3, 0, 2, 4})
                                  .reshape({-1, 3, side, side});
  return torch::cat({tiles, whole});
}

/// (n, tiles, 3, side, side) bytes, as many tiles as the image with the most has.
torch::Tensor tiles_side_by_side(const std::vector<data::StoredImage>& stored,
                                 const data::ImageProcessor& processor,
                                 const std::vector<Variation>& variations) {
  int most = 1;
  for (const data::StoredImage& image : stored)
    most = std::max(most, processor.tiles(image.size).images());
  const std::int64_t side = processor.size.width, n = static_cast<std::int64_t>(stored.size());
  torch::Tensor images = torch::zeros({n, most, 3, side, side}, torch::kUInt8);
  for (std::size_t i = 0; i < stored.size(); ++i) {
    const torch::Tensor own =
        tiles_of_image(stored[i], processor, variations.empty() ? 0 : variations[i].flips);
    images[static_cast<std::int64_t>(i)].narrow(0, 0, own.size(0)).copy_(own);
  }
  return images;
}

/// (n, 3, height, width) bytes, the sides those of the largest image.
torch::Tensor side_by_side(const std::vector<data::StoredImage>& stored,
                           const std::vector<Variation>& variations) {
  int height = 0, width = 0;
  for (const data::StoredImage& image : stored) {
    height = std::max(height, image.size.height);
    width = std::max(width, image.size.width);
  }
  const auto n = static_cast<std::int64_t>(stored.size());
  torch::Tensor images = torch::zeros({n, 3, height, width}, torch::kUInt8);
  for (std::size_t i = 0; i < stored.size(); ++i) {
    const data::ImageSize size = stored[i].size;
    torch::Tensor own = bytes_of(stored[i]);
    const std::vector<std::int64_t> dimensions =
        mirrored(variations.empty() ? 0 : variations[i].flips);
    if (!dimensions.empty()) own = own.flip(dimensions);
    images[static_cast<std::int64_t>(i)]
        .narrow(1, 0, size.height)
        .narrow(2, 0, size.width)
        .copy_(own);
  }
  return images;
}

}  // namespace

Dataset::Dataset(std::shared_ptr<const Task> task, const Source& source)
    : task_(std::move(task)),
      images_(source.images ? source.images
                            : std::make_shared<data::ImageStore>(
                                  source.manifest, source.blueprint.image_processor())),
      patch_size_(source.blueprint.architecture().image_model().patch_size),
      grid_(source.blueprint.architecture().image_model().image_size / patch_size_) {}

void Dataset::add(const data::Example& example, std::vector<std::int64_t> ids) {
  examples_.push_back(example);
  image_index_.push_back(images_->add(example.image));
  encoded_.push_back(std::move(ids));
}

std::optional<data::TileGrid> Dataset::tiles_of(const data::Example& example) const {
  if (!in_tiles(images_->processor())) return std::nullopt;
  return images_->processor().tiles(images_->size_of(example.image));
}

void Dataset::finish(const Source& source) {
  if (source.blueprint.architecture().text_tokens() > 0) {
    std::vector<std::int64_t> lengths;
    std::int64_t longest = 0;
    for (const auto& ids : encoded_) {
      lengths.push_back(static_cast<std::int64_t>(ids.size()));
      longest = std::max(longest, lengths.back());
    }
    input_ids_ = torch::full({size(), longest}, source.tokenizer.pad_id(), torch::kInt64);
    for (std::int64_t i = 0; i < size(); ++i) {
      const auto& ids = encoded_[static_cast<std::size_t>(i)];
      std::copy(ids.begin(), ids.end(), input_ids_.data_ptr<std::int64_t>() + i * longest);
    }
    lengths_ = torch::tensor(lengths, torch::kInt64);
  }
  encoded_.clear();
  if (!source.images) images_->load();
}

torch::Tensor Dataset::normalised(const torch::Tensor& images,
                                  const data::ImageProcessor& processor) {
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
    return torch::tensor({of[0], of[1], of[2]}, torch::kFloat).view({3, 1, 1}).to(images.device());
  };
  return pixels.div_(channels(divisor)).sub_(channels(offset));
}

models::Batch Dataset::batch(const std::vector<std::int64_t>& rows, torch::Device device,
                             const std::vector<Variation>& variations) const {
  const torch::Tensor index = torch::tensor(rows, torch::kInt64);
  std::vector<std::size_t> indices;
  for (const std::int64_t row : rows)
    indices.push_back(image_index_.at(static_cast<std::size_t>(row)));
  const std::vector<data::StoredImage> stored = images_->get(indices);
  const data::ImageProcessor& processor = images_->processor();
  const torch::Tensor images = in_tiles(processor)
                                   ? tiles_side_by_side(stored, processor, variations)
                                   : side_by_side(stored, variations);

  models::Batch batch;
  if (input_ids_.defined()) {
    const torch::Tensor lengths = lengths_.index_select(0, index);
    const std::int64_t longest = lengths.max().item<std::int64_t>();
    batch.input_ids = input_ids_.narrow(1, 0, longest).index_select(0, index).to(device);
    batch.attention_mask =
        (torch::arange(longest).unsqueeze(0) < lengths.unsqueeze(1)).to(torch::kFloat).to(device);
  }
  batch.pixels = normalised(images.to(device), processor);
  if (!in_tiles(processor)) batch.grids = grids_of(stored);
  const torch::Tensor wanted = targets(index);
  if (wanted.defined()) batch.labels = wanted.to(device);
  complete(batch, rows);
  return batch;
}

torch::Tensor Dataset::grids_of(const std::vector<data::StoredImage>& images) const {
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

void log_unseen(const std::vector<std::pair<std::string, const Dataset*>>& sets,
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

}  // namespace strata::tasks
