#include "tasks/answer_generation.h"

#include <cmath>

#include "catch.h"
#include "data/image.h"
#include "models/generation.h"
#include "models/model.h"
#include "models/tokenizer_files.h"
#include "peft/files.h"
#include "strata/core/error.h"
#include "support/speaking_model.h"
#include "support/tiny_model.h"
#include "tasks/dataset.h"
#include "tasks/tasks.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::tasks;
using Catch::Matchers::Contains;
using torch::Tensor;

namespace {

/// Three questions about two images.
data::Manifest write_questions(const std::filesystem::path& folder) {
  data::Manifest manifest;
  manifest.folder = folder;
  for (const int value : {40, 200}) {
    data::Image image{18, 18, std::vector<std::uint8_t>(18 * 18 * 3)};
    for (std::size_t p = 0; p < image.pixels.size(); ++p)
      image.pixels[p] = static_cast<std::uint8_t>((p * 7 + static_cast<std::size_t>(value)) % 251);
    data::write_png(image, folder / (std::to_string(value) + ".png"));
  }
  manifest.examples = {
      {"40.png", "is it red?", {"no"}, "train", "ct", "closed", ""},
      {"200.png", "which colour?", {"dark blue", "blue"}, "train", "ct", "open", ""},
      {"200.png", "why?", {"so"}, "test", "ct", "open", ""}};
  return manifest;
}

struct Fixture {
  Fixture() {
    test::write_speaking_model(dir.path() / "model");
    manifest = write_questions(dir.path());
    model.emplace(peft::load_model(dir.path() / "model"));
    language = models::load_language(model->architecture(), dir.path() / "model");
  }
  Source source() const { return {manifest, model->blueprint(), none, false, nullptr, language}; }

  test::TempDir dir;
  data::Manifest manifest;
  std::optional<models::Model> model;
  std::shared_ptr<const data::Tokenizer> language;
  data::WordPiece none{{"[PAD]", "[UNK]", "[CLS]", "[SEP]"}};
};

}  // namespace

TEST_CASE_METHOD(Fixture, "a sample's loss is minus the log-likelihood of its answer and the end") {
  const TaskPtr task = answer_generation();
  const auto data = task->encode({0, 1, 2}, source());
  CHECK(data->size() == 3);
  const models::Batch batch = data->batch({0, 1, 2}, torch::kCPU);
  // " dark blue" and the end.
  CHECK(batch.answers[1].sum().item<int>() == 11);
  CHECK(batch.outputs.size(0) == 3 * 11);  // as many of each sample
  const Tensor losses = task->losses(model->run(batch), batch);
  for (std::int64_t row = 0; row < 3; ++row) {
    CAPTURE(row);
    // Alone, and from all logits.
    models::Batch one = data->batch({row}, torch::kCPU);
    const Tensor labels = one.labels[0];
    one.outputs = Tensor();
    const Tensor likely = torch::log_softmax(model->run(one).values.at(models::kTokenLogits), 1);
    double sum = 0;
    for (std::int64_t t = 1; t < labels.size(0); ++t) {
      const auto token = labels[t].item<std::int64_t>();
      if (token >= 0) sum -= likely[t - 1][token].item<double>();
    }
    CHECK(losses[row].item<double>() == Approx(sum).epsilon(1e-5));
  }
  CHECK(task->loss(model->run(batch), batch).item<double>() ==
        Approx(losses.mean().item<double>()));
  const Tensor outputs = task->outputs(model->run(batch), batch);
  CHECK(outputs.sizes() == torch::IntArrayRef({3, 1}));
  CHECK(torch::equal(outputs.squeeze(1), -task->losses(model->run(batch), batch)));
}

TEST_CASE_METHOD(Fixture, "an evaluation is of what the model says") {
  const TaskPtr task = answer_generation();
  const auto data = task->encode({0, 1, 2}, source());
  std::vector<bool> right;
  std::vector<Prediction> predictions;
  const Tally tally = task->evaluate(*model, *data, &right, &predictions);
  REQUIRE(predictions.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(predictions[i].prediction.size() == 1);
    CHECK(predictions[i].log_probability < 0);
    CHECK_FALSE(right[i]);  // of random weights
  }
  CHECK(task->value("accuracy", tally) == 0);
  CHECK(task->value("closed_accuracy", tally) == 0);
  CHECK(std::isfinite(task->value("token_f1", tally)));
  CHECK(tally.of("loss").mean() ==
        Approx(task->losses(model->run(data->batch({0, 1, 2}, torch::kCPU)),
                            data->batch({0, 1, 2}, torch::kCPU))
                   .mean()
                   .item<double>())
            .epsilon(1e-5));
  // What it says is an accepted answer now, in other letters.
  for (std::size_t i = 0; i < 3; ++i) {
    std::string said = predictions[i].prediction.front();
    manifest.examples[i].answers.push_back(said + ".");
  }
  const auto easy = task->encode({0, 1, 2}, source());
  const Tally better = task->evaluate(*model, *easy, nullptr, nullptr);
  CHECK(task->value("accuracy", better) == 1);
  CHECK(task->value("open_accuracy", better) == 1);
  CHECK(task->value("token_recall", better) == 1);
  CHECK(task->metrics() == std::vector<std::string>{"accuracy", "open_accuracy", "closed_accuracy",
                                                    "token_recall", "token_f1"});
}

TEST_CASE_METHOD(Fixture, "the majority is the most frequent training answer") {
  const TaskPtr task = answer_generation();
  manifest.examples[2].answers = {"No"};
  const auto train = task->encode({0, 0, 1}, source()), test = task->encode({1, 2}, source());
  CHECK(task->majority_right(*train, *test) == std::vector<bool>{false, true});
}

TEST_CASE_METHOD(Fixture, "models and tasks that do not belong together are refused") {
  const models::Model other = test::make_model(test::small_shape(), 1);
  const Source labelled{manifest, other.blueprint(), none};
  CHECK_THROWS_WITH(answer_generation()->encode({0}, labelled),
                    Contains("answer_generation") && Contains("\"vilt\" chooses among labels"));
  CHECK_THROWS_WITH(choose_task("answer_classification", manifest)->encode({0}, source()),
                    Contains("\"llava\" speaks: answer_generation"));
  manifest.examples[0].question = std::string(200, 'x');
  CHECK_THROWS_WITH(answer_generation()->encode({0}, source()),
                    Contains("40.png") && Contains("the model reads at most 160"));
  std::filesystem::remove(dir.path() / "model" / "tokenizer.json");
  CHECK_THROWS_WITH(models::load_language(model->architecture(), dir.path() / "model"),
                    Contains("tokenizer.json"));
}
