#include "models/architectures/t5.h"

#include <cmath>

#include "models/architectures/classifier_head.h"
#include "models/architectures/config_limits.h"
#include "models/architectures/masks.h"
#include "strata/core/error.h"

namespace strata::models {
namespace {

using torch::Tensor;

const std::string kT5Words = "language_model.shared";
const std::string kT5Sequence = kT5Words + ".sequence";
const std::string kT5Head = "language_model.lm_head";
const std::string kEncoder = "language_model.encoder.";
const std::string kDecoder = "language_model.decoder.";
const std::string kTable = "block.0.layer.0.SelfAttention.relative_attention_bias";

constexpr const char* kEncoderRows = "encoder_rows";
constexpr const char* kDecoderRows = "decoder_rows";
constexpr const char* kEncoderBias = "encoder_bias";
constexpr const char* kDecoderBias = "decoder_bias";
constexpr const char* kEncoderPadding = "encoder_padding";
constexpr const char* kSampleOfText = "sample_of_text";

/// What its tokenizers cut texts to; its positions have no end of their own.
constexpr std::int64_t kMostT5Tokens = 512;
/// Twice those of the largest T5: what positions add has a number for each pair of tokens and head.
constexpr std::int64_t kMostHeads = 256;
/// Of an answer whose costs are counted: the most that BLIP-2's authors let it write.
constexpr std::int64_t kAnswerTokens = 10;

class T5 : public LanguageModel {
 public:
  explicit T5(T5Config config) : config_(config) {}

  std::int64_t width() const override { return config_.d_model; }
  std::int64_t vocabulary_size() const override { return config_.vocab_size; }
  std::int64_t most_tokens() const override { return kMostT5Tokens; }
  void declare(LayerList& list) const override;
  State run(std::int64_t stage, const Batch& batch, const State& input, const ImagePlaces& images,
            Pass& pass) const override;
  std::optional<std::int64_t> decoder_start() const override { return config_.decoder_start; }
  void complete(Batch& sample) const override {
    if (config_.labels > 0) return;
    sample.decoder_ids = torch::zeros({1, kAnswerTokens}, torch::kInt64);
    sample.outputs = torch::tensor({std::int64_t{0}, kAnswerTokens - 1}).view({1, 2});
  }
  std::shared_ptr<const LanguageModel> as_stored(
      const std::function<bool(const std::string&)>& has) const override {
    if (config_.labels > 0) return nullptr;
    T5Config stored = config_;
    stored.tied = !has(kT5Head + ".weight");
    return stored.tied == config_.tied ? nullptr : std::make_shared<T5>(stored);
  }
  std::shared_ptr<const LanguageModel> with(std::int64_t labels) const override {
    T5Config changed = config_;
    changed.labels = labels;
    return std::make_shared<T5>(changed);
  }

 private:
  static std::string block_name(const std::string& stack, std::int64_t block) {
    return stack + "block." + std::to_string(block);
  }
  void declare_table(const std::string& stack, LayerList& list) const;
  void declare_block(const std::string& stack, std::int64_t block, LayerList& list) const;
  State run_words(const Batch& batch, const State& input, const ImagePlaces& images,
                  Pass& pass) const;
  Batch begun(Batch batch) const;
  State run_answer_words(const Batch& batch, Pass& pass) const;
  Tensor looked_up(const Tensor& ids, Pass& pass) const;
  Tensor bias(const std::string& stack, std::int64_t queries, std::int64_t keys,
              torch::Device device, Pass& pass) const;
  /// `look` gives what is seen of what the attention's name and its normed rows are.
  using Look = std::function<Pass::Seen(const std::string& name, const Tensor& normed)>;
  Tensor attend(const std::string& layer, const char* attention, const Tensor& rows,
                const Look& look, Pass& pass) const;
  Pass::Seen encoded(const std::string& name, const State& input, Pass& pass) const;
  Tensor feed(const std::string& layer, const Tensor& rows, Pass& pass) const;
  State run_encoder(std::int64_t block, const State& input, Pass& pass) const;
  State run_decoder(std::int64_t block, const State& input, Pass& pass) const;
  Tensor normed(const std::string& name, const Tensor& rows, Pass& pass) const {
    return pass.rms_norm(name, rows, config_.layer_norm_epsilon);
  }
  Tensor last_norm(const std::string& stack, const Tensor& rows, Pass& pass) const {
    return pass.dropout(normed(stack + "final_layer_norm", rows, pass), config_.dropout_rate);
  }
  State run_head(const Batch& batch, const State& input, Pass& pass) const;
  Init normal(double variance) const {
    return {Init::Kind::kNormal, config_.initializer_factor * std::sqrt(variance)};
  }

