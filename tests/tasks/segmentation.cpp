#include "tasks/segmentation.h"

#include "catch.h"
#include "data/mask_scores.h"
#include "data/spline_resize.h"
#include "data/volume_cases.h"
#include "data/volume_stacks.h"
#include "models/model.h"
#include "models/preprocessor_config.h"
#include "models/tokenizer_files.h"
#include "peft/files.h"
#include "strata/core/error.h"
#include "strata/core/random.h"
#include "support/error_text.h"
#include "support/tiny_model.h"
#include "support/tiny_sam.h"
#include "support/volume_files.h"
#include "tasks/loss_shape.h"
#include "tasks/segmentation_data.h"
#include "tasks/tasks.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::tasks;
using Catch::Matchers::Contains;
using torch::Tensor;

namespace {

const std::vector<std::string> kOrgans = {"kidney", "tumor"};

/// Two volumes of 20 x 24 pixels, seven and three slices along the first axis.
struct Volumes {
  test::TempDir dir;
  data::Manifest manifest;

  Volumes() {
    Random random(4);
    for (const std::int64_t slices : {7, 3}) {
      data::Volume image;
      image.size = {slices, 20, 24};
      image.spacing = {3, 1, 1.5};
      image.affine = {{{0, 1, 0, 5}, {0, 0, 1.5, -2}, {3, 0, 0, 7}}};
      data::Mask mask{image, {}};
      for (std::size_t i = 0; i < image.voxels(); ++i) {
        image.values.push_back(static_cast<float>(random.below(1000)));
        mask.labels.push_back(static_cast<std::uint8_t>(random.below(3)));
      }
      const std::string name = std::to_string(slices) + ".nii.gz";
      data::write_nifti(dir / ("image" + name), image, data::VoxelType::kInt16);
      data::write_nifti(dir / ("mask" + name), mask);
    }
    dir.write("dataset.json",
              R"({"version":1,"name":"x","synthetic":true,"classes":["kidney","tumor"],)"
              R"("slice_axis":0})");
    data::LoadOptions options;
    options.reading = data::Reading::kMasks;
    // There has to be a test; it is the second one.
    dir.write("manifest.jsonl", line("7.nii.gz", "train") + "\n" + line("3.nii.gz", "test"));
    manifest = data::load_data(dir.path(), options);
  }

  static std::string line(const std::string& name, const std::string& split) {
    return R"({"image":"image)" + name + R"(","mask":"mask)" + name + R"(","split":")" + split +
           R"(","client":"ct"})";
  }
  std::unique_ptr<Dataset> encode(const models::Model& model,
                                  const std::vector<int>& examples) const {
    static const data::WordPiece none = models::no_tokenizer();
    return segmentation()->encode(examples, {manifest, model.blueprint(), none});
  }
};

models::State masks(const Tensor& logits) {
  return {{{models::kMaskLogits, logits}}, {}};
}

/// The published loss, place by place, over the samples [begin, end).
double expected_loss(const Tensor& logits, const Tensor& labels, std::int64_t begin,
                     std::int64_t end) {
  const std::int64_t classes = logits.size(1), slices = labels.size(1);
  std::vector<double> both(3), squares(3), truths(3);
  double entropy = 0, places = 0;
  for (std::int64_t i = begin * slices; i < end * slices; ++i) {
    for (std::int64_t y = 0; y < logits.size(2); ++y) {
      for (std::int64_t x = 0; x < logits.size(3); ++x) {
        double sum = 0;
        for (std::int64_t c = 0; c < classes; ++c)
          sum += std::exp(logits[i][c][y][x].item<double>());
        const auto truth = labels[i / slices][i % slices][y][x].item<std::int64_t>();
        for (std::int64_t c = 0; c < classes; ++c) {
          const double p = std::exp(logits[i][c][y][x].item<double>()) / sum;
          const auto at = static_cast<std::size_t>(c);
          squares[at] += p * p;
          if (c != truth) continue;
          both[at] += p;
          truths[at] += 1;
          entropy -= std::log(p);
        }
        ++places;
      }
    }
  }
  double dice = 0;
  for (std::size_t c = 0; c < 3; ++c)
    dice += 1 - (2 * both[c] + 1e-5) / (squares[c] + truths[c] + 1e-5);
  return 0.2 * entropy / places + 0.8 * dice / 3;
}

}  // namespace

