#include "tasks/dataset.h"
#include <cmath>
#include <numeric>

#include "catch.h"
#include "core/document.h"
#include "data/image.h"
#include "models/tokenizer_files.h"
#include "strata/core/error.h"
#include "support/answers.h"
#include "support/speaking.h"
#include "support/tiny_model.h"
#include "tasks/answer_classification.h"
#include "tasks/answer_generation.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::models;
using Catch::Matchers::Contains;
using strata::tasks::kNoTarget;

namespace {

/// Two 4×4 images: a horizontal and a vertical ramp, and four questions.
Manifest make_manifest(const test::TempDir& dir) {
  Image across{4, 4, {}}, down{4, 4, {}};
  for (int y = 0; y < 4; ++y) {
    for (int x = 0; x < 4; ++x) {
      for (int channel = 0; channel < 3; ++channel) {
        across.pixels.push_back(static_cast<std::uint8_t>(60 * x + channel));
        down.pixels.push_back(static_cast<std::uint8_t>(60 * y + channel));
      }
    }
  }
  write_png(across, dir / "across.png");
  write_png(down, dir / "down.png");
  Manifest manifest;
  manifest.folder = dir.path();
  manifest.examples = {
      {"across.png", "red ?", {"yes"}, "train", "a", "closed", ""},
      {"down.png", "what is red ?", {"purple", "blue", "no"}, "train", "a", "open", ""},
      {"across.png", "is red red red ?", {"no"}, "train", "a", "closed", ""},
      {"down.png", "red ?", {"bleu"}, "train", "a", "open", ""}};
  return manifest;
}

test::ModelShape make_config() {
  test::ModelShape config;
  config.image_size = 4;
  config.patch_size = 2;
  config.max_position_embeddings = 6;
  config.labels = {"yes", "no", "blue"};
  return config;
}

WordPiece make_tokenizer() {
  return WordPiece({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "what", "is", "red", "?"});
}

}  // namespace

namespace {

/// Images, questions and answers of tests/reference/vlm_tiles.py with the model that reads them.
struct Tiles {
  Tiles() {
    const Json asked = load_json(folder / "asked.json").root;
    manifest.folder = test::kSpeaking.parent_path() / "vilt_sizes" / "images";
    for (std::size_t i = 0; i < 3; ++i) {
      manifest.examples.push_back({asked["images"][i],
                                   asked["questions"][i],
                                   {asked["answers"][i].get<std::string>().substr(1)},
                                   kTrainSplit,
                                   "a",
                                   kOpenQuestion,
                                   ""});
    }
    language = load_language(model.architecture(), folder);
  }
  tasks::Source source() const {
    return {manifest, model.blueprint(), none, false, nullptr, language};
  }

  const std::filesystem::path folder = test::kSpeaking / "smolvlm_tiles";
  const Model model = test::load_speaking("smolvlm_tiles");
  const test::Recorded recorded = test::recorded_speaking("smolvlm_tiles");
  Manifest manifest;
  std::shared_ptr<const Tokenizer> language;
  WordPiece none{{"[PAD]", "[UNK]", "[CLS]", "[SEP]"}};
};

/// Of each row the tokens that are no padding.
std::vector<torch::Tensor> texts(const torch::Tensor& ids, const torch::Tensor& mask) {
  std::vector<torch::Tensor> rows;
  for (std::int64_t i = 0; i < ids.size(0); ++i) rows.push_back(ids[i].masked_select(mask[i] > 0));
  return rows;
}

}  // namespace

TEST_CASE_METHOD(Tiles, "images in tiles and their texts are what transformers' processor makes") {
  const auto data = tasks::answer_generation()->encode({0, 1, 2}, source());
  const Batch batch = data->batch({0, 1, 2}, torch::kCPU);
  const torch::Tensor pixels = recorded("pixels");
  REQUIRE(batch.pixels.sizes() == pixels.sizes());
  const std::vector<std::int64_t> tiles = {5, 3, 3};
  for (std::int64_t i = 0; i < 3; ++i) {
    const std::int64_t own = tiles[static_cast<std::size_t>(i)];
    CAPTURE(i);
    CHECK((batch.pixels[i] - pixels[i]).narrow(0, 0, own).abs().max().item<double>() < 1e-6);
    CHECK(pixels[i].narrow(0, own, 5 - own).abs().sum().item<double>() == 0);  // padding
  }
  CHECK_FALSE(batch.grids.defined());
  const auto found = texts(batch.input_ids, batch.attention_mask),
             expected = texts(recorded("right.input_ids"), recorded("right.attention_mask"));
  for (std::size_t i = 0; i < 3; ++i) CHECK(torch::equal(found[i], expected[i]));
  CHECK(torch::equal(batch.answers, recorded("right.labels") != -100));
  const double loss = tasks::answer_generation()
                          ->losses(model.run(batch), batch)
                          .sub(recorded("right.nll"))
                          .abs()
                          .max()
                          .item<double>();
  CHECK(loss < 1e-4);
}