  T5Config config_;
};

void T5::declare(LayerList& list) const {
  list.begin_stage({"embeddings", Role::kEmbeddings});
  Layer& words = list.add_table(kT5Words, config_.vocab_size, config_.d_model, normal(1));
  words.vocabulary = true;
  words.frozen = config_.tied && config_.labels == 0;
  words.aliases = {kEncoder + "embed_tokens", kDecoder + "embed_tokens"};
  list.add_place(kT5Sequence, LayerKind::kSequence, config_.d_model);
  for (std::int64_t block = 0; block < config_.num_layers; ++block) {
    list.begin_stage({"encoder.block." + std::to_string(block), Role::kBody, "encoder."});
    declare_block(kEncoder, block, list);
  }
  list.add_rms_norm(kEncoder + "final_layer_norm", config_.d_model);
  for (std::int64_t block = 0; block < config_.num_decoder_layers; ++block) {
    list.begin_stage({"decoder.block." + std::to_string(block), Role::kBody, kDecoderGroup});
    declare_block(kDecoder, block, list);
  }
  list.begin_stage({"head", config_.labels > 0 ? Role::kHead : Role::kOutput});
  list.add_rms_norm(kDecoder + "final_layer_norm", config_.d_model);
  if (config_.labels > 0)
    list.add_linear(kScoreHead, config_.labels, config_.d_model,
                    normal(1.0 / static_cast<double>(config_.d_model)), /*bias=*/false);
  else if (!config_.tied)
    list.add_linear(kT5Head, config_.vocab_size, config_.d_model, normal(1), /*bias=*/false);
}

void T5::declare_table(const std::string& stack, LayerList& list) const {
  Layer& table = list.add_table(stack + kTable, config_.buckets, config_.num_heads,
                                normal(1.0 / static_cast<double>(config_.d_model)));
  table.frozen = true;  // every block of the stack looks by it
}

void T5::declare_block(const std::string& stack, std::int64_t block, LayerList& list) const {
  const std::int64_t width = config_.d_model, heads = config_.num_heads * config_.d_kv;
  const std::string at = block_name(stack, block) + ".layer.";
  const auto linear = [&](const std::string& name, std::int64_t out, std::int64_t in,
                          std::int64_t inverse_variance, Part part = Part::kOther) {
    list.add_linear(name, out, in, normal(1.0 / static_cast<double>(inverse_variance)),
                    /*bias=*/false)
        .part = part;
  };
  int layer = 0;
  const auto attention = [&](const char* name) {
    const std::string in = at + std::to_string(layer) + "." + name;
    linear(in + ".q", heads, width, width * config_.d_kv, Part::kAttention);
    linear(in + ".k", heads, width, width, Part::kAttention);
    linear(in + ".v", heads, width, width, Part::kAttention);
    linear(in + ".o", width, heads, heads, Part::kAttention);
    if (block == 0 && layer == 0) declare_table(stack, list);
    list.add_rms_norm(at + std::to_string(layer++) + ".layer_norm", width);
  };
  attention("SelfAttention");
  if (stack == kDecoder) attention("EncDecAttention");
  const std::string in = at + std::to_string(layer) + ".DenseReluDense.";
  linear(in + "wi_0", config_.d_ff, width, width);
  linear(in + "wi_1", config_.d_ff, width, width);
  linear(in + "wo", width, config_.d_ff, config_.d_ff);
  list.add_rms_norm(at + std::to_string(layer) + ".layer_norm", width);
  list.add_place(block_name(stack, block), LayerKind::kBlock, width);
}

State T5::run(std::int64_t stage, const Batch& batch, const State& input, const ImagePlaces& images,
              Pass& pass) const {
  if (stage == 0) return run_words(config_.labels > 0 ? begun(batch) : batch, input, images, pass);
  const std::int64_t block = stage - 1;
  if (block < config_.num_layers) return run_encoder(block, input, pass);
  if (block < config_.num_layers + config_.num_decoder_layers)
    return run_decoder(block - config_.num_layers, input, pass);
  return run_head(batch, input, pass);
}

/// With what begins every answer for the decoder to read.
Batch T5::begun(Batch batch) const {
  batch.decoder_ids =
      torch::full({batch.size(), 1}, config_.decoder_start, batch.input_ids.options());
  return batch;
}

Tensor T5::looked_up(const Tensor& ids, Pass& pass) const {
  const std::string words = kT5Words + ".weight";
  return pass.used(Use::kEmbedding, words, ids, pass.lookup(words, ids));
}

/// What relative positions add to the scores of a stack's heads, (1, heads, queries, keys).
Tensor T5::bias(const std::string& stack, std::int64_t queries, std::int64_t keys,
                torch::Device device, Pass& pass) const {
  const Tensor buckets = relative_buckets(queries, keys, /*both_ways=*/stack == kEncoder,
                                          config_.buckets, config_.max_distance);
  return pass.lookup(stack + kTable + ".weight", buckets.to(device))
      .permute({2, 0, 1})
      .unsqueeze(0);
}

/// The decoder's rows and what its blocks take. The biases are made here and in run_words, once for
/// all blocks: their tables are never trained.
State T5::run_answer_words(const Batch& batch, Pass& pass) const {
  const Tensor answer = looked_up(batch.decoder_ids, pass);
  const std::int64_t written = answer.size(1), all = pass.tokens_before() + written;
  const torch::Device device = answer.device();
  const Tensor before = added_mask(causal(written, all, device), answer.scalar_type()).unsqueeze(1);
  State output{
      {{kDecoderRows, pass.dropout(answer.reshape({-1, config_.d_model}), config_.dropout_rate)}},
      {{kDecoderBias, (bias(kDecoder, written, all, device, pass) + before)
                          .expand({answer.size(0), -1, -1, -1})}}};
  if (batch.decoder_rows.defined()) output.constants[kSampleOfText] = batch.decoder_rows.to(device);
  return output;
}

State T5::run_words(const Batch& batch, const State& input, const ImagePlaces& images,
                    Pass& pass) const {
  if (!batch.decoder_ids.defined())
    throw InputError("T5 needs the tokens that its answers begin with (Batch::decoder_ids)");
  const auto image = input.values.find(kImageRows);
  if (image == input.values.end()) return run_answer_words(batch, pass);
  const Tensor& ids = batch.input_ids;
  Tensor text = joined(looked_up(word_ids(ids, images), pass), ids, image->second, images, pass);
  text = pass.sequence(kT5Sequence, text);
  const std::int64_t read = text.size(1);
  const Tensor attended = with_ones_before(batch.attention_mask, read - ids.size(1));
  const Tensor padding = added_mask(attended > 0, text.scalar_type());
  const Tensor rows = pass.dropout(text.reshape({-1, config_.d_model}), config_.dropout_rate);
  State output = run_answer_words(batch, pass);
  output.values[kEncoderRows] = rows;
  output.constants[kEncoderPadding] = padding;
  output.constants[kEncoderBias] =
      bias(kEncoder, read, read, text.device(), pass) + padding.view({-1, 1, 1, read});
  return output;
}

/// The rows with what attention adds to them.
Tensor T5::attend(const std::string& layer, const char* attention, const Tensor& rows,
                  const Look& look, Pass& pass) const {
  const Tensor own = normed(layer + ".layer_norm", rows, pass);
  const std::string at = layer + "." + attention;
  const auto [keys, values, mask] = look(at, own);
  const Heads heads{config_.num_heads, config_.num_heads, /*scale=*/1};
  const Tensor context =
      pass.attention(pass.linear(at + ".q", own), keys, values, mask, heads, config_.dropout_rate);
  return pass.sum(rows, pass.dropout(pass.linear(at + ".o", context), config_.dropout_rate));
}

/// What answers see of the texts that the encoder has read. Keys and values of a text are formed
/// once, however many answers see them.
Pass::Seen T5::encoded(const std::string& name, const State& input, Pass& pass) const {
  return pass.once(name, [&] {
    const Tensor &rows = input.values.at(kEncoderRows), &mask = input.constants.at(kEncoderPadding);
    Pass::Seen seen{pass.linear(name + ".k", rows), pass.linear(name + ".v", rows), mask};
    const auto sample = input.constants.find(kSampleOfText);
    if (sample == input.constants.end()) return seen;
    const std::int64_t texts = mask.size(0);
    for (Tensor* each : {&seen.keys, &seen.values}) {
      const std::int64_t width = each->size(1);
      *each = each->view({texts, -1, width}).index_select(0, sample->second).view({-1, width});
    }
    seen.mask = mask.index_select(0, sample->second);
    return seen;
  });
}

Tensor T5::feed(const std::string& layer, const Tensor& rows, Pass& pass) const {
  const Tensor own = normed(layer + ".layer_norm", rows, pass);
  const std::string at = layer + ".DenseReluDense.";
  const Tensor inner = pass.gated(Activation::kGeluTanh, pass.linear(at + "wi_0", own),
                                  pass.linear(at + "wi_1", own));
  const Tensor output = pass.linear(at + "wo", pass.dropout(inner, config_.dropout_rate));
  return pass.sum(rows, pass.dropout(output, config_.dropout_rate));
}

State T5::run_encoder(std::int64_t block, const State& input, Pass& pass) const {
  const auto text = input.values.find(kEncoderRows);
  if (text == input.values.end()) return input;  // answers that go on
  const std::string at = block_name(kEncoder, block);
  const auto itself = [&](const std::string& name, const Tensor& own) {
    return Pass::Seen{pass.linear(name + ".k", own), pass.linear(name + ".v", own),
                      input.constants.at(kEncoderBias)};
  };
  Tensor rows = attend(at + ".layer.0", "SelfAttention", text->second, itself, pass);
  rows = pass.block_end(at, feed(at + ".layer.1", rows, pass));
  if (block + 1 == config_.num_layers) rows = last_norm(kEncoder, rows, pass);
  State output = input;
  output.values[kEncoderRows] = rows;
  return output;
}

State T5::run_decoder(std::int64_t block, const State& input, Pass& pass) const {
  const std::string at = block_name(kDecoder, block);
  const auto itself = [&](const std::string& name, const Tensor& own) {
    const auto [keys, values] =
        pass.remembered(name, {pass.linear(name + ".k", own), pass.linear(name + ".v", own)});
    return Pass::Seen{keys, values, input.constants.at(kDecoderBias)};
  };
  const auto text = [&](const std::string& name, const Tensor&) {
    return encoded(name, input, pass);
  };
  Tensor rows =
      attend(at + ".layer.0", "SelfAttention", input.values.at(kDecoderRows), itself, pass);
  rows = attend(at + ".layer.1", "EncDecAttention", rows, text, pass);
  rows = pass.block_end(at, feed(at + ".layer.2", rows, pass));
  if (block + 1 == config_.num_decoder_layers) return {{{kDecoderRows, rows}}, {}};
  State output = input;
  output.values[kDecoderRows] = rows;
  return output;
}

State T5::run_head(const Batch& batch, const State& input, Pass& pass) const {
  const Tensor& all = input.values.at(kDecoderRows);
  if (config_.labels > 0)
    return {{{kLogits, pass.linear(kScoreHead, last_norm(kDecoder, all, pass))}}, {}};
  const Tensor asked = asked_rows(batch, all, batch.decoder_ids.size(1));
  Tensor rows = last_norm(kDecoder, asked, pass);
  if (config_.scaled) rows = rows / std::sqrt(static_cast<double>(config_.d_model));
  return {{{kTokenLogits, pass.linear(config_.tied ? kT5Words : kT5Head, rows)}}, {}};
}

}  // namespace

Tensor relative_buckets(std::int64_t queries, std::int64_t keys, bool both_ways,
                        std::int64_t buckets, std::int64_t max_distance) {
  const Tensor place = torch::arange(keys, torch::kLong);
  Tensor distance =
      place.view({1, keys}) - place.narrow(0, keys - queries, queries).view({queries, 1});
  Tensor first = torch::zeros_like(distance);
  if (both_ways) {
    buckets /= 2;
    first = (distance > 0).to(torch::kLong) * buckets;
    distance = distance.abs();
  } else {
    distance = (-distance).clamp_min(0);
  }
  const std::int64_t near = buckets / 2;  // have a bucket each
  // In float32, as transformers has it.
  const Tensor share = torch::log(distance.to(torch::kFloat) / static_cast<double>(near)) /
                       std::log(static_cast<double>(max_distance) / static_cast<double>(near));
  const Tensor far = (near + (share * static_cast<double>(buckets - near)).to(torch::kLong))
                         .clamp_max(buckets - 1);
  return first + torch::where(distance < near, distance, far);
}

std::shared_ptr<const LanguageModel> read_t5(ObjectReader& reader) {
  T5Config config;
  const auto integer = [&](const char* key, std::int64_t high, std::int64_t& field) {
    field = reader.integer(key, 1, high, field);
  };
  const auto number = [&](const char* key, double high, double& field) {
    field = reader.number(key, 0, high, field);
  };
  integer("d_model", kLargestWidth, config.d_model);
  integer("d_kv", kLargestWidth, config.d_kv);
  integer("d_ff", kLargestIntermediate, config.d_ff);
  integer("num_heads", kMostHeads, config.num_heads);
  integer("num_layers", kMostLayers, config.num_layers);
  config.num_decoder_layers = config.num_layers;
  if (!reader.raw("num_decoder_layers").is_null())
    integer("num_decoder_layers", kMostLayers, config.num_decoder_layers);
  integer("vocab_size", kLargestVocabulary, config.vocab_size);
  if (!reader.raw("decoder_start_token_id").is_null())
    config.decoder_start = reader.integer("decoder_start_token_id", 0, config.vocab_size - 1);
  config.buckets = reader.integer("relative_attention_num_buckets", 4, 4096, config.buckets);
  config.max_distance =
      reader.integer("relative_attention_max_distance", 1, 1 << 20, config.max_distance);
  if (config.max_distance <= config.buckets / 2) {
    reader.fail("relative_attention_max_distance",
                "found " + std::to_string(config.max_distance) +
                    ", but it must be more than half of relative_attention_num_buckets = " +
                    std::to_string(config.buckets));
  }
  number("layer_norm_epsilon", 1, config.layer_norm_epsilon);
  number("dropout_rate", 0.999, config.dropout_rate);
  number("initializer_factor", 100, config.initializer_factor);
  if (reader.text("feed_forward_proj", "relu") != "gated-gelu") {
    reader.fail("feed_forward_proj", "\"" + reader.text("feed_forward_proj", "relu") +
                                         "\" is not computed; only \"gated-gelu\" is, as FlanT5 "
                                         "and T5 v1.1 have it");
  }
  config.tied = reader.boolean("tie_word_embeddings", true);
  config.scaled = reader.boolean("scale_decoder_outputs", config.tied);
  return std::make_shared<T5>(config);
}

}  // namespace strata::models