TEST_CASE("the loss is a fifth cross-entropy and four fifths Dice, over a batch or a sample") {
  torch::manual_seed(1);
  const Tensor logits = 2 * torch::randn({2 * 5, 3, 4, 6});
  models::Batch batch;
  batch.pixels = torch::zeros({2, 5, 3, 4, 6});
  batch.labels = torch::randint(0, 3, {2, 5, 4, 6}, torch::kLong);
  // A class that does not occur in the second sample.
  batch.labels[1].masked_fill_(batch.labels[1] == 2, 1);
  const TaskPtr task = segmentation();
  const Tensor each = task->losses(masks(logits), batch);
  REQUIRE(each.sizes() == torch::IntArrayRef({2}));
  CHECK(each[0].item<double>() == Approx(expected_loss(logits, batch.labels, 0, 1)).epsilon(1e-5));
  CHECK(each[1].item<double>() == Approx(expected_loss(logits, batch.labels, 1, 2)).epsilon(1e-5));
  const double together = expected_loss(logits, batch.labels, 0, 2);
  CHECK(task->loss(masks(logits), batch).item<double>() == Approx(together).epsilon(1e-5));
  // Sums over the batch are not means of the samples' own.
  CHECK(std::abs(together - each.mean().item<double>()) > 1e-3);

  // The focal loss counts what is right already for little, in the cross-entropy.
  LossShape focal;
  focal.focal_gamma = 2;
  CHECK(task->loss(masks(logits), batch, focal).item<double>() < together);

  // Masks at half of the size are held against the nearest labels.
  models::Batch larger = batch;
  larger.labels = batch.labels.repeat_interleave(2, 2).repeat_interleave(2, 3);
  CHECK(torch::allclose(task->losses(masks(logits), larger), each));
}

TEST_CASE("stacks that show nothing have a loss, which is 0 where nothing is found") {
  models::Batch batch;
  batch.pixels = torch::zeros({1, 5, 3, 4, 6});
  batch.labels = torch::zeros({1, 5, 4, 6}, torch::kLong);
  Tensor logits = torch::zeros({5, 3, 4, 6});
  logits.select(1, 0).fill_(200);  // the organs' probabilities are 0 in float32
  logits.requires_grad_(true);
  const TaskPtr task = segmentation();
  const Tensor loss = task->loss(masks(logits), batch);
  CHECK(loss.item<double>() == 0);
  loss.backward();
  CHECK(logits.grad().abs().max().item<double>() == 0);
  // What is found there by mistake costs.
  const Tensor even = torch::zeros({5, 3, 4, 6});
  CHECK(task->loss(masks(even), batch).item<double>() ==
        Approx(expected_loss(even, batch.labels, 0, 1)).epsilon(1e-5));
}

TEST_CASE("the outputs that scores are made of are logits, pooled where they are the largest") {
  Tensor logits = torch::zeros({2, 3, 2, 2});  // one sample of two slices
  logits[0][1] = torch::tensor({{3.0, 1.0}, {-1.0, -1.0}});
  logits[1][1] = torch::tensor({{5.0, -1.0}, {-1.0, -1.0}});
  logits.select(1, 2).fill_(-8);
  logits[1][2][0][1] = 4;
  models::Batch batch;
  batch.pixels = torch::zeros({1, 2, 3, 2, 2});
  const Tensor found = segmentation()->outputs(masks(logits), batch);
  REQUIRE(found.sizes() == torch::IntArrayRef({1, 3}));
  CHECK(found[0][0].item<double>() == 0);
  CHECK(found[0][1].item<double>() == Approx((3 + 1 + 5) / 3.0));
  CHECK(found[0][2].item<double>() == 4);
  // Where a class is nowhere the largest, all places count.
  logits[1][2][0][1] = -8;
  CHECK(segmentation()->outputs(masks(logits), batch)[0][2].item<double>() == -8);
}