TEST_CASE_METHOD(Tiles, "an image is mirrored before it is cut into tiles") {
  const auto data = tasks::answer_generation()->encode({0, 1}, source());
  const auto of = [&](std::int64_t row, int flips) {
    return data->batch({row}, torch::kCPU, {{.flips = flips}}).pixels[0];
  };
  const torch::Tensor two = of(0, 0), one = of(1, 0);
  // 2 x 2 tiles and the whole; of 1 x 2 the columns change places alone.
  CHECK(torch::equal(of(0, 1), two.index_select(0, torch::tensor({1, 0, 3, 2, 4})).flip({3})));
  CHECK(torch::equal(of(0, 2), two.index_select(0, torch::tensor({2, 3, 0, 1, 4})).flip({2})));
  CHECK(torch::equal(of(1, 1), one.index_select(0, torch::tensor({1, 0, 2})).flip({3})));
  CHECK(torch::equal(of(1, 2), one.flip({2})));
}

TEST_CASE_METHOD(Tiles, "a classifier's text has the tokens of its image's tiles, too") {
  Model classifier = model;
  classifier.relabel({"a bag", "two"}, 1);
  const tasks::Source labelled{manifest, classifier.blueprint(), none, false, nullptr, language};
  manifest.examples.resize(2);
  const auto data = tasks::answer_classification()->encode({0, 1}, labelled);
  const Batch batch = data->batch({0, 1}, torch::kCPU);
  const auto found = texts(batch.input_ids, batch.attention_mask),
             expected =
                 texts(recorded("generation.input_ids"), recorded("generation.attention_mask"));
  for (std::size_t i = 0; i < 2; ++i) CHECK(torch::equal(found[i], expected[i]));
  CHECK(classifier.forward(batch).sizes() == std::vector<std::int64_t>{2, 2});
}

TEST_CASE("examples become tensors") {
  test::TempDir dir;
  const test::Answers data =
      test::answers(make_manifest(dir), {0, 1, 2}, make_config(), make_tokenizer());
  CHECK(data->size() == 3);
  CHECK(data->max_tokens() == 6);
  CHECK(data->row(0).closed);
  CHECK_FALSE(data->row(1).closed);
  CHECK(data->label(1) == 2);  // "purple" is no label; "blue" is the first that is
  CHECK(data->accepts(1, {1}));
  CHECK_FALSE(data->accepts(1, {0}));

  const Batch one = data->batch({0}, torch::kCPU);
  CHECK(one.input_ids.size(1) == 4);  // [CLS] red ? [SEP]: no padding beyond the batch's longest
  const Batch batch = data->batch({0, 2}, torch::kCPU);
  CHECK(torch::equal(batch.input_ids,
                     torch::tensor({{2, 6, 7, 3, 0, 0}, {2, 5, 6, 6, 6, 3}}, torch::kInt64)));
  CHECK(torch::equal(batch.attention_mask,
                     torch::tensor({{1, 1, 1, 1, 0, 0}, {1, 1, 1, 1, 1, 1}}, torch::kFloat)));
  CHECK(torch::equal(batch.labels, torch::tensor({0, 1}, torch::kInt64)));
  CHECK(batch.pixels.sizes() == torch::IntArrayRef({2, 3, 4, 4}));
  CHECK(batch.pixels[0][1][2][3].item<float>() == Approx(2 * 181 / 255.0 - 1));
}

TEST_CASE("flips mirror the row's image alone") {
  test::TempDir dir;
  const test::Answers data =
      test::answers(make_manifest(dir), {0, 1}, make_config(), make_tokenizer());
  const Batch plain = data->batch({0, 1, 0, 1}, torch::kCPU);
  const Batch flipped = data->batch({0, 1, 0, 1}, torch::kCPU, {{1}, {2}, {2}, {3}});
  CHECK(torch::equal(flipped.pixels[0], plain.pixels[0].flip({2})));
  CHECK(torch::equal(flipped.pixels[1], plain.pixels[1].flip({1})));
  CHECK(torch::equal(flipped.pixels[2], plain.pixels[2]));  // constant from top to bottom
  CHECK(torch::equal(flipped.pixels[3], plain.pixels[3].flip({1, 2})));
  CHECK_FALSE(torch::equal(flipped.pixels[0], plain.pixels[0]));
  CHECK(torch::equal(data->batch({0, 1, 0, 1}, torch::kCPU).pixels, plain.pixels));
}

