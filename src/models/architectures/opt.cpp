#include "models/architectures/opt.h"

#include <algorithm>

#include "models/architectures/activations.h"
#include "models/architectures/classifier_head.h"
#include "models/architectures/config_limits.h"
#include "models/architectures/masks.h"

namespace strata::models {
namespace {

using torch::Tensor;

const std::string kOptModel = "language_model.model.decoder.";
const std::string kOptWords = kOptModel + "embed_tokens";
const std::string kOptPositions = kOptModel + "embed_positions";
const std::string kOptSequence = kOptWords + ".sequence";
const std::string kOptHead = "language_model.lm_head";

constexpr const char* kOptRows = "rows";
constexpr const char* kOptVisible = "visible";
constexpr double kOptEps = 1e-5;
/// Rows of the table of positions before the first token's; padding has the second.
constexpr std::int64_t kPositionOffset = 2;
/// Twice what any OPT reads: a mask of all pairs of tokens must fit into memory.
constexpr std::int64_t kMostOptTokens = 4096;

std::string opt_block_name(std::int64_t block) {
  return kOptModel + "layers." + std::to_string(block);
}

class Opt : public LanguageModel {
 public:
  explicit Opt(OptConfig config) : config_(config) {}

  std::int64_t width() const override { return config_.hidden_size; }
  std::int64_t vocabulary_size() const override { return config_.vocab_size; }
  std::int64_t most_tokens() const override {
    return std::min(config_.max_position_embeddings, kMostOptTokens);
  }
  void declare(LayerList& list) const override;
  State run(std::int64_t stage, const Batch& batch, const State& input, const ImagePlaces& images,
            Pass& pass) const override;
  void complete(Batch& sample) const override {
    if (config_.labels > 0) return;
    sample.outputs = torch::tensor({std::int64_t{0}, sample.input_ids.size(1) - 1}).view({1, 2});
  }
  std::shared_ptr<const LanguageModel> as_stored(
      const std::function<bool(const std::string&)>& has) const override {
    if (config_.labels > 0) return nullptr;
    OptConfig stored = config_;
    stored.tied = !has(kOptHead + ".weight");
    return stored.tied == config_.tied ? nullptr : std::make_shared<Opt>(stored);
  }
  std::shared_ptr<const LanguageModel> with(std::int64_t labels) const override {
    OptConfig changed = config_;
    changed.labels = labels;
    return std::make_shared<Opt>(changed);
  }

 private:
  void declare_block(std::int64_t block, LayerList& list) const;
  State run_words(const Batch& batch, const State& input, const ImagePlaces& images,
                  Pass& pass) const;
  Tensor run_block(std::int64_t block, const Tensor& rows, const Tensor& visible, Pass& pass) const;
  Tensor attend(const std::string& name, const Tensor& rows, const Tensor& visible,
                Pass& pass) const;
  State run_head(const Batch& batch, const State& input, Pass& pass) const;

