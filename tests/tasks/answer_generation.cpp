#include "tasks/answer_generation.h"

#include <cmath>

#include "catch.h"
#include "data/image.h"
#include "models/generation.h"
#include "models/model.h"
#include "models/tokenizer_files.h"
#include "peft/files.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "support/error_text.h"
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
  explicit Fixture(void (*write)(const std::filesystem::path&) = test::write_speaking_model) {
    write(dir.path() / "model");
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
    one.outputs = Tensor();
    const Tensor likely = torch::log_softmax(model->run(one).values.at(models::kTokenLogits), 1);
    double sum = 0;
    for (std::int64_t t = 1; t < one.input_ids.size(1); ++t) {
      const auto token = one.input_ids[0][t].item<std::int64_t>();
      if (one.answers[0][t].item<bool>()) sum -= likely[t - 1][token].item<double>();
    }
    CHECK(one.input_ids[0][one.input_ids.size(1) - 1].item<int>() == 2);
    CHECK(losses[row].item<double>() == Approx(sum).epsilon(1e-5));
  }
  CHECK(task->loss(model->run(batch), batch).item<double>() ==
        Approx(losses.mean().item<double>()));
  const Tensor outputs = task->outputs(model->run(batch), batch);
  CHECK(outputs.sizes() == torch::IntArrayRef({3, 1}));
  CHECK(torch::equal(outputs.squeeze(1), -task->losses(model->run(batch), batch)));
}

/// Models that answer behind the prompt, and by a decoder.
const std::vector<void (*)(const std::filesystem::path&)> kKinds = {
    test::write_speaking_model, test::write_t5_model, test::write_albef_model};

/// The log-likelihoods of an answer to all three questions, each as the one to learn.
Tensor alone(Fixture& fixture, const std::string& answer) {
  for (data::Example& example : fixture.manifest.examples) example.answers = {answer};
  const TaskPtr task = answer_generation();
  const auto data = task->encode({0, 1, 2}, fixture.source());
  const models::Batch batch = data->batch({0, 1, 2}, torch::kCPU);
  return -task->losses(fixture.model->run(batch), batch);
}

TEST_CASE("outputs are the log-likelihoods of several answers, each as if it were alone") {
  for (const auto write : kKinds) {
    Fixture fixture(write);
    CAPTURE(fixture.model->architecture().type());
    const std::vector<std::string> answers = {"yes", "no", "dark blue", "12"};
    const TaskPtr task = answer_generation();
    const auto data = task->encode({0, 1, 2}, fixture.source());
    const models::Batch batch = data->outputs_batch({0, 1, 2}, torch::kCPU, {answers});
    const Tensor outputs = task->outputs(fixture.model->run(batch), batch);
    REQUIRE(outputs.sizes() == torch::IntArrayRef({3, 4}));
    // Some of the samples alone have the same.
    const models::Batch last = models::rows_of(batch, 1, 2);
    CHECK((task->outputs(fixture.model->run(last), last) - outputs.narrow(0, 1, 2))
              .abs()
              .max()
              .item<double>() < 1e-4);
    for (std::size_t k = 0; k < answers.size(); ++k) {
      CAPTURE(answers[k]);
      const Tensor expected = alone(fixture, answers[k]);
      CHECK(
          (outputs.select(1, static_cast<std::int64_t>(k)) - expected).abs().max().item<double>() <
          1e-4);
    }
  }
}

