#include "tasks/rowwise_task.h"

#include <numeric>

#include "catch.h"
#include "data/image.h"
#include "models/cost.h"
#include "models/model.h"
#include "strata/core/error.h"
#include "support/tiny_model.h"
#include "tasks/dataset.h"
#include "tasks/image_classification.h"
#include "tasks/loss_shape.h"
#include "tasks/tasks.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::tasks;
using Catch::Matchers::Contains;

namespace {

data::Manifest labelled(bool labels) {
  data::Manifest manifest;
  if (labels) manifest.classes = {"a", "b"};
  for (const char* split : {"train", "test", "train"}) {
    data::Example example;
    example.split = split;
    manifest.examples.push_back(example);
  }
  return manifest;
}

/// Writes down how many samples it is asked about at a time.
class Recording : public RowwiseTask {
 public:
  mutable std::vector<std::int64_t> batches;
  const std::string& name() const override {
    static const std::string name = "recording";
    return name;
  }
  std::vector<std::string> labels(const std::vector<Split>&) const override { return {}; }
  std::unique_ptr<Dataset> encode(const std::vector<int>&, const Source&) const override {
    return nullptr;
  }
  torch::Tensor losses(const models::State&, const models::Batch& batch) const override {
    batches.push_back(batch.size());
    return torch::zeros({batch.size()});
  }
  torch::Tensor loss(const models::State&, const models::Batch&, const LossShape&) const override {
    return {};
  }
  torch::Tensor class_weights(const Dataset&) const override { return {}; }
  torch::Tensor calibration(const Dataset&) const override { return {}; }
  torch::Tensor outputs(const models::State& output, const models::Batch&) const override {
    return output.values.at(models::kLogits);
  }
  std::vector<std::string> metrics() const override { return {}; }
  double value(const std::string&, const Tally&) const override { return 0; }
  std::vector<bool> majority_right(const Dataset&, const Dataset&) const override { return {}; }

 protected:
  void judge(const models::Model&, const models::State&, const models::Batch&,
             const std::vector<std::int64_t>&, Judgement&) const override {}
};

}  // namespace

TEST_CASE("a task is chosen by its name, or by what the data are") {
  CHECK(task_names() ==
        std::vector<std::string>{"auto", "answer_classification", "image_classification",
                                 "image_text_classification", "segmentation", "answer_generation"});
  CHECK(choose_task("auto", labelled(false))->name() == "answer_classification");
  CHECK(choose_task("auto", labelled(true))->name() == "image_classification");
  CHECK(choose_task("image_classification", labelled(false))->name() == "image_classification");
  CHECK(reading_of("auto", "task") == data::Reading::kEither);
  CHECK(reading_of("answer_classification", "task") == data::Reading::kQuestions);
  CHECK(reading_of("image_classification", "task") == data::Reading::kLabels);
  CHECK(reading_of("image_text_classification", "task") == data::Reading::kLabelledTexts);
  CHECK(is_in_words("answer_generation"));
  for (const std::string name : {"auto", "answer_classification", "image_text_classification"})
    CHECK_FALSE(is_in_words(name));
  CHECK_THROWS_WITH(reading_of("image_clasification", "--task"),
                    Contains("--task: unknown name \"image_clasification\" (did you mean "
                             "\"image_classification\"?)"));
}

TEST_CASE("a split is the examples of its name") {
  const data::Manifest manifest = labelled(true);
  CHECK(split_of(manifest, "train").examples == std::vector<int>{0, 2});
  CHECK(split_of(manifest, "test").examples == std::vector<int>{1});
}

TEST_CASE("an evaluation takes as many samples at a time as 256 MiB hold, and no more than 128") {
  const test::TempDir dir;
  data::Manifest manifest;
  manifest.folder = dir.path();
  manifest.classes = {"a", "b"};
  data::write_png(data::Image{4, 4, std::vector<std::uint8_t>(48, 7)}, dir / "0.png");
  for (int i = 0; i < 150; ++i) {
    data::Example example;
    example.image = "0.png";
    example.labels = {"a"};
    manifest.examples.push_back(example);
  }
  const auto sizes = [&](std::int64_t image, std::int64_t inner, int count) {
    test::ModelShape shape = test::narrow_shape("vit");
    shape.num_hidden_layers = 2;
    shape.labels = manifest.classes;
    shape.image_size = image;
    shape.intermediate_size = inner;
    const models::Model model = test::make_model(shape, 1);
    std::vector<int> indices(static_cast<std::size_t>(count));
    std::iota(indices.begin(), indices.end(), 0);
    const data::WordPiece none({"[PAD]", "[UNK]", "[CLS]", "[SEP]"});
    const auto data = image_classification()->encode(
        indices, {manifest, model.blueprint(), none, false, nullptr});
    const Recording task;
    task.evaluate(model, *data);
    return task.batches;
  };
  CHECK(sizes(8, 16, 150) == std::vector<std::int64_t>{128, 22});
  // 257 tokens with 8,192 numbers each before and after the GELU, and the residual stream twice.
  const std::int64_t most = (256 << 20) / (257 * (2 * 8192 + 2 * 8) * 4);
  REQUIRE(most == 15);
  CHECK(sizes(64, 8192, 20) == std::vector<std::int64_t>{most, 20 - most});
}