TEST_CASE("a row is a stack around a slice, scaled as a whole, at the model's size") {
  const Volumes volumes;
  const models::Model model = test::tiny_sam(kOrgans);
  const auto data = volumes.encode(model, {0, 1});
  CHECK(data->size() == 7 + 3);
  for (const std::int64_t row : {0, 3, 6, 7, 9}) {
    CAPTURE(row);
    const int example = row < 7 ? 0 : 1;
    const auto read = data::read_case(volumes.manifest, volumes.manifest.examples[example]);
    const std::int64_t slice = row < 7 ? row : row - 7;
    const auto slices = data::slices_of(read.image, 0);
    const auto expected =
        data::resize_cubic(data::scaled_stack(data::stack_around(slices, slice)), 32, 32);
    const auto labels =
        data::resize_nearest(data::stack_around(data::slices_of(read.mask, 0), slice), 32, 32);
    const models::Batch batch = data->batch({row}, torch::kCPU);
    REQUIRE(batch.pixels.sizes() == torch::IntArrayRef({1, 5, 3, 32, 32}));
    REQUIRE(batch.labels.sizes() == torch::IntArrayRef({1, 5, 32, 32}));
    for (std::int64_t place = 0; place < 5; ++place) {
      for (std::int64_t y = 0; y < 32; y += 5) {
        for (std::int64_t x = 0; x < 32; x += 3) {
          const auto& processor = model.blueprint().image_processor();
          const double value = (expected.at(place, y, x) - processor.mean[0]) / processor.std[0];
          for (std::int64_t channel = 0; channel < 3; ++channel)
            REQUIRE(batch.pixels[0][place][channel][y][x].item<double>() ==
                    Approx(processor.normalize ? value : expected.at(place, y, x)).margin(1e-5));
          REQUIRE(batch.labels[0][place][y][x].item<int>() == labels.at(place, y, x));
        }
      }
    }
  }
}

TEST_CASE("stacks are normalised as the model's processor says, and stay where it says nothing") {
  const Volumes volumes;
  const models::Model model = test::tiny_sam(kOrgans);
  models::Blueprint blueprint(model.blueprint());
  CHECK_FALSE(blueprint.image_processor().normalize);
  const test::TempDir dir;
  // Without a file's keys, ImageNet's numbers (facebook/sam-vit-base has the same).
  dir.write("preprocessor_config.json", "{}");
  blueprint.set_images(
      models::read_image_processor(dir.path(), blueprint.architecture().image_model()));
  const models::Model normalising(blueprint, 3);
  const Tensor plain = volumes.encode(model, {0})->batch({3}, torch::kCPU).pixels;
  const Tensor found = volumes.encode(normalising, {0})->batch({3}, torch::kCPU).pixels;
  const double mean[] = {0.485, 0.456, 0.406}, deviation[] = {0.229, 0.224, 0.225};
  for (std::int64_t channel = 0; channel < 3; ++channel)
    CHECK(torch::allclose(found.select(2, channel),
                          (plain.select(2, channel) - mean[channel]) / deviation[channel], 1e-5,
                          1e-5));
}