TEST_CASE("a BLIP-2 whose older file has no token for images is asked and answers the same") {
  for (const std::string name : {"blip2_opt", "blip2_t5"}) {
    CAPTURE(name);
    const test::TempDir dir;
    const data::Manifest manifest = write_questions(dir.path());
    const data::WordPiece none{{"[PAD]", "[UNK]", "[CLS]", "[SEP]"}};
    test::write_long_model(name, dir.path() / "new");
    test::write_long_model(name, dir.path() / "old");
    Json config = load_json(dir.path() / "old" / "config.json").root;
    REQUIRE(config.erase("image_token_index") == 1);
    write_file(dir.path() / "old" / "config.json", config.dump());
    const TaskPtr task = answer_generation();
    std::vector<Prediction> said[2];
    Tensor losses[2];
    for (const int old : {0, 1}) {
      const auto folder = dir.path() / (old ? "old" : "new");
      const models::Model model = peft::load_model(folder);
      CHECK(model.architecture().answers_in_words());
      const auto data =
          task->encode({0, 1, 2}, {manifest, model.blueprint(), none, false, nullptr,
                                   models::load_language(model.architecture(), folder)});
      const models::Batch batch = data->batch({0, 1, 2}, torch::kCPU);
      losses[old] = task->losses(model.run(batch), batch);
      task->evaluate(model, *data, nullptr, &said[old]);
    }
    CHECK((losses[0] - losses[1]).abs().max().item<double>() < 1e-5);
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(said[0][i].prediction == said[1][i].prediction);
      CHECK(said[0][i].log_probability == Approx(said[1][i].log_probability).epsilon(1e-5));
    }
  }
}

TEST_CASE("without a choice the answers are the most frequent ones, by their bytes") {
  Fixture fixture;
  const std::vector<std::string> first = {"so", "no", "b", "no", "a"};
  fixture.manifest.examples.resize(5, fixture.manifest.examples.front());
  for (std::size_t i = 0; i < 5; ++i) fixture.manifest.examples[i].answers = {first[i], "x"};
  const TaskPtr task = answer_generation();
  const auto data = task->encode({0, 1, 2, 3, 4}, fixture.source());
  const auto outputs = [&](const AnswerChoice& choice) {
    const models::Batch batch = data->outputs_batch({0}, torch::kCPU, choice);
    return task->outputs(fixture.model->run(batch), batch);
  };
  CHECK(outputs({{}, 3}).equal(outputs({{"no", "a", "b"}})));
  CHECK(outputs({}).equal(outputs({{"no", "a", "b", "so"}})));
  CHECK_THROWS_WITH(outputs({{"no", ""}}), Contains("answers: found an empty one"));
  CHECK_THROWS_WITH(outputs({{"no", "no"}}), "answers: \"no\" stands twice");
  CHECK_THROWS_WITH(outputs({{std::string(160, 'x')}}),
                    Contains("40.png") && Contains("the model reads at most 160"));
}

TEST_CASE("ranked is the likeliest answer of those whose first tokens are likeliest") {
  for (const auto write : kKinds) {
    Fixture fixture(write);
    CAPTURE(fixture.model->architecture().type());
    const std::vector<std::string> listed = {"no", "yes", "dark", "dark blue", "so", "12"};
    std::string lines;
    for (const std::string& answer : listed) lines += answer + "\n";
    AnsweringOptions options;
    options.method = Answering::kRank;
    options.answer_list = fixture.dir.write("answers.txt", lines);
    std::vector<Tensor> columns;
    const auto examples = fixture.manifest.examples;
    for (const std::string& answer : listed) columns.push_back(alone(fixture, answer));
    fixture.manifest.examples = examples;
    const Tensor all = torch::stack(columns, 1);
    const auto predictions = [&] {
      const TaskPtr task = answer_generation(options);
      std::vector<Prediction> found;
      const auto data = task->encode({0, 1, 2}, fixture.source());
      task->evaluate(*fixture.model, *data, nullptr, &found);
      return found;
    };
    const auto found = predictions();
    for (std::size_t i = 0; i < 3; ++i) {
      const Tensor own = all[static_cast<std::int64_t>(i)];
      CHECK(found[i].prediction ==
            std::vector<std::string>{
                listed[static_cast<std::size_t>(own.argmax().item<std::int64_t>())]});
      CHECK(found[i].log_probability == Approx(own.max().item<double>()).epsilon(1e-4));
    }
    // A list without a file is of the training answers: of the third example there is none.
    options.answer_list.clear();
    for (const Prediction& each : predictions())
      CHECK((each.prediction.front() == "no" || each.prediction.front() == "dark blue"));
    // Of one candidate the first token decides, which "dark" and "dark blue" share.
    options.answer_list = fixture.dir.write("answers.json", R"(["dark blue", "dark"])");
    options.candidates = 1;
    for (const Prediction& each : predictions()) CHECK(each.prediction.front() == "dark blue");
  }
}

