#include "tasks/classification.h"

#include <cmath>
#include <numeric>

#include "catch.h"
#include "data/image.h"
#include "models/model.h"
#include "strata/core/error.h"
#include "support/answers.h"
#include "support/tiny_model.h"
#include "tasks/image_classification.h"
#include "tasks/loss_shape.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::models;
using namespace strata::tasks;
using Catch::Matchers::Contains;

namespace {

const std::vector<std::string> kClasses = {"cat", "dog", "eel"};

/// Six images, each with the labels given; the last two are of the test.
Manifest labelled_images(const test::TempDir& dir, bool several) {
  Manifest manifest;
  manifest.folder = dir.path();
  manifest.classes = kClasses;
  manifest.multi_label = several;
  const std::vector<std::vector<std::string>> labels =
      several ? std::vector<std::vector<std::string>>{{"cat", "eel"}, {},      {"cat"},
                                                      {"dog"},        {"cat"}, {"eel"}}
              : std::vector<std::vector<std::string>>{{"cat"}, {"cat"}, {"dog"},
                                                      {"cat"}, {"cat"}, {"eel"}};
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const std::string name = std::to_string(i) + ".png";
    write_png(Image{4, 4, std::vector<std::uint8_t>(48, static_cast<std::uint8_t>(40 * i))},
              dir / name);
    Example example;
    example.image = name;
    example.split = i < 4 ? "train" : "test";
    example.labels = labels[i];
    manifest.examples.push_back(example);
  }
  return manifest;
}

test::ModelShape vit(std::vector<std::string> labels) {
  test::ModelShape config;
  config.model_type = "vit";
  config.image_size = 4;
  config.patch_size = 2;
  config.labels = std::move(labels);
  return config;
}

std::shared_ptr<const LabelledData> encode(const Manifest& manifest,
                                           const std::vector<int>& indices,
                                           const Blueprint& blueprint, bool drop = false) {
  const WordPiece none({"[PAD]", "[UNK]", "[CLS]", "[SEP]"});
  std::shared_ptr<const Dataset> data =
      image_classification()->encode(indices, {manifest, blueprint, none, drop, nullptr});
  return std::dynamic_pointer_cast<const LabelledData>(data);
}

/// A model that gives every image these logits.
Model constant(const test::ModelShape& config, const std::vector<float>& logits) {
  Model model = test::make_model(config, 1);
  const torch::NoGradGuard no_grad;
  model.weight("classifier.weight").zero_();
  model.weight("classifier.bias").copy_(torch::tensor(logits));
  return model;
}

}  // namespace

TEST_CASE("an image's label is found by its name in the model's order") {
  test::TempDir dir;
  const auto data = encode(labelled_images(dir, false), {0, 2}, vit({"eel", "dog", "cat"}));
  CHECK(data->label(0) == 2);
  CHECK(data->label(1) == 1);
  CHECK(
      torch::equal(data->batch({1, 0}, torch::kCPU).labels, torch::tensor({1, 2}, torch::kInt64)));
  CHECK(image_classification()->labels({split_of(labelled_images(dir, false), "train")}) ==
        kClasses);
}

TEST_CASE("an encoder without a head is refused, and what gives it one is named") {
  const test::TempDir dir;
  const Manifest manifest = labelled_images(dir, false);
  const Model model = test::make_model(vit({}), 1);
  CHECK_THROWS_WITH(encode(manifest, {0}, model.blueprint()),
                    Contains("\"vit\" has no head") && Contains("model.answers: data"));
}

TEST_CASE("several labels are one number each, and an image may have none") {
  test::TempDir dir;
  const auto data = encode(labelled_images(dir, true), {0, 1, 3}, vit({"eel", "dog", "cat"}));
  CHECK(torch::equal(data->batch({0, 1, 2}, torch::kCPU).labels,
                     torch::tensor({{1.f, 0.f, 1.f}, {0.f, 0.f, 0.f}, {0.f, 1.f, 0.f}})));
  CHECK(data->accepts(0, {0, 2}));
  CHECK(data->accepts(1, {}));
  CHECK_FALSE(data->accepts(0, {0}));
  CHECK_FALSE(data->accepts(0, {0, 1}));
  CHECK(data->has_target(1));
}