  OptConfig config_;
};

void Opt::declare(LayerList& list) const {
  const Init init{Init::Kind::kNormal, config_.init_std};
  list.begin_stage({"embeddings", Role::kEmbeddings});
  Layer& words = list.add_table(kOptWords, config_.vocab_size, config_.hidden_size, init);
  words.vocabulary = true;
  words.frozen = config_.tied && config_.labels == 0;
  list.add_table(kOptPositions, config_.max_position_embeddings + kPositionOffset,
                 config_.hidden_size, init);
  list.add_place(kOptSequence, LayerKind::kSequence, config_.hidden_size);
  for (std::int64_t block = 0; block < config_.num_hidden_layers; ++block) {
    list.begin_stage({"block." + std::to_string(block), Role::kBody});
    declare_block(block, list);
  }
  list.begin_stage({"head", config_.labels > 0 ? Role::kHead : Role::kOutput});
  if (config_.last_norm) list.add_norm(kOptModel + "final_layer_norm", config_.hidden_size);
  if (config_.labels > 0)
    list.add_linear(kScoreHead, config_.labels, config_.hidden_size, init, /*bias=*/false);
  else if (!config_.tied)
    list.add_linear(kOptHead, config_.vocab_size, config_.hidden_size, init, /*bias=*/false);
}

void Opt::declare_block(std::int64_t block, LayerList& list) const {
  const std::int64_t hidden = config_.hidden_size;
  const Init init{Init::Kind::kNormal, config_.init_std};
  const std::string at = opt_block_name(block);
  for (const char* projection : {"k_proj", "v_proj", "q_proj", "out_proj"})
    list.add_linear(at + ".self_attn." + projection, hidden, hidden, init, config_.bias).part =
        Part::kAttention;
  list.add_norm(at + ".self_attn_layer_norm", hidden);
  list.add_linear(at + ".fc1", config_.ffn_dim, hidden, init, config_.bias);
  list.add_linear(at + ".fc2", hidden, config_.ffn_dim, init, config_.bias);
  list.add_norm(at + ".final_layer_norm", hidden);
  list.add_place(at, LayerKind::kBlock, hidden);
}

State Opt::run(std::int64_t stage, const Batch& batch, const State& input,
               const ImagePlaces& images, Pass& pass) const {
  if (stage == 0) return run_words(batch, input, images, pass);
  if (stage == config_.num_hidden_layers + 1) return run_head(batch, input, pass);
  const Tensor rows =
      run_block(stage - 1, input.values.at(kOptRows), input.constants.at(kOptVisible), pass);
  return {{{kOptRows, rows}}, input.constants};
}

State Opt::run_words(const Batch& batch, const State& input, const ImagePlaces& images,
                     Pass& pass) const {
  const Tensor& ids = batch.input_ids;
  const std::string words = kOptWords + ".weight", positions = kOptPositions + ".weight";
  const Tensor known = word_ids(ids, images);
  Tensor rows = pass.used(Use::kEmbedding, words, known, pass.lookup(words, known));
  const auto image = input.values.find(kImageRows);
  const bool goes_on = image == input.values.end();
  if (!goes_on) rows = joined(rows, ids, image->second, images, pass);
  // What a method puts before the tokens has no position.
  const std::int64_t before = goes_on ? pass.blueprint().prefix_tokens() : 0;
  const Tensor attended =
      with_ones_before(batch.attention_mask, goes_on ? 0 : rows.size(1) - ids.size(1))
          .narrow(1, before, batch.attention_mask.size(1) - ids.size(1) + rows.size(1) - before)
          .to(torch::kLong);
  const auto continuations = [&](const Tensor& mask) {
    return continuations_of(batch.continuations, mask.size(1));
  };
  const Tensor counted =
      counted_tokens(attended, continuations(attended)) * attended - 1 + kPositionOffset;
  const Tensor places = counted.narrow(1, counted.size(1) - rows.size(1), rows.size(1));
  rows =
      pass.used(Use::kEmbedding, positions, places, pass.sum(rows, pass.lookup(positions, places)));
  const std::int64_t own = rows.size(1);
  rows = pass.sequence(kOptSequence, rows);
  const Tensor all = with_ones_before(attended, before + rows.size(1) - own);
  const Tensor visible = pass.of_tokens({all.size(0), 1, rows.size(1), all.size(1)}, [&] {
    Tensor seen =
        causal(rows.size(1), all.size(1), rows.device()).logical_and(all.unsqueeze(1) > 0);
    if (batch.continuations.defined())
      seen = seen.logical_and(of_own_text(continuations(all), rows.size(1)));
    return added_mask(seen.unsqueeze(1), rows.scalar_type());
  });
  return {{{kOptRows, rows.reshape({-1, config_.hidden_size})}}, {{kOptVisible, visible}}};
}

Tensor Opt::attend(const std::string& name, const Tensor& rows, const Tensor& visible,
                   Pass& pass) const {
  const auto [keys, values] = pass.remembered(
      name, {pass.linear(name + ".k_proj", rows), pass.linear(name + ".v_proj", rows)});
  const Tensor context =
      pass.attention(pass.linear(name + ".q_proj", rows), keys, values, visible,
                     Heads{config_.num_attention_heads}, config_.attention_dropout);
  return pass.dropout(pass.linear(name + ".out_proj", context), config_.dropout);
}

Tensor Opt::run_block(std::int64_t block, const Tensor& rows, const Tensor& visible,
                      Pass& pass) const {
  const std::string at = opt_block_name(block);
  const auto norm = [&](const char* name, const Tensor& x) {
    return pass.layer_norm(at + name, x, kOptEps);
  };
  const auto feed = [&](const Tensor& x) {
    const Tensor inner = pass.activation(config_.activation, pass.linear(at + ".fc1", x));
    return pass.dropout(pass.linear(at + ".fc2", inner), config_.dropout);
  };
  const std::string attention = at + ".self_attn";
  if (config_.norm_before) {
    const Tensor x =
        pass.sum(rows, attend(attention, norm(".self_attn_layer_norm", rows), visible, pass));
    return pass.block_end(at, pass.sum(x, feed(norm(".final_layer_norm", x))));
  }
  const Tensor x =
      norm(".self_attn_layer_norm", pass.sum(rows, attend(attention, rows, visible, pass)));
  return pass.block_end(at, norm(".final_layer_norm", pass.sum(x, feed(x))));
}

State Opt::run_head(const Batch& batch, const State& input, Pass& pass) const {
  const bool chooses = config_.labels > 0;
  Tensor rows = input.values.at(kOptRows);
  rows = chooses ? last_rows(batch, rows) : asked_rows(batch, rows, batch.input_ids.size(1));
  if (config_.last_norm) rows = pass.layer_norm(kOptModel + "final_layer_norm", rows, kOptEps);
  if (chooses) return {{{kLogits, pass.linear(kScoreHead, rows)}}, {}};
  return {{{kTokenLogits, pass.linear(config_.tied ? kOptWords : kOptHead, rows)}}, {}};
}

}  // namespace

std::shared_ptr<const LanguageModel> read_opt(ObjectReader& reader) {
  OptConfig config;
  const auto integer = [&](const char* key, std::int64_t high, std::int64_t& field) {
    field = reader.integer(key, 1, high, field);
  };
  const auto number = [&](const char* key, double high, double& field) {
    field = reader.number(key, 0, high, field);
  };
  integer("hidden_size", kLargestWidth, config.hidden_size);
  integer("ffn_dim", kLargestIntermediate, config.ffn_dim);
  integer("num_hidden_layers", kMostLayers, config.num_hidden_layers);
  integer("num_attention_heads", kLargestWidth, config.num_attention_heads);
  integer("vocab_size", kLargestVocabulary, config.vocab_size);
  integer("max_position_embeddings", kLongestText, config.max_position_embeddings);
  check_divisible(reader, "hidden_size", config.hidden_size, "num_attention_heads",
                  config.num_attention_heads);
  number("dropout", 0.999, config.dropout);
  number("attention_dropout", 0.999, config.attention_dropout);
  number("init_std", 10, config.init_std);
  config.activation = read_activation(reader, "activation_function", config.activation);
  config.norm_before = reader.boolean("do_layer_norm_before", true);
  config.last_norm = config.norm_before && !reader.boolean("_remove_final_layer_norm", false);
  config.bias = reader.boolean("enable_bias", true);
  config.tied = reader.boolean("tie_word_embeddings", true);
  if (!reader.boolean("layer_norm_elementwise_affine", true))
    reader.fail("layer_norm_elementwise_affine", "false is not computed; only true is");
  if (reader.raw("word_embed_proj_dim").is_null()) return std::make_shared<Opt>(config);
  const std::int64_t words = reader.integer("word_embed_proj_dim", 1, kLargestWidth);
  if (words != config.hidden_size) {
    reader.fail("word_embed_proj_dim", "found " + std::to_string(words) +
                                           ", but words can stand among an image's rows only "
                                           "where it is hidden_size = " +
                                           std::to_string(config.hidden_size));
  }
  return std::make_shared<Opt>(config);
}

}  // namespace strata::models