TEST_CASE("variations mirror image and mask together, and a seed varies them alike each time") {
  const Volumes volumes;
  const models::Model model = test::tiny_sam(kOrgans);
  const auto data = volumes.encode(model, {0});
  const models::Batch plain = data->batch({2}, torch::kCPU);
  const models::Batch mirrored = data->batch({2}, torch::kCPU, {{3}});
  CHECK(torch::equal(mirrored.pixels, plain.pixels.flip({3, 4})));
  CHECK(torch::equal(mirrored.labels, plain.labels.flip({2, 3})));
  CHECK(torch::equal(data->batch({2}, torch::kCPU, {{1}}).labels, plain.labels.flip({3})));
  const models::Batch varied = data->batch({2}, torch::kCPU, {{0, 5}});
  CHECK_FALSE(torch::equal(varied.pixels, plain.pixels));
  CHECK(torch::equal(varied.pixels, data->batch({2}, torch::kCPU, {{0, 5}}).pixels));
  CHECK_FALSE(torch::equal(varied.pixels, data->batch({2}, torch::kCPU, {{0, 6}}).pixels));
}

TEST_CASE("a volume is segmented by the mean of what its stacks say of each slice") {
  const Volumes volumes;
  // FLAP-SAM's masks are as large as the image; SAMed's, of two steps, are not.
  const std::int64_t steps = GENERATE(3, 2), side = steps == 3 ? 32 : 16;
  const models::Model model = test::tiny_sam(kOrgans, 3, steps);
  const auto data = volumes.encode(model, {0, 1});
  std::vector<Prediction> predictions;
  const TaskPtr task = segmentation();
  const Tally tally = task->evaluate(model, *data, nullptr, &predictions);
  REQUIRE(predictions.size() == 2);

  const torch::NoGradGuard no_grad;
  double loss = 0;
  std::map<std::string, double> dice;
  for (int v = 0; v < 2; ++v) {
    const std::int64_t slices = v == 0 ? 7 : 3, first = v == 0 ? 0 : 7;
    Tensor sums = torch::zeros({slices, 3, side, side});
    for (std::int64_t slice = 0; slice < slices; ++slice) {
      const models::Batch batch = data->batch({first + slice}, torch::kCPU);
      const models::State output = model.run(batch);
      loss += task->losses(output, batch)[0].item<double>();
      const Tensor p = torch::softmax(output.values.at(models::kMaskLogits), 1);
      for (int place = 0; place < 5; ++place) {
        const std::int64_t at = slice + place - 2;
        if (at >= 0 && at < slices) sums[at] += p[place];
      }
    }
    const auto truth = data::read_case(volumes.manifest, volumes.manifest.examples[v]).mask;
    data::LabelPlanes labels(slices, 20, 24);
    for (std::int64_t slice = 0; slice < slices; ++slice) {
      const std::int64_t stacks =
          std::min(slice + 2, slices - 1) - std::max<std::int64_t>(slice - 2, 0) + 1;
      const Tensor mean = (sums[slice] / static_cast<double>(stacks)).contiguous();
      data::ImagePlanes planes(3, side, side);
      std::copy_n(mean.data_ptr<float>(), planes.values.size(), planes.values.begin());
      planes = data::resize_cubic(planes, 20, 24);
      for (std::int64_t y = 0; y < 20; ++y) {
        for (std::int64_t x = 0; x < 24; ++x) {
          int best = 0;
          for (int c = 1; c < 3; ++c)
            if (planes.at(c, y, x) > planes.at(best, y, x)) best = c;
          labels.at(slice, y, x) = static_cast<std::uint8_t>(best);
        }
      }
    }
    const data::Mask expected = data::mask_of(labels, truth, 0);
    const Prediction& found = predictions[static_cast<std::size_t>(v)];
    REQUIRE(found.mask);
    CHECK(found.mask->labels == expected.labels);
    // On the input's grid.
    CHECK(found.mask->size == truth.size);
    CHECK(found.mask->affine == truth.affine);
    CHECK(found.mask->spacing == truth.spacing);
    CHECK(found.example->image == volumes.manifest.examples[v].image);
    const auto scores = data::score_masks(expected, truth, 2, 2);
    for (std::size_t c = 0; c < 2; ++c) {
      dice[kOrgans[c]] += scores[c].dice / 2;
      const auto& values = found.values;
      REQUIRE(values.size() == 6);
      CHECK(values[c] == std::pair("dice/" + kOrgans[c], scores[c].dice));
      CHECK(values[2 + c] == std::pair("hd95/" + kOrgans[c], scores[c].hd95));
      CHECK(values[4 + c] == std::pair("nsd/" + kOrgans[c], scores[c].surface_dice));
    }
  }
  CHECK(tally.of(kLossSum).sum == Approx(loss).epsilon(1e-4));
  CHECK(tally.of(kLossSum).weight == 10);
  CHECK(task->value("dice", tally) == Approx((dice["kidney"] + dice["tumor"]) / 2));
  CHECK_THROWS_AS(task->value("accuracy", tally), std::out_of_range);
  CHECK(task->metrics() == std::vector<std::string>{"dice", "hd95", "nsd"});

  // A client's tallies add up.
  const auto one = volumes.encode(model, {0}), other = volumes.encode(model, {1});
  Tally sum = task->evaluate(model, *one);
  sum += task->evaluate(model, *other);
  CHECK(task->value("dice", sum) == Approx(task->value("dice", tally)));
}

