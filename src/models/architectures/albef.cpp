#include "models/architectures/albef.h"

#include <algorithm>

#include "models/architectures/bert.h"
#include "models/architectures/classifier_head.h"
#include "models/architectures/config_limits.h"
#include "models/architectures/patch_tokens.h"
#include "models/batch.h"
#include "models/pass.h"
#include "strata/core/error.h"

namespace strata::models {
namespace {

using torch::Tensor;

constexpr const char* kImageStates = "image";
constexpr const char* kQuestionStates = "question";
constexpr const char* kAnswerRows = "answer";
constexpr const char* kQuestionMask = "question_mask";
constexpr const char* kAnswerMask = "answer_mask";
constexpr const char* kSampleOfAnswer = "sample_of_answer";
constexpr double kVisionEps = 1e-6;  // of the authors' VisionTransformer, whatever the texts'
const std::string kVisualEncoder = "visual_encoder.";
const std::string kPredictions = "text_decoder.cls.predictions";
const std::string kClassifierHead = "cls_head.";

struct AlbefConfig {
  std::int64_t image_res = 384, patch_size = 16;
  std::int64_t vision_width = 768, vision_layers = 12, vision_heads = 12, mlp_ratio = 4;
  BertConfig encoder, decoder;
  std::vector<std::string> labels;  ///< of a classifier; none of one that answers in words
  std::int64_t cls_token = 101, sep_token = 102;  ///< of bert-base-uncased
  Json json;                                      ///< config.json as it was read

  std::int64_t grid() const { return image_res / patch_size; }
  std::int64_t image_tokens() const { return grid() * grid() + 1; }
};

class Albef : public Architecture {
 public:
  explicit Albef(AlbefConfig config)
      : config_(std::move(config)),
        encoder_(config_.encoder, "text_encoder."),
        decoder_(config_.decoder, "text_decoder.bert.", /*goes_on=*/true) {
    labels_ = config_.labels;
    declare();
  }

  const std::string& type() const override { return kAlbefType; }
  State run(std::int64_t stage, const Batch& batch, const State& input, Pass& pass) const override;
  Batch example(std::int64_t text_tokens) const override;
  Json config() const override { return config_.json; }
  ImageModel image_model() const override {
    return {ImageSizes::kOne, static_cast<int>(config_.image_res),
            static_cast<int>(config_.patch_size), "Blip"};
  }
  std::int64_t text_tokens() const override { return config_.encoder.max_position_embeddings; }
  std::int64_t vocabulary_size() const override { return config_.encoder.vocab_size; }
  bool keeps_file_names() const override { return true; }
  std::shared_ptr<const Architecture> with(std::vector<std::string> labels,
                                           std::int64_t) const override {
    AlbefConfig changed = config_;
    changed.json = with_classes(std::move(changed.json), labels);
    changed.labels = std::move(labels);
    return std::make_shared<Albef>(std::move(changed));
  }
  std::optional<Speech> speech() const override;

 private:
  void declare();
  void declare_vision(LayerList& list) const;
  void declare_decoder(LayerList& list) const;
  void declare_classifier(LayerList& list) const;
  void declare_head(LayerList& list) const;
  std::string vision_block(std::int64_t block) const {
    return kVisualEncoder + "blocks." + std::to_string(block);
  }

  Tensor embed_image(const Batch& batch, Pass& pass) const;
  Tensor run_vision_block(std::int64_t block, const Tensor& rows, Pass& pass) const;
  State run_question(const Batch& batch, const State& input, Pass& pass) const;
  State run_question_block(std::int64_t block, const State& input, Pass& pass) const;
  State run_answer(const Batch& batch, const State& input, Pass& pass) const;
  State run_answer_block(std::int64_t block, const State& input, Pass& pass) const;
  State run_head(const Batch& batch, const State& input, Pass& pass) const;
  State run_classifier(const Batch& batch, const State& input, Pass& pass) const;

