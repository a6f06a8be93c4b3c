#include "models/architectures/decoder.h"

#include <cmath>

#include "models/architectures/activations.h"
#include "models/architectures/classifier_head.h"
#include "models/architectures/config_limits.h"
#include "models/architectures/masks.h"
#include "models/architectures/rotary.h"
#include "strata/core/error.h"

namespace strata::models {
namespace {

using torch::Tensor;
using Constants = std::map<std::string, Tensor>;

constexpr const char* kVisible = "visible";
constexpr const char* kCosine = "cosine";
constexpr const char* kSine = "sine";

DecoderConfig llama() {
  DecoderConfig config;
  config.model_type = "llama";
  return config;
}

DecoderConfig mistral() {
  DecoderConfig config;
  config.model_type = "mistral";
  config.intermediate_size = 14336;
  config.num_key_value_heads = 8;
  config.max_position_embeddings = 4096 * 32;
  config.sliding_window = 4096;
  return config;
}

DecoderConfig qwen2() {
  DecoderConfig config;
  config.model_type = "qwen2";
  config.vocab_size = 151936;
  config.intermediate_size = 22016;
  config.max_position_embeddings = 32768;
  config.qkv_bias = true;
  return config;
}

DecoderConfig gemma() {
  DecoderConfig config;
  config.model_type = "gemma";
  config.vocab_size = 256000;
  config.hidden_size = 3072;
  config.intermediate_size = 24576;
  config.num_hidden_layers = 28;
  config.num_attention_heads = config.num_key_value_heads = 16;
  config.head_dim = 256;
  config.max_position_embeddings = 8192;
  config.norm_offset = 1;
  config.activation = Activation::kGeluTanh;
  config.tied = true;
  return config;
}

struct DecoderRow {
  const char* type;
  DecoderConfig (*defaults)();
};

// A further language model of this kind is a row.
constexpr DecoderRow kDecoders[] = {
    {"llama", llama}, {"mistral", mistral}, {"qwen2", qwen2}, {"gemma", gemma}};

DecoderConfig defaults_of(const std::string& type) {
  for (const DecoderRow& row : kDecoders)
    if (row.type == type) return row.defaults();
  throw std::out_of_range(type);
}

void read_sizes_of(ObjectReader& reader, DecoderConfig& config) {
  const auto integer = [&](const char* key, std::int64_t high, std::int64_t& field) {
    field = reader.integer(key, 1, high, field);
  };
  const std::int64_t heads = config.num_attention_heads, key_heads = config.num_key_value_heads;
  const bool own_head_size = config.head_dim * heads != config.hidden_size;
  integer("vocab_size", kLargestVocabulary, config.vocab_size);
  integer("hidden_size", kLargestWidth, config.hidden_size);
  integer("intermediate_size", kLargestIntermediate, config.intermediate_size);
  integer("num_hidden_layers", kMostLayers, config.num_hidden_layers);
  integer("num_attention_heads", kLargestWidth, config.num_attention_heads);
  // What is absent is as many as heads where the defaults have as many.
  config.num_key_value_heads = key_heads == heads ? config.num_attention_heads : key_heads;
  if (!reader.raw("num_key_value_heads").is_null())
    integer("num_key_value_heads", kLargestWidth, config.num_key_value_heads);
  check_divisible(reader, "num_attention_heads", config.num_attention_heads, "num_key_value_heads",
                  config.num_key_value_heads);
  if (!reader.raw("head_dim").is_null()) {
    integer("head_dim", kLargestWidth, config.head_dim);
  } else if (!own_head_size) {
    check_divisible(reader, "hidden_size", config.hidden_size, "num_attention_heads",
                    config.num_attention_heads);
    config.head_dim = config.hidden_size / config.num_attention_heads;
  }
  if (config.head_dim % 2 != 0) {
    reader.fail("head_dim", "found " + std::to_string(config.head_dim) +
                                "; rotary positions turn pairs, so that it must be even");
  }
}

/// Of Mistral always, of Qwen2 where use_sliding_window says so; null is none.
void read_window(ObjectReader& reader, DecoderConfig& config) {
  const bool absent = !reader.has("sliding_window");
  const std::int64_t window = reader.raw("sliding_window").is_null()
                                  ? (absent ? config.sliding_window : 0)
                                  : reader.integer("sliding_window", 1, std::int64_t{1} << 40);
  const bool used = config.sliding_window > 0 || reader.boolean("use_sliding_window", false);
  if (used && config.sliding_window == 0 && window > 0) {
    reader.fail("use_sliding_window",
                "true is not computed; only false is, as in the published "
                "Qwen2 models");
  }
  config.sliding_window = used ? window : 0;
}

}  // namespace

std::string decoder_type(ObjectReader& reader, const std::string& fallback) {
  std::vector<std::string> names;
  for (const DecoderRow& row : kDecoders) names.emplace_back(row.type);
  return reader.choice("model_type", names, fallback);
}

DecoderConfig read_decoder(ObjectReader& reader, const std::string& type) {
  DecoderConfig config = defaults_of(type);
  read_sizes_of(reader, config);
  config.max_position_embeddings = reader.integer(
      "max_position_embeddings", 2, std::int64_t{1} << 24, config.max_position_embeddings);
  config.rms_norm_eps = reader.number("rms_norm_eps", 0, 1, config.rms_norm_eps);
  config.initializer_range = reader.number("initializer_range", 0, 10, config.initializer_range);
  config.activation = read_activation(reader, "hidden_act", config.activation);
  if (config.norm_offset != 0) {
    // Gemma's first files say gelu where the tanh approximation is meant; transformers goes by
    // hidden_activation.
    config.activation = Activation::kGeluTanh;
    if (!reader.raw("hidden_activation").is_null())
      config.activation = read_activation(reader, "hidden_activation", config.activation);
    config.embedding_scale = std::sqrt(static_cast<double>(config.hidden_size));
  }
  if (!config.qkv_bias)
    config.qkv_bias = config.output_bias = reader.boolean("attention_bias", false);
  config.mlp_bias = reader.boolean("mlp_bias", false);
  config.tied = reader.boolean("tie_word_embeddings", config.tied);
  config.rotary = read_rotary(reader);
  read_window(reader, config);
  return config;
}

void Decoder::named(Layer& layer, const std::string& tail) const {
  for (std::size_t i = 1; i < names_.size(); ++i) layer.aliases.push_back(names_[i].model + tail);
}

void Decoder::declare_words(LayerList& list) const {
  const std::string tail = "embed_tokens";
  Layer& words =
      list.add_table(names_.front().model + tail, config_.vocab_size, config_.hidden_size,
                     {Init::Kind::kNormal, config_.initializer_range});
  words.vocabulary = true;
  words.frozen = config_.tied && config_.labels == 0;
  named(words, tail);
}

void Decoder::declare_block(std::int64_t block, LayerList& list) const {
  const std::int64_t hidden = config_.hidden_size, inner = config_.intermediate_size;
  const std::int64_t queries = config_.num_attention_heads * config_.head_dim;
  const std::int64_t keys = config_.num_key_value_heads * config_.head_dim;
  const Init init{Init::Kind::kNormal, config_.initializer_range};
  const std::string at = "layers." + std::to_string(block) + ".";
  const auto linear = [&](const char* name, std::int64_t out, std::int64_t in, bool bias,
                          Part part = Part::kOther) {
    Layer& layer = list.add_linear(names_.front().model + at + name, out, in, init, bias);
    layer.part = part;
    named(layer, at + name);
  };
  const auto norm = [&](const char* name) {
    named(list.add_rms_norm(names_.front().model + at + name, hidden, config_.norm_offset),
          at + name);
  };
  linear("self_attn.q_proj", queries, hidden, config_.qkv_bias, Part::kAttention);
  linear("self_attn.k_proj", keys, hidden, config_.qkv_bias, Part::kAttention);
  linear("self_attn.v_proj", keys, hidden, config_.qkv_bias, Part::kAttention);
  linear("self_attn.o_proj", hidden, queries, config_.output_bias, Part::kAttention);
  linear("mlp.gate_proj", inner, hidden, config_.mlp_bias);
  linear("mlp.up_proj", inner, hidden, config_.mlp_bias);
  linear("mlp.down_proj", hidden, inner, config_.mlp_bias);
  norm("input_layernorm");
  norm("post_attention_layernorm");
  list.add_place(block_name(block), LayerKind::kBlock, hidden);
}

void Decoder::declare_head(LayerList& list) const {
  named(list.add_rms_norm(names_.front().model + "norm", config_.hidden_size, config_.norm_offset),
        "norm");
  const Init init{Init::Kind::kNormal, config_.initializer_range};
  if (config_.labels > 0) {
    list.add_linear(kScoreHead, config_.labels, config_.hidden_size, init, /*bias=*/false);
    return;
  }
  if (config_.tied) return;
  Layer& head = list.add_linear(names_.front().head, config_.vocab_size, config_.hidden_size, init,
                                /*bias=*/false);
  for (std::size_t i = 1; i < names_.size(); ++i) {
    if (names_[i].head != names_.front().head) head.aliases.push_back(names_[i].head);
  }
}

Tensor Decoder::words(const Tensor& ids, Pass& pass) const {
  const std::string name = names_.front().model + "embed_tokens.weight";
  Tensor rows = pass.used(Use::kEmbedding, name, ids, pass.lookup(name, ids));
  return config_.embedding_scale == 1 ? rows : rows * config_.embedding_scale;
}

Tensor Decoder::seen_tokens(const Tensor& attended, const Tensor& positions, std::int64_t rows,
                            const Tensor& together, const Tensor& continuations) const {
  const std::int64_t tokens = attended.size(1);
  const Tensor place = torch::arange(tokens, attended.options().dtype(torch::kLong));
  const Tensor from = place.narrow(0, tokens - rows, rows).view({1, rows, 1});
  const Tensor to = place.view({1, 1, tokens});
  Tensor seen = to <= from;
  if (continuations.defined()) seen = seen.logical_and(of_own_text(continuations, rows));
  if (config_.sliding_window > 0) {
    const Tensor distance =
        continuations.defined()
            ? positions.narrow(1, tokens - rows, rows).unsqueeze(2) - positions.unsqueeze(1)
            : from - to;
    seen = seen.logical_and(distance < config_.sliding_window);
  }
  if (together.defined()) {
    const Tensor both =
        together.narrow(1, tokens - rows, rows).unsqueeze(2).logical_and(together.unsqueeze(1));
    seen = seen.logical_or(both);
  }
  seen = seen.logical_and(attended.unsqueeze(1) > 0).unsqueeze(1);
  return seen;
}

Constants Decoder::constants(const Tensor& attended, std::int64_t rows, const Tensor& together,
                             const Tensor& continuations, torch::ScalarType type,
                             Pass& pass) const {
  const std::int64_t tokens = attended.size(1);
  const Tensor positions = (counted_tokens(attended, continuations) - 1).clamp_min(0);
  const Tensor visible = pass.of_tokens({attended.size(0), 1, rows, tokens}, [&] {
    return added_mask(seen_tokens(attended, positions, rows, together, continuations), type);
  });
  const Tensor angles =
      rotary_angles(config_.rotary, config_.head_dim, positions.narrow(1, tokens - rows, rows));
  return {{kVisible, visible}, {kCosine, angles.cos().to(type)}, {kSine, angles.sin().to(type)}};
}

Tensor Decoder::attend(const std::string& name, const Tensor& normed, const Constants& constants,
                       Pass& pass) const {
  const Tensor &cosine = constants.at(kCosine), &sine = constants.at(kSine);
  const Tensor query = pass.rotated(pass.linear(name + ".q_proj", normed), cosine, sine);
  const auto [key, value] =
      pass.remembered(name, {pass.rotated(pass.linear(name + ".k_proj", normed), cosine, sine),
                             pass.linear(name + ".v_proj", normed)});
  const Heads heads{config_.num_attention_heads, config_.num_key_value_heads};
  return pass.linear(name + ".o_proj",
                     pass.attention(query, key, value, constants.at(kVisible), heads, 0));
}

Tensor Decoder::run_block(std::int64_t block, const Tensor& rows, const Constants& constants,
                          Pass& pass) const {
  const std::string name = block_name(block);
  const double eps = config_.rms_norm_eps, offset = config_.norm_offset;
  const Tensor normed = pass.rms_norm(name + ".input_layernorm", rows, eps, offset);
  const Tensor x = pass.sum(rows, attend(name + ".self_attn", normed, constants, pass));
  const Tensor inner = pass.rms_norm(name + ".post_attention_layernorm", x, eps, offset);
  const Tensor gate = pass.linear(name + ".mlp.gate_proj", inner);
  const Tensor up = pass.linear(name + ".mlp.up_proj", inner);
  const Tensor output =
      pass.linear(name + ".mlp.down_proj", pass.gated(config_.activation, gate, up));
  return pass.block_end(name, pass.sum(x, output));
}

Tensor Decoder::logits(const Tensor& rows, Pass& pass) const {
  const Tensor normed =
      pass.rms_norm(names_.front().model + "norm", rows, config_.rms_norm_eps, config_.norm_offset);
  if (config_.labels > 0) return pass.linear(kScoreHead, normed);
  return pass.linear(config_.tied ? names_.front().model + "embed_tokens" : names_.front().head,
                     normed);
}

}  // namespace strata::models