TEST_CASE("a model of two steps with classes, as SAMed's, is the same once saved and loaded") {
  const Volumes volumes;
  const models::Model model = test::tiny_sam(kOrgans, 3, 2);
  const test::TempDir dir;
  peft::save_model(model, dir / "saved");
  const models::Model back = peft::load_model(dir / "saved");
  CHECK(back.architecture().labels() == kOrgans);
  const Tensor expected = test::masks(model), found = test::masks(back);
  REQUIRE(found.sizes() == torch::IntArrayRef({4, 3, 16, 16}));
  CHECK(torch::equal(found, expected));
  CHECK(found.abs().max().item<double>() > 0);

  const auto evaluated = [&](const models::Model& of) {
    std::vector<Prediction> predictions;
    segmentation()->evaluate(of, *volumes.encode(of, {0, 1}), nullptr, &predictions);
    return predictions;
  };
  const auto before = evaluated(model), after = evaluated(back);
  REQUIRE(after.size() == 2);
  for (std::size_t v = 0; v < 2; ++v) {
    CHECK(after[v].mask->labels == before[v].mask->labels);
    CHECK(after[v].values == before[v].values);
  }
}

TEST_CASE("segmentation is for models that make masks of the data's classes") {
  const Volumes volumes;
  CHECK(choose_task("auto", volumes.manifest)->name() == "segmentation");
  CHECK(segmentation()->labels({split_of(volumes.manifest, "train")}) == kOrgans);
  const auto refusal = [&](const models::Model& model) {
    return test::input_error([&] { volumes.encode(model, {0}); });
  };
  CHECK_THAT(refusal(test::tiny_sam({"kidney", "cyst"})), Contains("\"kidney\", \"tumor\"") &&
                                                              Contains("\"kidney\", \"cyst\"") &&
                                                              Contains("model.answers: data"));
  CHECK_THAT(refusal(test::tiny_sam({})), Contains("has none"));
  // Of a checkpoint without names the number alone has to be the data's, whose names count.
  const models::Model unnamed = test::tiny_sam({"class_1", "class_2"});
  std::vector<Prediction> predictions;
  const auto data = volumes.encode(unnamed, {1});
  const Tally tally = segmentation()->evaluate(unnamed, *data, nullptr, &predictions);
  CHECK(predictions.at(0).values.at(1).first == "dice/tumor");
  CHECK(segmentation()->value("dice", tally) ==
        Approx((predictions[0].values[0].second + predictions[0].values[1].second) / 2));
  CHECK_THAT(refusal(test::tiny_sam({"class_1"})),
             Contains("\"kidney\", \"tumor\", but the model has 1 without names"));
  CHECK_THAT(refusal(models::Model(test::narrow_shape("vit").blueprint(), 1)),
             Contains("models that make masks (sam)") && Contains("\"vit\""));
  CHECK_THROWS_WITH(segmentation()->class_weights(*volumes.encode(test::tiny_sam(kOrgans), {0})),
                    Contains("class_weights"));
}