TEST_CASE("an answer outside the labels names the example and the nearest label") {
  test::TempDir dir;
  const Manifest manifest = make_manifest(dir);
  CHECK_THROWS_WITH(test::answers(manifest, {3}, make_config(), make_tokenizer()),
                    Contains("down.png") && Contains("\"red ?\"") && Contains("\"bleu\"") &&
                        Contains("did you mean \"blue\"?"));
  CHECK_THROWS_AS(test::answers(manifest, {3}, make_config(), make_tokenizer()), InputError);
}

TEST_CASE(
    "examples without a label are left out of training and kept, without a target, in tests") {
  test::TempDir dir;
  Manifest manifest = make_manifest(dir);
  const auto tensors = [&](const std::vector<int>& indices) {
    return test::answers(manifest, indices, make_config(), make_tokenizer(), true);
  };
  const test::Answers train = tensors({3, 0, 3, 1});
  CHECK(train->size() == 2);
  CHECK(train->unseen() == 2);
  CHECK(train->asked() == 4);
  CHECK(train->row(0).closed);
  CHECK_FALSE(train->row(1).closed);
  CHECK(train->label(0) == 0);
  CHECK(train->label(1) == 2);
  CHECK(torch::equal(train->batch({0, 1}, torch::kCPU).pixels,
                     tensors({0, 1})->batch({0, 1}, torch::kCPU).pixels));

  CHECK_THROWS_WITH(tensors({3, 3}),
                    Contains("no training example is left, as none of 2 has an answer among the "
                             "model's 3 labels (data.unseen_answers: drop)"));

  manifest.examples[3].split = "test";
  const test::Answers kept = tensors({3, 0});
  CHECK(kept->size() == 2);
  CHECK(kept->unseen() == 1);
  CHECK(kept->label(0) == kNoTarget);
  for (std::int64_t label = 0; label < 3; ++label) CHECK_FALSE(kept->accepts(0, {label}));
  CHECK(torch::equal(kept->batch({0, 1}, torch::kCPU).labels,
                     torch::tensor({kNoTarget, std::int64_t{0}}, torch::kInt64)));
  CHECK(tensors({})->size() == 0);
}

TEST_CASE("a ViT's batches have no text, and its folder no vocabulary") {
  test::TempDir dir;
  test::ModelShape config = make_config();
  config.model_type = "vit";
  const WordPiece tokenizer = make_tokenizer();
  const test::Answers data = test::answers(make_manifest(dir), {0, 1, 2}, config, tokenizer);
  CHECK(data->max_tokens() == 0);
  const Batch batch = data->batch({2, 0}, torch::kCPU);
  CHECK_FALSE(batch.input_ids.defined());
  CHECK_FALSE(batch.attention_mask.defined());
  CHECK(batch.size() == 2);
  CHECK(torch::equal(batch.labels, torch::tensor({1, 0}, torch::kInt64)));

  dir.write("config.json", config.config_json());
  save_tokenizer(tokenizer, *config.architecture(), dir.path());
  CHECK_FALSE(std::filesystem::exists(dir / "vocab.txt"));
  CHECK(load_tokenizer(dir.path()).vocabulary().size() == 4);
}

TEST_CASE("a model folder's tokenizer is written and read") {
  test::TempDir dir;
  const WordPiece cased({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "Red", "red"}, {false});
  save_tokenizer(cased, *make_config().architecture(), dir.path());
  const WordPiece back = load_tokenizer(dir.path());
  CHECK(back.vocabulary() == cased.vocabulary());
  CHECK_FALSE(back.options().lower_case);
  CHECK(back.encode("Red", 6) == std::vector<std::int64_t>{2, 4, 3});

  // A token without a row in the model's table would be an index out of range.
  test::ModelShape config = make_config();
  config.vocab_size = 5;
  peft::save_model(test::make_model(config, 1), dir.path());
  CHECK_THROWS_WITH(load_tokenizer(dir.path()),
                    Contains("vocab.txt: 6 tokens, but the model has 5 (vocab_size"));
  CHECK_THROWS_AS(load_tokenizer(dir.path()), InputError);
}

namespace {

/// The recorded data set and model of tests/reference/vilt_sizes.py.
struct Recorded {
  std::filesystem::path folder =
      std::filesystem::path(STRATA_SOURCE_DIR) / "tests/reference/vilt_sizes";
  Json record = load_json(folder / "recorded.json").root;
  Manifest manifest = load_data(folder);
  Model model = peft::load_model(folder);
  WordPiece tokenizer = load_tokenizer(folder);

