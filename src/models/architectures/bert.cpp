#include "models/architectures/bert.h"

#include "strata/core/error.h"

namespace strata::models {

using torch::Tensor;

Tensor bert_mask(const Tensor& seen, torch::ScalarType type) {
  constexpr double kHidden = -10000;
  return (1 - seen.to(type)) * kHidden;
}

Layer& Bert::declare_words(LayerList& list) const {
  Layer& table = list.add_table(words(), config_.vocab_size, config_.hidden_size,
                                {Init::Kind::kNormal, config_.initializer_range});
  table.vocabulary = true;
  return table;
}

void Bert::declare_embeddings(LayerList& list) const {
  const Init init{Init::Kind::kNormal, config_.initializer_range};
  const std::int64_t hidden = config_.hidden_size;
  const std::string name = prefix_ + "embeddings.";
  list.add_table(name + "position_embeddings", config_.max_position_embeddings, hidden, init);
  list.add_table(name + "token_type_embeddings", config_.type_vocab_size, hidden, init);
  list.add_norm(name + "LayerNorm", hidden);
}

void Bert::declare_attention(const std::string& name, LayerList& list) const {
  const Init init{Init::Kind::kNormal, config_.initializer_range};
  const std::int64_t hidden = config_.hidden_size;
  for (const char* projection : {".self.query", ".self.key", ".self.value", ".output.dense"})
    list.add_linear(name + projection, hidden, hidden, init).part = Part::kAttention;
  list.add_norm(name + ".output.LayerNorm", hidden);
}

void Bert::declare_block(std::int64_t block, LayerList& list) const {
  const Init init{Init::Kind::kNormal, config_.initializer_range};
  const std::int64_t hidden = config_.hidden_size, inner = config_.intermediate_size;
  const std::string name = block_name(block);
  declare_attention(name + ".attention", list);
  if (block >= config_.fusion_layer) declare_attention(name + ".crossattention", list);
  list.add_linear(name + ".intermediate.dense", inner, hidden, init);
  list.add_linear(name + ".output.dense", hidden, inner, init);
  list.add_norm(name + ".output.LayerNorm", hidden);
  list.add_place(name, LayerKind::kBlock, hidden);
}

Tensor Bert::embed(const Tensor& ids, Pass& pass) const {
  const std::int64_t texts = ids.size(0), tokens = ids.size(1), before = pass.tokens_before();
  if (before + tokens > config_.max_position_embeddings) {
    throw InputError("a text has " + std::to_string(before + tokens) + " tokens, but there are " +
                     std::to_string(config_.max_position_embeddings) +
                     " positions (max_position_embeddings)");
  }
  const std::string name = prefix_ + "embeddings.";
  const std::string word = words() + ".weight", position = name + "position_embeddings.weight",
                    type = name + "token_type_embeddings.weight";
  Tensor rows = pass.lookup(word, ids) +
                (pass.weight(position).narrow(0, before, tokens) + pass.weight(type).select(0, 0));
  rows = pass.used(Use::kEmbedding, word, ids, rows);
  rows = pass.used(Use::kEmbedding, position,
                   torch::arange(before, before + tokens, ids.options()).expand({texts, tokens}),
                   rows);
  rows = pass.used(Use::kEmbedding, type, torch::zeros_like(ids), rows);
  return pass.dropout(pass.layer_norm(name + "LayerNorm", rows, config_.layer_norm_eps),
                      config_.hidden_dropout_prob);
}

Tensor Bert::added(const std::string& name, const Tensor& x, const Tensor& rows, Pass& pass) const {
  const Tensor found = pass.dropout(pass.linear(name + ".dense", x), config_.hidden_dropout_prob);
  return pass.layer_norm(name + ".LayerNorm", found + rows, config_.layer_norm_eps);
}

Pass::Seen Bert::own_tokens(const std::string& name, const Tensor& rows, const Tensor& mask,
                            Pass& pass) const {
  Pass::Kept kept{pass.linear(name + ".self.key", rows), pass.linear(name + ".self.value", rows)};
  if (goes_on_) kept = pass.remembered(name, kept);
  return {kept.keys, kept.values, mask};
}

Pass::Seen Bert::seen_of(const std::string& name, const OtherStates& others, Pass& pass) const {
  // Keys and values of a sample are formed once, however many texts read them.
  const auto projected = [&](const char* layer) {
    const Tensor all = pass.linear(name + layer, others.rows);
    if (!others.of_text.defined()) return all;
    const std::int64_t states = others.mask.size(-1), hidden = config_.hidden_size;
    return all.view({-1, states, hidden}).index_select(0, others.of_text).view({-1, hidden});
  };
  const auto make = [&] {
    return Pass::Seen{projected(".self.key"), projected(".self.value"), others.mask};
  };
  return goes_on_ ? pass.once(name, make) : make();
}

Tensor Bert::attend(const std::string& name, const Tensor& rows, const Pass::Seen& seen,
                    Pass& pass) const {
  const Tensor found =
      pass.attention(pass.linear(name + ".self.query", rows), seen.keys, seen.values, seen.mask,
                     Heads{config_.num_attention_heads}, config_.attention_probs_dropout_prob);
  return added(name + ".output", found, rows, pass);
}

Tensor Bert::run_block(std::int64_t block, const Tensor& rows, const Tensor& mask,
                       const OtherStates& others, Pass& pass) const {
  const std::string name = block_name(block), own = name + ".attention";
  Tensor x = attend(own, rows, own_tokens(own, rows, mask, pass), pass);
  if (block >= config_.fusion_layer) {
    const std::string cross = name + ".crossattention";
    x = attend(cross, x, seen_of(cross, others, pass), pass);
  }
  const Tensor inner =
      pass.activation(Activation::kGelu, pass.linear(name + ".intermediate.dense", x));
  return pass.block_end(name, added(name + ".output", inner, x, pass));
}

}  // namespace strata::models