TEST_CASE("a class outside the labels names the image and the nearest label, or is passed over") {
  test::TempDir dir;
  const Manifest one = labelled_images(dir, false);
  CHECK_THROWS_WITH(encode(one, {0, 5}, vit({"cat", "dog", "eels"})),
                    Contains("5.png: the class \"eel\" is not one of the model's 3 labels (did you "
                             "mean \"eels\"?); model.answers: data"));
  const auto kept = encode(one, {4, 5}, vit({"cat", "dog"}), true);
  CHECK(kept->size() == 2);
  CHECK(kept->unseen() == 1);
  CHECK_FALSE(kept->has_target(1));
  const auto left_out = encode(one, {0, 2}, vit({"cat", "eel"}), true);
  CHECK(left_out->size() == 1);
  // With several labels an image that has one more cannot be right, whatever is chosen.
  const auto several = encode(labelled_images(dir, true), {0, 5}, vit({"cat", "dog"}), true);
  CHECK(several->size() == 1);
  CHECK_FALSE(several->accepts(0, {}));
  CHECK_THROWS_WITH(encode(one, {2}, vit({"cat", "eel"}), true),
                    Contains("none of 1 has a class among the model's 2 labels"));
}

TEST_CASE("the loss is cross-entropy, or with several labels the mean of each one's") {
  test::TempDir dir;
  const TaskPtr task = image_classification();
  const torch::Tensor logits = torch::tensor({{0.5f, -1.f, 2.f}, {0.f, 1.f, -3.f}});
  const State output{{{kLogits, logits}}, {}};
  const auto one = encode(labelled_images(dir, false), {0, 2}, vit(kClasses));
  const auto sum = [&](int row) {
    return std::log(std::exp(logits[row][0].item<double>()) +
                    std::exp(logits[row][1].item<double>()) +
                    std::exp(logits[row][2].item<double>()));
  };
  const double first = sum(0) - 0.5, second = sum(1) - 1;
  const Batch batch = one->batch({0, 1}, torch::kCPU);
  CHECK(task->losses(output, batch)[0].item<double>() == Approx(first).epsilon(1e-6));
  CHECK(task->losses(output, batch)[1].item<double>() == Approx(second).epsilon(1e-6));
  CHECK(task->loss(output, batch).item<double>() == Approx((first + second) / 2).epsilon(1e-6));
  CHECK(torch::equal(task->outputs(output, {}), logits));

  const auto several = encode(labelled_images(dir, true), {0, 1}, vit(kClasses));
  const auto loss = [](double logit, bool is) { return std::log1p(std::exp(is ? -logit : logit)); };
  const double of_first = (loss(0.5, true) + loss(-1, false) + loss(2, true)) / 3;
  const double of_second = (loss(0, false) + loss(1, false) + loss(-3, false)) / 3;
  const Batch both = several->batch({0, 1}, torch::kCPU);
  CHECK(task->losses(output, both)[0].item<double>() == Approx(of_first).epsilon(1e-6));
  CHECK(task->losses(output, both)[1].item<double>() == Approx(of_second).epsilon(1e-6));
  CHECK(task->loss(output, both).item<double>() ==
        Approx((of_first + of_second) / 2).epsilon(1e-6));
}

TEST_CASE("class weights make every label that occurs count the same, and focal losses less") {
  test::TempDir dir;
  const TaskPtr task = image_classification();
  // Three cats and a dog, and no eel: 4 / (2 · 3), 4 / (2 · 1).
  const auto data = encode(labelled_images(dir, false), {0, 1, 2, 3}, vit(kClasses));
  const torch::Tensor weights = task->class_weights(*data);
  REQUIRE(weights.scalar_type() == torch::kFloat);
  CHECK(weights[0].item<double>() == Approx(2.0 / 3));
  CHECK(weights[1].item<double>() == Approx(2));
  CHECK(weights[2].item<double>() == 0);

  const Batch batch = data->batch({0, 1, 2, 3}, torch::kCPU);
  torch::manual_seed(3);
  const State output{{{kLogits, torch::randn({4, 3})}}, {}};
  const torch::Tensor each = task->losses(output, batch);
  double weighted = 0, focal = 0;
  for (std::int64_t i = 0; i < 4; ++i) {
    const double loss = each[i].item<double>();
    const double weight = weights[batch.labels[i].item<std::int64_t>()].item<double>();
    weighted += weight * loss / 4;
    focal += std::pow(1 - std::exp(-loss), 2) * loss / 4;
  }
  CHECK(task->loss(output, batch, {.class_weights = weights}).item<double>() ==
        Approx(weighted).epsilon(1e-6));
  CHECK(task->loss(output, batch, {.focal_gamma = 2}).item<double>() ==
        Approx(focal).epsilon(1e-6));
  // The loss of a batch is the sum of its parts' by their share.
  const LossShape both{.class_weights = weights, .focal_gamma = 2};
  const auto part = [&](std::int64_t begin, std::int64_t size) {
    return task
        ->loss({{{kLogits, output.values.at(kLogits).narrow(0, begin, size)}}, {}},
               models::rows_of(batch, begin, size), both)
        .item<double>();
  };
  CHECK(task->loss(output, batch, both).item<double>() ==
        Approx(0.25 * part(0, 1) + 0.75 * part(1, 3)).epsilon(1e-6));
  CHECK_THROWS_WITH(task->class_weights(*encode(labelled_images(dir, true), {0, 1}, vit(kClasses))),
                    Contains("run.local.class_weights: balanced is for one label an example"));
}