  test::Answers tests(const std::string& client = "") const {
    std::vector<int> indices;
    for (std::size_t i = 0; i < manifest.examples.size(); ++i) {
      const Example& example = manifest.examples[i];
      if (example.split == "test" && (client.empty() || example.client == client))
        indices.push_back(static_cast<int>(i));
    }
    return test::answers(manifest, indices, model.blueprint(), tokenizer);
  }
};

torch::Tensor as_tensor(const Json& rows) {
  std::vector<float> values;
  for (const Json& row : rows)
    for (const Json& value : row) values.push_back(value.get<float>());
  return torch::tensor(values).view({static_cast<std::int64_t>(rows.size()), -1});
}

double largest_difference(const torch::Tensor& a, const torch::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

std::vector<std::int64_t> every_row(const test::Answers& data) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(data->size()));
  std::iota(rows.begin(), rows.end(), std::int64_t{0});
  return rows;
}

}  // namespace

TEST_CASE("images of nine shapes in one batch give the pixels, grids and logits of transformers") {
  const Recorded recorded;
  const test::Answers data = recorded.tests();
  const Batch batch = data->batch(every_row(data), torch::kCPU);
  REQUIRE(batch.size() == 9);
  CHECK(batch.pixels.sizes() == torch::IntArrayRef({9, 3, 48, 48}));
  for (std::int64_t i = 0; i < 9; ++i) {
    const Json& grid = recorded.record["grids"][static_cast<std::size_t>(i)];
    CHECK(batch.grids[i][0].item<int>() == grid[0]);
    CHECK(batch.grids[i][1].item<int>() == grid[1]);
  }
  std::int64_t row = 0;
  for (const auto& [image, pixels] : recorded.record["pixels"].items()) {
    INFO(image);
    const torch::Tensor found = batch.pixels[row]
                                    .narrow(1, 0, 8 * batch.grids[row][0].item<std::int64_t>())
                                    .narrow(2, 0, 8 * batch.grids[row][1].item<std::int64_t>())
                                    .reshape({1, -1});
    CHECK(largest_difference(found, as_tensor(Json::array({pixels}))) < 1e-6);
    ++row;
  }
  CHECK(row == 5);
  CHECK(largest_difference(recorded.model.forward(batch), as_tensor(recorded.record["logits"])) <
        2e-6);
}

TEST_CASE(
    "padding an image changes nothing: a batch of several sizes is each of its images alone") {
  const Recorded recorded;
  const test::Answers data = recorded.tests();
  Model model = recorded.model;
  test::PeftShape peft;
  peft.prompt_length = 2;
  peft.adapter_reduction = 4;
  const bool with_peft = GENERATE(false, true);
  if (with_peft) test::add_peft(model, peft, 3);
  Batch batch = data->batch(every_row(data), torch::kCPU);
  const torch::Tensor together = model.forward(batch);
  const torch::Tensor alone = as_tensor(recorded.record["logits_alone"]);
  for (std::int64_t row = 0; row < data->size(); ++row) {
    INFO(row);
    const torch::Tensor one = model.forward(data->batch({row}, torch::kCPU))[0];
    CHECK(largest_difference(one, together[row]) < 2e-6);
    if (!with_peft) CHECK(largest_difference(one, alone[row]) < 2e-6);
  }
  // Whatever stands beside an image is never read.
  for (std::int64_t row = 0; row < data->size(); ++row) {
    const auto rows = 8 * batch.grids[row][0].item<std::int64_t>();
    const auto columns = 8 * batch.grids[row][1].item<std::int64_t>();
    batch.pixels[row].narrow(1, rows, 48 - rows).fill_(NAN);
    batch.pixels[row].narrow(2, columns, 48 - columns).fill_(NAN);
  }
  CHECK(torch::equal(model.forward(batch), together));
}

TEST_CASE("square images give the same batch as ever, flips stay within an image's own part") {
  const Recorded recorded;
  const test::Answers data = recorded.tests();
  CHECK_FALSE(data->batch({2, 6}, torch::kCPU).grids.defined());
  const Batch plain = data->batch({0, 1}, torch::kCPU);
  const Batch flipped = data->batch({0, 1}, torch::kCPU, {{1}, {2}});
  CHECK(torch::equal(plain.grids, torch::tensor({{4, 6}, {6, 4}}, torch::kInt64)));
  CHECK(torch::equal(flipped.grids, plain.grids));
  CHECK(
      torch::equal(flipped.pixels[0].narrow(1, 0, 32), plain.pixels[0].narrow(1, 0, 32).flip({2})));
  CHECK(
      torch::equal(flipped.pixels[1].narrow(2, 0, 32), plain.pixels[1].narrow(2, 0, 32).flip({1})));
  // The square ones of a mixed batch are what they are in a batch of squares.
  const torch::Tensor mixed = recorded.model.forward(data->batch({2, 0, 6}, torch::kCPU));
  const torch::Tensor square = recorded.model.forward(data->batch({2, 6}, torch::kCPU));
  CHECK(largest_difference(mixed.index_select(0, torch::tensor({0, 2})), square) < 2e-6);
}