TEST_CASE("of a list those answers are ranked whose first tokens are likeliest") {
  // Behind a prompt that ends with white space the first token is a letter.
  Fixture fixture;
  Source source = fixture.source();
  source.prompt = "<image>{question}\n";
  const TaskPtr unlisted = answer_generation();
  const auto plain = unlisted->encode({0}, source);
  const models::Batch batch = plain->batch({0}, torch::kCPU);
  const std::vector<std::string> letters = {"a", "b", "c", "d", "e", "f"};
  const models::Batch asked = plain->outputs_batch({0}, torch::kCPU, {letters});
  const Tensor likely =
      torch::log_softmax(fixture.model->run(asked).values.at(models::kTokenLogits), 1);
  // Of each letter the first of its two tokens, the second being the end.
  std::size_t best = 0;
  const auto first = [&](std::size_t k) {
    const auto row = static_cast<std::int64_t>(k);
    return likely[2 * row][asked.labels[0][row][0].item<std::int64_t>()].item<double>();
  };
  for (std::size_t k = 1; k < letters.size(); ++k)
    if (first(k) > first(best)) best = k;
  REQUIRE(best != 0);
  AnsweringOptions options;
  options.method = Answering::kRank;
  options.candidates = 1;
  std::string lines;
  for (const std::string& letter : letters) lines += letter + "\n";
  options.answer_list = fixture.dir.write("letters.txt", lines);
  const TaskPtr task = answer_generation(options);
  std::vector<Prediction> found;
  task->evaluate(*fixture.model, *task->encode({0}, source), nullptr, &found);
  CHECK(found.front().prediction == std::vector<std::string>{letters[best]});
}

TEST_CASE("closed questions are judged by which of yes and no is the likelier, too") {
  for (const auto write : kKinds) {
    Fixture fixture(write);
    CAPTURE(fixture.model->architecture().type());
    const auto examples = fixture.manifest.examples;
    const Tensor yes = alone(fixture, "yes"), no = alone(fixture, "no");
    fixture.manifest.examples = examples;
    const bool no_is_likelier = no[0].item<double>() > yes[0].item<double>();
    const TaskPtr task = answer_generation();
    const auto value = [&] {
      const auto data = task->encode({0, 1, 2}, fixture.source());
      return task->value("yes_no_accuracy", task->evaluate(*fixture.model, *data));
    };
    CHECK(value() == (no_is_likelier ? 1 : 0));
    fixture.manifest.examples[0].answers = {"yes"};
    CHECK(value() == (no_is_likelier ? 0 : 1));
    fixture.manifest.examples[0].answers = {"left"};  // a choice
    CHECK(std::isnan(value()));
    fixture.manifest.examples[1].answers = {"yes"};  // of an open question
    CHECK(std::isnan(value()));
  }
}

TEST_CASE("a list of answers that is none is refused") {
  const test::TempDir dir;
  const auto refused = [&](const std::string& name, const std::string& text) {
    AnsweringOptions options;
    options.answer_list = dir.write(name, text);
    return test::input_error([&] { answer_generation(options); });
  };
  CHECK_THAT(refused("a.txt", "yes\n\nno\n"), Contains("a.txt:2: the line is empty"));
  CHECK_THAT(refused("a.txt", ""), Contains("a.txt: there are no answers in it"));
  CHECK_THAT(refused("a.json", "[\"yes\", 3]"),
             Contains("a.json: answer 2") && Contains("found 3"));
  CHECK_THAT(refused("a.json", "{}"), Contains("a.json: a list of texts was expected"));
  CHECK(read_answer_list(dir.write("b.txt", "yes\r\nno\nyes\n")) ==
        std::vector<std::string>{"yes", "no"});
  AnsweringOptions rank;
  rank.method = Answering::kRank;
  CHECK_THROWS_WITH(choose_task("answer_classification", {}, rank),
                    Contains("answering") && Contains("answer_generation"));
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
                                                    "yes_no_accuracy", "token_recall", "token_f1"});
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