TEST_CASE("calibration is the logarithm of each label's share among a client's labels") {
  test::TempDir dir;
  const TaskPtr task = image_classification();
  // Three cats and a dog.
  const torch::Tensor one =
      task->calibration(*encode(labelled_images(dir, false), {0, 1, 2, 3}, vit(kClasses)));
  CHECK(one.scalar_type() == torch::kFloat);
  CHECK(one[0].item<double>() == Approx(std::log(4.0 / 7)));
  CHECK(one[1].item<double>() == Approx(std::log(2.0 / 7)));
  CHECK(one[2].item<double>() == Approx(std::log(1.0 / 7)));
  // Two of four images show cats, one a dog, one an eel.
  const torch::Tensor several =
      task->calibration(*encode(labelled_images(dir, true), {0, 1, 2, 3}, vit(kClasses)));
  CHECK(several[0].item<double>() == Approx(0).margin(1e-7));
  CHECK(several[1].item<double>() == Approx(std::log(2.0 / 4)));
  CHECK(several[2].item<double>() == Approx(std::log(2.0 / 4)));
  // It is added to the logits.
  const auto data = encode(labelled_images(dir, false), {0, 2}, vit(kClasses));
  const Batch batch = data->batch({0, 1}, torch::kCPU);
  const torch::Tensor logits = torch::tensor({{0.5f, -1.f, 2.f}, {0.f, 1.f, -3.f}});
  CHECK(torch::equal(task->loss({{{kLogits, logits}}, {}}, batch, {.calibration = one}),
                     task->loss({{{kLogits, logits + one}}, {}}, batch)));
}

TEST_CASE("predictions carry the truth, what was chosen and how likely that is") {
  test::TempDir dir;
  const TaskPtr task = image_classification();
  const auto config = vit(kClasses);
  const auto one = encode(labelled_images(dir, false), {4, 5}, config);
  std::vector<bool> right;
  std::vector<Prediction> found;
  const Tally tally = task->evaluate(constant(config, {1, 0, -1}), *one, &right, &found);
  CHECK(right == std::vector<bool>{true, false});
  REQUIRE(found.size() == 2);
  CHECK(found[1].truth == std::vector<std::string>{"eel"});
  CHECK(found[1].prediction == std::vector<std::string>{"cat"});
  CHECK(found[1].logits == std::vector<double>{1, 0, -1});
  const double log_sum = std::log(std::exp(1.0) + 1 + std::exp(-1.0));
  CHECK(found[1].log_probability == Approx(1 - log_sum));
  CHECK(tally.of("loss").mean() == Approx((2 * log_sum - 1 + 1) / 2).epsilon(1e-6));
  CHECK(task->metrics() ==
        std::vector<std::string>{"accuracy", "balanced_accuracy", "macro_f1", "auroc"});
  CHECK(task->value("accuracy", tally) == 0.5);
  CHECK(task->value("balanced_accuracy", tally) == 0.5);
  CHECK(task->value("macro_f1", tally) == Approx(1.0 / 3));
  CHECK(task->value("auroc", tally) == 0.5);

  found.clear();
  const auto several = encode(labelled_images(dir, true), {0, 1}, config);
  task->evaluate(constant(config, {1, -2, 3}), *several, nullptr, &found);
  CHECK(found[0].truth == std::vector<std::string>{"cat", "eel"});
  CHECK(found[0].prediction == std::vector<std::string>{"cat", "eel"});
  CHECK(found[0].log_probability ==
        Approx(-std::log1p(std::exp(-1.0)) - std::log1p(std::exp(-2.0)) -
               std::log1p(std::exp(-3.0))));
  CHECK(found[1].truth.empty());
}

TEST_CASE(
    "the majority is the most frequent label, or those that more than half of the images have") {
  test::TempDir dir;
  const TaskPtr task = image_classification();
  const Manifest one = labelled_images(dir, false);
  const auto train = encode(one, {0, 1, 2, 3}, vit(kClasses));
  CHECK(task->majority_right(*train, *encode(one, {4, 5}, vit(kClasses))) ==
        std::vector<bool>{true, false});
  const Manifest several = labelled_images(dir, true);
  // Cats are on two of three images here, and on two of four there.
  CHECK(task->majority_right(*encode(several, {0, 1, 2}, vit(kClasses)),
                             *encode(several, {4, 5}, vit(kClasses))) ==
        std::vector<bool>{true, false});
  CHECK(task->majority_right(*encode(several, {0, 1, 2, 3}, vit(kClasses)),
                             *encode(several, {1, 4}, vit(kClasses))) ==
        std::vector<bool>{true, false});
}