TEST_CASE("captured operations give the gradients of a batch of several sizes") {
  const Recorded recorded;
  const test::Answers data = recorded.tests();
  Model model = recorded.model.clone();
  for (const auto& [name, tensor] : model.weights())
    model.weight(name) = tensor.detach().to(torch::kDouble);
  std::vector<std::string> units;
  std::set<std::string> names;
  for (const Unit& unit : model.units()) units.push_back(unit.name);
  for (const auto& [name, tensor] : model.weights()) names.insert(name);
  model.train_only(units);
  const Batch batch = data->batch(every_row(data), torch::kCPU);
  torch::cross_entropy_loss(model.forward(batch), batch.labels).backward();
  const std::string name = "vilt.embeddings.position_embeddings";
  const torch::Tensor expected = model.weight(name).grad().squeeze(0);

  std::vector<State> inputs(1);
  for (std::int64_t stage = 0; stage + 1 < model.stage_count(); ++stage) {
    const State state = model.run_stage(stage, batch, inputs.back());
    inputs.push_back(test::with_value(state, test::only(state).detach()));
  }
  torch::Tensor slope;
  for (std::int64_t stage = model.stage_count(); stage-- > 0;) {
    std::vector<CapturedOp> ops;
    const State& state = inputs[static_cast<std::size_t>(stage)];
    const torch::Tensor input = test::only(state);
    if (stage > 0) input.requires_grad_(true);
    const torch::Tensor output = test::only(model.capture_stage(stage, batch, state, names, ops));
    if (!slope.defined()) {
      const torch::Tensor loss = torch::cross_entropy_loss(output, batch.labels);
      slope = torch::autograd::grad({loss}, {output}, {}, true)[0];
    }
    if (stage > 0) {
      slope = torch::autograd::grad({output}, {input}, {slope})[0];
      continue;
    }
    const auto op = std::find_if(ops.begin(), ops.end(),
                                 [&](const CapturedOp& of) { return of.weight == name; });
    REQUIRE(op != ops.end());
    REQUIRE(op->kind == CapturedOp::Kind::kMixture);
    CHECK(op->input.sizes() == torch::IntArrayRef({9, 25, 17}));
    const torch::Tensor delta = torch::autograd::grad({output}, {op->output}, {slope})[0];
    const torch::Tensor found =
        op->input.reshape({-1, 17}).t().mm(delta.reshape({-1, delta.size(-1)}));
    CHECK(largest_difference(found, expected) < 1e-10);
    CHECK(expected.abs().max().item<double>() > 1e-4);
  }
}

TEST_CASE("an image that the model cannot read is named") {
  test::TempDir dir;
  Manifest manifest = make_manifest(dir);
  write_png(Image{64, 3, std::vector<std::uint8_t>(64 * 3 * 3)}, dir / "across.png");
  test::ModelShape config = make_config();
  CHECK_THROWS_WITH(test::answers(manifest, {0, 1}, config, make_tokenizer()),
                    Contains("across.png: an image of 64 x 3 pixels becomes one of 6 x 0"));
  config.model_type = "vit";
  CHECK_NOTHROW(test::answers(manifest, {0, 1}, config, make_tokenizer()));
  ImageProcessor processor = config.image_processor();
  processor.resize = ImageProcessor::Resize::kShortestEdge;
  processor.shortest_edge = 4;
  config.images = processor;
  CHECK_THROWS_WITH(test::answers(manifest, {0, 1}, config, make_tokenizer()),
                    Contains("across.png: an image of 64 x 3 pixels becomes one of 85 x 4 pixels, "
                             "but the model reads images of 4 x 4 only"));
  config.model_type = "vilt";
  config.images.reset();
  config.max_image_length = 4;
  write_png(Image{6, 4, std::vector<std::uint8_t>(6 * 4 * 3)}, dir / "across.png");
  CHECK_THROWS_WITH(test::answers(manifest, {0, 1}, config, make_tokenizer()),
                    Contains("across.png: an image of 6 x 4 pixels becomes one of 6 x 4 pixels, "
                             "whose 6 patches are more than max_image_length = 4"));
}