  AlbefConfig config_;
  Bert encoder_, decoder_;
};

void Albef::declare() {
  LayerList list(stages_, layers_);
  declare_vision(list);
  list.begin_stage({"embeddings", Role::kEmbeddings});
  list.add_norm(kVisualEncoder + "norm", config_.vision_width);
  encoder_.declare_words(list);
  encoder_.declare_embeddings(list);
  list.add_place("text_encoder.embeddings", LayerKind::kSequence, config_.encoder.hidden_size);
  for (std::int64_t block = 0; block < config_.encoder.num_hidden_layers; ++block) {
    list.begin_stage({"block." + std::to_string(block), Role::kBody});
    encoder_.declare_block(block, list);
  }
  if (labels_.empty())
    declare_decoder(list);
  else
    declare_classifier(list);
}

void Albef::declare_decoder(LayerList& list) const {
  list.begin_stage({"decoder.embeddings", Role::kEmbeddings});
  Layer& words = decoder_.declare_words(list);
  words.frozen = true;  // the head computes with it, too
  words.aliases.push_back(kPredictions + ".decoder");
  decoder_.declare_embeddings(list);
  for (std::int64_t block = 0; block < config_.decoder.num_hidden_layers; ++block) {
    list.begin_stage({"decoder.block." + std::to_string(block), Role::kBody, kDecoderGroup});
    decoder_.declare_block(block, list);
  }
  list.begin_stage({"head", Role::kOutput});
  declare_head(list);
}

void Albef::declare_vision(LayerList& list) const {
  const std::int64_t width = config_.vision_width, inner = config_.mlp_ratio * width;
  const Init init{Init::Kind::kNormal, config_.encoder.initializer_range};
  list.begin_stage({"vision.embeddings", Role::kVision});
  list.add_tokens(kVisualEncoder + "cls_token", {1, 1, width}, init);
  list.add_tokens(kVisualEncoder + "pos_embed", {1, config_.image_tokens(), width}, init);
  list.add_patches(kVisualEncoder + "patch_embed.proj", width, 3, config_.patch_size, init);
  for (std::int64_t block = 0; block < config_.vision_layers; ++block) {
    // A body, as in the experiments with adapters behind all blocks of ALBEF (FedDAT, F3OCUS).
    list.begin_stage({"vision.block." + std::to_string(block), Role::kBody, "vision."});
    const std::string name = vision_block(block);
    list.add_norm(name + ".norm1", width);
    list.add_linear(name + ".attn.qkv", 3 * width, width, init).part = Part::kAttention;
    list.add_linear(name + ".attn.proj", width, width, init).part = Part::kAttention;
    list.add_norm(name + ".norm2", width);
    list.add_linear(name + ".mlp.fc1", inner, width, init);
    list.add_linear(name + ".mlp.fc2", width, inner, init);
    list.add_place(name, LayerKind::kBlock, width);
  }
}

void Albef::declare_head(LayerList& list) const {
  const std::int64_t hidden = config_.decoder.hidden_size, words = config_.decoder.vocab_size;
  list.add_linear(kPredictions + ".transform.dense", hidden, hidden,
                  {Init::Kind::kNormal, config_.decoder.initializer_range});
  list.add_norm(kPredictions + ".transform.LayerNorm", hidden);
  // The weight is the table of words.
  Layer& bias = list.add_tokens(kPredictions + ".bias", {words}, {});
  bias.parameters.front().bias = true;
  bias.aliases.push_back(kPredictions + ".decoder.bias");
}

/// That of the authors' model for visual entailment.
void Albef::declare_classifier(LayerList& list) const {
  const std::int64_t hidden = config_.encoder.hidden_size;
  const Init init{Init::Kind::kNormal, config_.encoder.initializer_range};
  list.begin_stage({"head", Role::kHead});
  list.add_linear(kClassifierHead + "0", hidden, hidden, init);
  list.add_linear(kClassifierHead + "2", static_cast<std::int64_t>(labels_.size()), hidden, init);
}

/// As the authors' program has it: a question begins with [CLS] and has no [SEP], an answer has
/// both.
std::optional<Speech> Albef::speech() const {
  if (!labels_.empty()) return std::nullopt;
  return Speech{.end_token = config_.sep_token,
                .prompt = "[CLS]{question}",
                .special_tokens = false,
                .words_stage = config_.vision_layers + 1 + config_.encoder.num_hidden_layers + 1,
                .decoder_start = config_.cls_token,
                .plain_questions = true};
}

Batch Albef::example(std::int64_t text_tokens) const {
  constexpr std::int64_t kAnswer = 10;  // LAVIS's longest answer
  const std::int64_t side = config_.image_res;
  const std::int64_t answer = std::min(kAnswer, config_.decoder.max_position_embeddings);
  Batch batch{torch::zeros({1, text_tokens}, torch::kInt64), torch::ones({1, text_tokens}),
              torch::zeros({1, 3, side, side}), Tensor()};
  if (!labels_.empty()) return batch;
  batch.decoder_ids = torch::zeros({1, answer}, torch::kInt64);
  const Tensor places = torch::arange(std::max<std::int64_t>(1, answer - 1), torch::kInt64);
  batch.outputs = torch::stack({torch::zeros_like(places), places}, 1);
  return batch;
}

State Albef::run(std::int64_t stage, const Batch& batch, const State& input, Pass& pass) const {
  const std::int64_t question = config_.vision_layers + 1;
  const std::int64_t answer = question + config_.encoder.num_hidden_layers + 1;
  const std::int64_t head = answer + config_.decoder.num_hidden_layers + 1;
  if (stage == 0) return {{{kImageStates, embed_image(batch, pass)}}, {}};
  if (stage < question) {
    return {{{kImageStates, run_vision_block(stage - 1, input.values.at(kImageStates), pass)}}, {}};
  }
  if (stage == question) return run_question(batch, input, pass);
  if (stage < answer) return run_question_block(stage - question - 1, input, pass);
  if (!labels_.empty()) return run_classifier(batch, input, pass);
  if (stage == answer) return run_answer(batch, input, pass);
  if (stage < head) return run_answer_block(stage - answer - 1, input, pass);
  return run_head(batch, input, pass);
}

Tensor Albef::embed_image(const Batch& batch, Pass& pass) const {
  const std::int64_t n = batch.size(), width = config_.vision_width;
  const std::string token = kVisualEncoder + "cls_token", positions = kVisualEncoder + "pos_embed";
  const Tensor added = pass.weight(positions);
  const Tensor patches =
      pass.linear(kVisualEncoder + "patch_embed.proj",
                  patch_rows(batch.pixels.to(added.scalar_type()), config_.patch_size));
  const Tensor first =
      pass.used(Use::kAdded, token, Tensor(), pass.weight(token).expand({n, 1, width}));
  const Tensor rows = torch::cat({first, patches.view({n, -1, width})}, 1) + added;
  return pass.used(Use::kAdded, positions, Tensor(), rows).reshape({-1, width});
}

/// For images, of which everything is seen.
Tensor all_seen(const Tensor& rows, std::int64_t tokens) {
  return torch::zeros({rows.size(0) / tokens, tokens}, rows.options().requires_grad(false));
}

Tensor Albef::run_vision_block(std::int64_t block, const Tensor& rows, Pass& pass) const {
  const std::string name = vision_block(block);
  const auto parts =
      pass.linear(name + ".attn.qkv", pass.layer_norm(name + ".norm1", rows, kVisionEps))
          .chunk(3, 1);
  const Tensor found =
      pass.attention(parts[0], parts[1], parts[2], all_seen(rows, config_.image_tokens()),
                     Heads{config_.vision_heads}, 0);
  const Tensor x = rows + pass.linear(name + ".attn.proj", found);
  const Tensor inner = pass.activation(
      Activation::kGelu,
      pass.linear(name + ".mlp.fc1", pass.layer_norm(name + ".norm2", x, kVisionEps)));
  return pass.block_end(name, x + pass.linear(name + ".mlp.fc2", inner));
}

State Albef::run_question(const Batch& batch, const State& input, Pass& pass) const {
  const Tensor image =
      pass.layer_norm(kVisualEncoder + "norm", input.values.at(kImageStates), kVisionEps);
  const Tensor words = encoder_.embed(batch.input_ids, pass);
  const Tensor rows = pass.sequence("text_encoder.embeddings", words);
  const std::int64_t prefix = rows.size(1) - words.size(1);
  Tensor mask = bert_mask(batch.attention_mask, rows.scalar_type());
  if (prefix > 0)
    mask = torch::cat({torch::zeros({mask.size(0), prefix}, mask.options()), mask}, 1);
  return {{{kImageStates, image}, {kQuestionStates, rows.reshape({-1, rows.size(2)})}},
          {{kQuestionMask, mask}}};
}

State Albef::run_question_block(std::int64_t block, const State& input, Pass& pass) const {
  const Tensor &image = input.values.at(kImageStates), &mask = input.constants.at(kQuestionMask);
  const OtherStates others{image, all_seen(image, config_.image_tokens()), Tensor()};
  State output = input;
  output.values[kQuestionStates] =
      encoder_.run_block(block, input.values.at(kQuestionStates), mask, others, pass);
  if (block + 1 == config_.encoder.num_hidden_layers) output.values.erase(kImageStates);
  return output;
}

State Albef::run_answer(const Batch& batch, const State& input, Pass& pass) const {
  if (!batch.decoder_ids.defined())
    throw InputError("a model of the type \"" + type() + "\" needs the tokens of answers");
  const Tensor words = decoder_.embed(batch.decoder_ids, pass);
  const std::int64_t answers = words.size(0), tokens = words.size(1);
  const Tensor rows = words.reshape({-1, words.size(2)});
  State output = input;
  output.values[kAnswerRows] = rows;
  const std::int64_t before = pass.tokens_before();
  const Tensor seen =
      torch::ones({tokens, before + tokens}, rows.options().requires_grad(false)).tril(before);
  output.constants[kAnswerMask] =
      bert_mask(seen, rows.scalar_type()).expand({answers, 1, tokens, before + tokens});
  if (batch.decoder_rows.defined()) {
    const Tensor of_answer = batch.decoder_rows.to(rows.device());
    output.constants[kSampleOfAnswer] = of_answer;
    output.constants[kQuestionMask] = input.constants.at(kQuestionMask).index_select(0, of_answer);
  }
  return output;
}

State Albef::run_answer_block(std::int64_t block, const State& input, Pass& pass) const {
  const auto constant = [&](const char* name) {
    const auto found = input.constants.find(name);
    return found == input.constants.end() ? Tensor() : found->second;
  };
  // Of answers that go on the pass has kept what they see of the question.
  const auto question = input.values.find(kQuestionStates);
  const OtherStates others{question == input.values.end() ? Tensor() : question->second,
                           constant(kQuestionMask), constant(kSampleOfAnswer)};
  State output = input;
  output.values[kAnswerRows] = decoder_.run_block(block, input.values.at(kAnswerRows),
                                                  input.constants.at(kAnswerMask), others, pass);
  if (block + 1 == config_.decoder.num_hidden_layers) output.values.erase(kQuestionStates);
  return output;
}

State Albef::run_head(const Batch& batch, const State& input, Pass& pass) const {
  Tensor rows = input.values.at(kAnswerRows);
  if (batch.outputs.defined()) {
    const Tensor at =
        batch.outputs.select(1, 0) * batch.decoder_ids.size(1) + batch.outputs.select(1, 1);
    rows = rows.index_select(0, at.to(rows.device()));
  }
  const std::string transform = kPredictions + ".transform", bias = kPredictions + ".bias";
  const Tensor inner = pass.activation(Activation::kGelu, pass.linear(transform + ".dense", rows));
  const Tensor normed =
      pass.layer_norm(transform + ".LayerNorm", inner, config_.decoder.layer_norm_eps);
  const Tensor logits = pass.linear(decoder_.words(), normed) + pass.weight(bias);
  return {{{kTokenLogits, pass.used(Use::kBias, bias, Tensor(), logits)}}, {}};
}

/// Of the question's first token, [CLS], behind what methods put before it.
State Albef::run_classifier(const Batch& batch, const State& input, Pass& pass) const {
  const Tensor& rows = input.values.at(kQuestionStates);
  const Tensor texts = rows.view({batch.size(), -1, rows.size(1)});
  const Tensor first = texts.select(1, texts.size(1) - batch.input_ids.size(1));
  const Tensor inner =
      pass.activation(Activation::kRelu, pass.linear(kClassifierHead + "0", first));
  return {{{kLogits, pass.linear(kClassifierHead + "2", inner)}}, {}};
}

/// What both texts' parts have.
BertConfig read_albef_text(ObjectReader& reader) {
  BertConfig config;
  reader.choice("hidden_act", {"gelu"}, "gelu");
  const auto integer = [&](const char* key, std::int64_t low, std::int64_t high,
                           std::int64_t& field) { field = reader.integer(key, low, high, field); };
  const auto number = [&](const char* key, double high, double& field) {
    field = reader.number(key, 0, high, field);
  };
  integer("hidden_size", 1, kLargestWidth, config.hidden_size);
  integer("intermediate_size", 1, kLargestIntermediate, config.intermediate_size);
  integer("num_attention_heads", 1, kLargestWidth, config.num_attention_heads);
  integer("vocab_size", 1, kLargestVocabulary, config.vocab_size);
  integer("max_position_embeddings", 2, kLongestText, config.max_position_embeddings);
  integer("type_vocab_size", 1, kMostTypes, config.type_vocab_size);
  number("layer_norm_eps", 1, config.layer_norm_eps);
  number("initializer_range", 10, config.initializer_range);
  number("hidden_dropout_prob", 0.999, config.hidden_dropout_prob);
  number("attention_probs_dropout_prob", 0.999, config.attention_probs_dropout_prob);
  check_divisible(reader, "hidden_size", config.hidden_size, "num_attention_heads",
                  config.num_attention_heads);
  return config;
}

/// What is attended to has the width of what attends: the image's of the question's, and the
/// question's of the answer's.
void check_albef_widths(ObjectReader& reader, const AlbefConfig& config) {
  const std::int64_t hidden = config.encoder.hidden_size;
  const auto check = [&](const char* key, std::int64_t width) {
    if (width != hidden)
      reader.fail(key, "found " + std::to_string(width) +
                           ", but it must be hidden_size = " + std::to_string(hidden));
  };
  check("encoder_width", reader.integer("encoder_width", 1, kLargestWidth, 768));
  check("vision_width", config.vision_width);
}

}  // namespace

std::shared_ptr<const Architecture> read_albef(ObjectReader& reader) {
  AlbefConfig config;
  const auto integer = [&](const char* key, std::int64_t high, std::int64_t& field) {
    field = reader.integer(key, 1, high, field);
  };
  integer("image_res", kLargestImage, config.image_res);
  integer("patch_size", kLargestImage, config.patch_size);
  integer("vision_width", kLargestWidth, config.vision_width);
  integer("vision_layers", kMostLayers, config.vision_layers);
  integer("vision_heads", kLargestWidth, config.vision_heads);
  integer("mlp_ratio", kLargestIntermediate / config.vision_width, config.mlp_ratio);
  check_divisible(reader, "image_res", config.image_res, "patch_size", config.patch_size);
  check_divisible(reader, "vision_width", config.vision_width, "vision_heads", config.vision_heads);
  config.encoder = config.decoder = read_albef_text(reader);
  config.decoder.num_hidden_layers = 6;
  integer("num_hidden_layers", kMostLayers, config.encoder.num_hidden_layers);
  integer("decoder_layers", kMostLayers, config.decoder.num_hidden_layers);
  config.encoder.fusion_layer = reader.integer("fusion_layer", 0, kMostLayers, 6);
  if (config.encoder.fusion_layer >= config.encoder.num_hidden_layers) {
    reader.fail("fusion_layer", "found " + std::to_string(config.encoder.fusion_layer) +
                                    ", but the last of num_hidden_layers = " +
                                    std::to_string(config.encoder.num_hidden_layers) +
                                    " must attend to the image");
  }
  const std::int64_t last_word = config.decoder.vocab_size - 1;
  config.cls_token = reader.integer("cls_token_id", 0, last_word, config.cls_token);
  config.sep_token = reader.integer("sep_token_id", 0, last_word, config.sep_token);
  if (std::max(config.cls_token, config.sep_token) > last_word)
    reader.fail("vocab_size", "found " + std::to_string(last_word + 1) +
                                  ", which needs cls_token_id and sep_token_id below it");
  check_albef_widths(reader, config);
  config.labels = read_classes(reader);
  config.json = reader.whole();
  return std::make_shared<Albef>(std::move(config));
}

}  // namespace strata::models
