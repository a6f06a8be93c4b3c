#include "tasks/image_text_classification.h"

#include "catch.h"
#include "data/image.h"
#include "models/generation.h"
#include "models/model.h"
#include "models/tokenizer_files.h"
#include "strata/core/error.h"
#include "support/answers.h"
#include "support/speaking_model.h"
#include "support/tiny_model.h"
#include "tasks/answer_classification.h"
#include "tasks/answer_generation.h"
#include "tasks/dataset.h"
#include "tasks/image_classification.h"
#include "tasks/prompts.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::tasks;
using Catch::Matchers::Contains;
using torch::Tensor;

namespace {

const std::vector<std::string> kFindings = {"edema", "nodule"};

/// Two images with reports, of which any number of labels may be right.
data::Manifest reports(const std::filesystem::path& folder) {
  data::Manifest manifest;
  manifest.folder = folder;
  manifest.classes = kFindings;
  manifest.multi_label = true;
  for (const int i : {0, 1}) {
    data::write_png(
        {18, 18, std::vector<std::uint8_t>(18 * 18 * 3, static_cast<std::uint8_t>(90 * i))},
        folder / (std::to_string(i) + ".png"));
    data::Example example;
    example.image = std::to_string(i) + ".png";
    example.split = "train";
    example.client = "x";
    example.text = i == 0 ? "a round nodule." : "clear.";
    if (i == 0) example.labels = {"nodule"};
    manifest.examples.push_back(example);
  }
  return manifest;
}

struct Ward {
  Ward() {
    test::write_speaking_model(dir.path() / "model");
    manifest = reports(dir.path());
    model.emplace(peft::load_model(dir.path() / "model"));
    language = models::load_language(model->architecture(), dir.path() / "model");
    model->relabel(kFindings, 1);
  }
  Source source() const { return {manifest, model->blueprint(), none, false, nullptr, language}; }
  std::vector<std::int64_t> prompt_of(const std::string& text) const {
    return PromptWriter(*model->architecture().speech(), language).prompt(text);
  }

  test::TempDir dir;
  data::Manifest manifest;
  std::optional<models::Model> model;
  std::shared_ptr<const data::Tokenizer> language;
  data::WordPiece none{{"[PAD]", "[UNK]", "[CLS]", "[SEP]"}};
};

std::vector<std::int64_t> ids_of(const Dataset& data, std::int64_t row) {
  const models::Batch batch = data.batch({row}, torch::kCPU);
  return {batch.input_ids.data_ptr<std::int64_t>(),
          batch.input_ids.data_ptr<std::int64_t>() + batch.input_ids.numel()};
}

}  // namespace

TEST_CASE_METHOD(Ward, "a language model reads the text within its prompt, and gives labels") {
  const TaskPtr task = image_text_classification();
  CHECK(task->name() == "image_text_classification");
  CHECK(task->labels({split_of(manifest, "train")}) == kFindings);
  const auto data = task->encode({0, 1}, source());
  CHECK(ids_of(*data, 0) == prompt_of("a round nodule."));
  CHECK(ids_of(*data, 1) == prompt_of("clear."));
  // Beside those of the image.
  CHECK(data->max_tokens() == static_cast<std::int64_t>(prompt_of("a round nodule.").size()) - 9);
  const models::Batch batch = data->batch({0, 1}, torch::kCPU);
  CHECK(torch::equal(batch.labels, torch::tensor({{0.f, 1.f}, {0.f, 0.f}})));
  const Tensor logits = model->forward(batch);
  CHECK(logits.sizes() == std::vector<std::int64_t>{2, 2});
  // The text beside which another is padded is alone what it was.
  CHECK((logits[1] - model->forward(data->batch({1}, torch::kCPU))[0]).abs().max().item<double>() <
        1e-5);
  const Tally tally = task->evaluate(*model, *data);
  CHECK(task->values(tally).front().second ==
        Approx(torch::binary_cross_entropy_with_logits(logits, batch.labels).item<double>()));
  CHECK(task->metrics() ==
        std::vector<std::string>{"accuracy", "balanced_accuracy", "macro_f1", "micro_f1", "auroc"});
}

TEST_CASE_METHOD(Ward, "the other classifications have the same prompts") {
  manifest.examples[0].question = "is there a nodule?";
  manifest.examples[0].answers = {"nodule"};
  const auto answers = answer_classification()->encode({0}, source());
  CHECK(ids_of(*answers, 0) == prompt_of("is there a nodule?"));
  const auto images = image_classification()->encode({1}, source());
  CHECK(ids_of(*images, 0) == prompt_of(""));
}

TEST_CASE_METHOD(Ward, "a text that is too long loses its last words") {
  const std::int64_t most = 9 + model->architecture().text_tokens();
  std::string text;
  while (prompt_of(text + " word").size() <= static_cast<std::size_t>(most))
    text += (text.empty() ? "word" : " word");
  manifest.examples[0].text = text + " more of it.";
  manifest.examples[1].text = text;
  const auto data = image_text_classification()->encode({0, 1}, source());
  CHECK(ids_of(*data, 0) == prompt_of(text));
  CHECK(ids_of(*data, 1) == prompt_of(text));
  const PromptWriter writer(*model->architecture().speech(), language);
  CHECK(writer.prompt("word", prompt_of("word").size()) == prompt_of("word"));
  CHECK(writer.prompt("word", prompt_of("word").size() - 1) == prompt_of(""));
  CHECK_THROWS_WITH(writer.prompt("word", 12),
                    Contains("tokens without a text") && Contains("at most 12"));
}

TEST_CASE("ViLT reads the text beside an image, as many of its tokens as it has places") {
  const test::TempDir dir;
  const data::Manifest manifest = reports(dir.path());
  const data::WordPiece tokenizer(
      {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "round", "nodule", "."});
  test::ModelShape shape = test::narrow_shape("vilt");
  shape.labels = kFindings;
  shape.max_position_embeddings = 4;
  const models::Blueprint blueprint = shape;
  const auto data =
      image_text_classification()->encode({0}, {manifest, blueprint, tokenizer, false, nullptr});
  CHECK(ids_of(*data, 0) == std::vector<std::int64_t>{2, 4, 5, 3});
  CHECK(data->max_tokens() == 4);
}

TEST_CASE_METHOD(Ward, "labels and words do not mix") {
  CHECK_THROWS_WITH(answer_generation()->encode({0}, source()), Contains("chooses among labels"));
  CHECK_THROWS_AS(models::generate(*model, model->blueprint().example(3), {}), InputError);
  model.emplace(peft::load_model(dir.path() / "model"));
  CHECK_THROWS_WITH(image_text_classification()->encode({0}, source()),
                    Contains("\"llava\" speaks") && Contains("model.answers: data"));
}
