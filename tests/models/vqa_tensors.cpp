#include "models/vqa_tensors.h"

#include "catch.h"
#include "data/image.h"
#include "models/transformer.h"
#include "strata/core/error.h"
#include "temp_dir.h"

using namespace strata;
using Catch::Matchers::Contains;

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

TransformerConfig make_config() {
  TransformerConfig config;
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

TEST_CASE("examples become tensors") {
  test::TempDir dir;
  const VqaTensors data(make_manifest(dir), {0, 1, 2}, make_config(), make_tokenizer());
  CHECK(data.size() == 3);
  CHECK(data.max_tokens() == 6);
  CHECK(data.closed() == std::vector<bool>{true, false, true});
  CHECK(data.label(1) == 2);  // "purple" is no label; "blue" is the first that is
  CHECK(data.accepts(1, 1));
  CHECK_FALSE(data.accepts(1, 0));

  const Batch one = data.batch({0}, torch::kCPU);
  CHECK(one.input_ids.size(1) == 4);  // [CLS] red ? [SEP]: no padding beyond the batch's longest
  const Batch batch = data.batch({0, 2}, torch::kCPU);
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
  const VqaTensors data(make_manifest(dir), {0, 1}, make_config(), make_tokenizer());
  const Batch plain = data.batch({0, 1, 0, 1}, torch::kCPU);
  const Batch flipped = data.batch({0, 1, 0, 1}, torch::kCPU, {1, 2, 2, 3});
  CHECK(torch::equal(flipped.pixels[0], plain.pixels[0].flip({2})));
  CHECK(torch::equal(flipped.pixels[1], plain.pixels[1].flip({1})));
  CHECK(torch::equal(flipped.pixels[2], plain.pixels[2]));  // constant from top to bottom
  CHECK(torch::equal(flipped.pixels[3], plain.pixels[3].flip({1, 2})));
  CHECK_FALSE(torch::equal(flipped.pixels[0], plain.pixels[0]));
  CHECK(torch::equal(data.batch({0, 1, 0, 1}, torch::kCPU).pixels, plain.pixels));
}

TEST_CASE("an answer outside the labels names the example and the nearest label") {
  test::TempDir dir;
  const Manifest manifest = make_manifest(dir);
  CHECK_THROWS_WITH(VqaTensors(manifest, {3}, make_config(), make_tokenizer()),
                    Contains("down.png") && Contains("\"red ?\"") && Contains("\"bleu\"") &&
                        Contains("did you mean \"blue\"?"));
  CHECK_THROWS_AS(VqaTensors(manifest, {3}, make_config(), make_tokenizer()), InputError);
}

TEST_CASE(
    "examples without a label are left out of training and kept, without a target, in tests") {
  test::TempDir dir;
  Manifest manifest = make_manifest(dir);
  const auto tensors = [&](const std::vector<int>& indices) {
    return VqaTensors(manifest, indices, make_config(), make_tokenizer(), true);
  };
  const VqaTensors train = tensors({3, 0, 3, 1});
  CHECK(train.size() == 2);
  CHECK(train.unseen() == 2);
  CHECK(train.asked() == 4);
  CHECK(train.closed() == std::vector<bool>{true, false});
  CHECK(train.label(0) == 0);
  CHECK(train.label(1) == 2);
  CHECK(torch::equal(train.batch({0, 1}, torch::kCPU).pixels,
                     tensors({0, 1}).batch({0, 1}, torch::kCPU).pixels));

  CHECK_THROWS_WITH(tensors({3, 3}),
                    Contains("no training example is left, as none of 2 has an answer among the "
                             "model's 3 labels (data.unseen_answers: drop)"));

  manifest.examples[3].split = "test";
  const VqaTensors kept = tensors({3, 0});
  CHECK(kept.size() == 2);
  CHECK(kept.unseen() == 1);
  CHECK(kept.label(0) == kNoTarget);
  for (std::int64_t label = 0; label < 3; ++label) CHECK_FALSE(kept.accepts(0, label));
  CHECK(torch::equal(kept.batch({0, 1}, torch::kCPU).labels,
                     torch::tensor({kNoTarget, std::int64_t{0}}, torch::kInt64)));
  CHECK(tensors({}).size() == 0);
}

TEST_CASE("a ViT's batches have no text, and its folder no vocabulary") {
  test::TempDir dir;
  TransformerConfig config = make_config();
  config.model_type = "vit";
  const WordPiece tokenizer = make_tokenizer();
  const VqaTensors data(make_manifest(dir), {0, 1, 2}, config, tokenizer);
  CHECK(data.max_tokens() == 0);
  const Batch batch = data.batch({2, 0}, torch::kCPU);
  CHECK_FALSE(batch.input_ids.defined());
  CHECK_FALSE(batch.attention_mask.defined());
  CHECK(batch.size() == 2);
  CHECK(torch::equal(batch.labels, torch::tensor({1, 0}, torch::kInt64)));

  write_transformer_config(config, dir / "config.json");
  save_tokenizer(tokenizer, config, dir.path());
  CHECK_FALSE(std::filesystem::exists(dir / "vocab.txt"));
  CHECK_THAT(test::slurp(dir / "preprocessor_config.json"), Contains("ViTImageProcessor"));
  CHECK(load_tokenizer(dir.path()).vocabulary().size() == 4);
}

TEST_CASE("a model folder's tokenizer is written and read") {
  test::TempDir dir;
  const WordPiece cased({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "Red", "red"}, false);
  save_tokenizer(cased, make_config(), dir.path());
  const WordPiece back = load_tokenizer(dir.path());
  CHECK(back.vocabulary() == cased.vocabulary());
  CHECK_FALSE(back.lower_case());
  CHECK(back.encode("Red", 6) == std::vector<std::int64_t>{2, 4, 3});
  CHECK_THAT(test::slurp(dir / "preprocessor_config.json"), Contains("ViltImageProcessor"));

  // A token without a row in the model's table would be an index out of range.
  TransformerConfig config = make_config();
  config.vocab_size = 5;
  Transformer(config, 1).save(dir.path());
  CHECK_THROWS_WITH(load_tokenizer(dir.path()),
                    Contains("vocab.txt: 6 tokens, but the model has 5 (vocab_size"));
  CHECK_THROWS_AS(load_tokenizer(dir.path()), InputError);
}
