#include "models/architectures/q_former.h"

#include "models/architectures/activations.h"
#include "models/architectures/config_limits.h"

namespace strata::models {
namespace {

using torch::Tensor;

const std::string kQueryTokens = "query_tokens";

std::string q_block_name(std::int64_t block) {
  return "qformer.encoder.layer." + std::to_string(block);
}

}  // namespace

QFormerConfig read_q_former(ObjectReader& reader, std::int64_t encoder_hidden_size,
                            std::int64_t queries) {
  QFormerConfig config;
  config.encoder_hidden_size = encoder_hidden_size;
  config.queries = queries;
  reader.choice("model_type", {"blip_2_qformer"}, "blip_2_qformer");
  const auto integer = [&](const char* key, std::int64_t high, std::int64_t& field) {
    field = reader.integer(key, 1, high, field);
  };
  const auto number = [&](const char* key, double high, double& field) {
    field = reader.number(key, 0, high, field);
  };
  integer("hidden_size", kLargestWidth, config.hidden_size);
  integer("intermediate_size", kLargestIntermediate, config.intermediate_size);
  integer("num_hidden_layers", kMostLayers, config.num_hidden_layers);
  integer("num_attention_heads", kLargestWidth, config.num_attention_heads);
  integer("cross_attention_frequency", kMostLayers, config.cross_attention_frequency);
  check_divisible(reader, "hidden_size", config.hidden_size, "num_attention_heads",
                  config.num_attention_heads);
  number("layer_norm_eps", 1, config.layer_norm_eps);
  number("initializer_range", 10, config.initializer_range);
  number("hidden_dropout_prob", 0.999, config.hidden_dropout_prob);
  number("attention_probs_dropout_prob", 0.999, config.attention_probs_dropout_prob);
  config.activation = read_activation(reader, "hidden_act", config.activation);
  reader.choice("position_embedding_type", {"absolute"}, "absolute");
  if (reader.boolean("use_qformer_text_input", false))
    reader.fail("use_qformer_text_input", "true is not computed; only false is, as in BLIP-2");
  return config;
}

bool QFormer::crosses_above(std::int64_t block) const {
  for (std::int64_t above = block + 1; above < config_.num_hidden_layers; ++above)
    if (crosses(above)) return true;
  return false;
}

void QFormer::declare_queries(LayerList& list) const {
  // Queries that were all the same would stay so.
  list.add_tokens(kQueryTokens, {1, config_.queries, config_.hidden_size},
                  {Init::Kind::kNormal, config_.initializer_range});
  list.add_norm("qformer.layernorm", config_.hidden_size);
}

void QFormer::declare_block(std::int64_t block, LayerList& list) const {
  const std::int64_t hidden = config_.hidden_size, inner = config_.intermediate_size;
  const Init init{Init::Kind::kNormal, config_.initializer_range};
  const std::string at = q_block_name(block);
  const auto attention = [&](const std::string& name, std::int64_t seen) {
    const auto linear = [&](const char* tail, std::int64_t in) {
      list.add_linear(name + tail, hidden, in, init).part = Part::kAttention;
    };
    linear(".attention.query", hidden);
    linear(".attention.key", seen);
    linear(".attention.value", seen);
    linear(".output.dense", hidden);
    list.add_norm(name + ".output.LayerNorm", hidden);
  };
  attention(at + ".attention", hidden);
  if (crosses(block)) attention(at + ".crossattention", config_.encoder_hidden_size);
  list.add_linear(at + ".intermediate_query.dense", inner, hidden, init);
  list.add_linear(at + ".output_query.dense", hidden, inner, init);
  list.add_norm(at + ".output_query.LayerNorm", hidden);
  list.add_place(at, LayerKind::kBlock, hidden);
}

Tensor QFormer::queries(std::int64_t images, Pass& pass) const {
  const Tensor all =
      pass.weight(kQueryTokens).expand({images, config_.queries, config_.hidden_size});
  const Tensor rows =
      pass.used(Use::kAdded, kQueryTokens, Tensor(), all).reshape({-1, config_.hidden_size});
  return pass.dropout(pass.layer_norm("qformer.layernorm", rows, config_.layer_norm_eps),
                      config_.hidden_dropout_prob);
}

Tensor QFormer::attend(const std::string& name, const Tensor& rows, const Tensor& seen,
                       Pass& pass) const {
  const std::int64_t n = rows.size(0) / config_.queries;
  const Tensor mask = torch::zeros({n, seen.size(0) / n}, rows.options().requires_grad(false));
  const Tensor context = pass.attention(
      pass.linear(name + ".attention.query", rows), pass.linear(name + ".attention.key", seen),
      pass.linear(name + ".attention.value", seen), mask, Heads{config_.num_attention_heads},
      config_.attention_probs_dropout_prob);
  const Tensor output =
      pass.dropout(pass.linear(name + ".output.dense", context), config_.hidden_dropout_prob);
  return pass.layer_norm(name + ".output.LayerNorm", pass.sum(output, rows),
                         config_.layer_norm_eps);
}

Tensor QFormer::run_block(std::int64_t block, const Tensor& rows, const Tensor& image,
                          Pass& pass) const {
  const std::string at = q_block_name(block);
  Tensor x = attend(at + ".attention", rows, rows, pass);
  if (crosses(block)) x = attend(at + ".crossattention", x, image, pass);
  const Tensor inner =
      pass.activation(config_.activation, pass.linear(at + ".intermediate_query.dense", x));
  const Tensor output =
      pass.dropout(pass.linear(at + ".output_query.dense", inner), config_.hidden_dropout_prob);
  return pass.block_end(at, pass.layer_norm(at + ".output_query.LayerNorm", pass.sum(output, x),
                                            config_.layer_norm_eps));
}

}  // namespace strata::models
