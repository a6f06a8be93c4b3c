#pragma once
/// \file
/// What a model is made of: layers with named parameters, in stages. Declared once by an
/// architecture (architecture.h) or a method beside it (attachment.h); loading, initialising,
/// checking, dividing into units and counting costs all read this. No LibTorch here.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "strata/core/unit.h"

namespace strata::models {

using Shape = std::vector<std::int64_t>;

/// How a fresh parameter is drawn.
struct Init {
  enum class Kind : std::uint8_t {
    kZeros,
    kOnes,
    kNormal,    ///< N(mean, scale²)
    kUniform,   ///< between -scale and scale
    kIdentity,  ///< scale where the first two indices are the same, else 0
    kRowNorms   ///< the norms of the rows of the weight `of`
  };
  Kind kind = Kind::kZeros;
  double scale = 0;
  double mean = 0;
  std::string of = {};
};

struct Parameter {
  std::string name;  ///< as in the checkpoint; unique in a model
  Shape shape;
  Init init = {};
  bool bias = false;     ///< added to a layer's output, as BitFit counts them: β of a norm is one
  bool counter = false;  ///< int64, of a buffer: what an older file lacks is 0

  std::int64_t numel() const;
};

enum class LayerKind : std::uint8_t {
  kLinear,       ///< y = x Wᵀ + b
  kConvolution,  ///< the same over patches
  kNorm,         ///< y = x̂ ⊙ γ + β, a row normalised by its own mean and variance (LayerNorm)
  kRmsNorm,      ///< y = x̂ ⊙ γ, a row over its root mean square
  kBatchNorm,    ///< the same with a channel's mean and variance, which are buffers
  kScale,        ///< y = x ⊙ γ (+ β), over the last dimension of rows or the channels of maps
  kUpsampling,   ///< every place of a map becomes 2 × 2: a transposed convolution, (in, out, 2, 2)
  kEmbedding,    ///< y = … + W[ids]
  kTokens,       ///< vectors that are there for every sample: a class token, positions, prompts
  kSequence,     ///< no parameters: the tokens that enter the first block
  kBlock         ///< no parameters: the output of a block
};

/// What a layer is for, where methods ask.
enum class Part : std::uint8_t {
  kOther,
  kAttention,        ///< makes queries, keys or values
  kAttentionOutput,  ///< what comes out of the heads, on its way to the rows
  kMlpNorm,          ///< before the MLP of a block
  kMlpOutput,        ///< the MLP's last layer
  kPositions,        ///< vectors of places
  kResidual          ///< a convolution of a residual branch
};

/// Rows of a tensor that several layers share in files: all of them as many, one under the other.
struct Share {
  std::string name = {};  ///< as Layer::name or Parameter::name; empty: none
  std::int64_t part = 0, parts = 1;
  bool only = false;  ///< files have it so alone, and fresh ones are written so
};

/// Of a decoder's blocks, as Stage::group and Layer::group.
inline constexpr const char* kDecoderGroup = "decoder.";

struct Layer {
  std::string name;  ///< what its parameters' names begin with; unique in a model
  LayerKind kind = LayerKind::kLinear;
  std::int64_t stage = 0;
  Role role = Role::kBody;
  std::string group = {};                  ///< its stage's
  std::int64_t width = 0;                  ///< numbers in a row of its output
  std::vector<Parameter> parameters = {};  ///< the weight, then the bias, where there are
  /// What is stored with the weights but is no parameter: it has no gradient and is in no unit. Of
  /// a kBatchNorm: running mean, running variance, number of batches.
  std::vector<Parameter> buffers = {};
  std::string method = {};   ///< that has put it beside the base's layers; empty: a base's
  std::string renamed = {};  ///< another name that it may be called by
  std::vector<std::string> aliases = {};  ///< further names that files may have it under
  Share share = {};                       ///< where files may have it within another layer's
  bool two_names = false;   ///< transformers has it under either, so that files have both
  bool vocabulary = false;  ///< of an embedding: its ids are those of the input's words
  /// In no unit: nothing is computed with it, or two stages compute with it (a word table that is
  /// the head's weight, too), whose gradients no single stage has.
  bool frozen = false;
  /// The stage whose unit it is in, where that is another than its own: tokens that enter below,
  /// and are read above.
  std::int64_t unit_stage = -1;
  /// Drawn anew where the model gets other labels, as its output layer is.
  bool of_labels = false;
  Part part = Part::kOther;
  std::int64_t stride = 1, padding = 0;  ///< of a convolution
  bool before_batch_norm = false;        ///< a BatchNorm normalises what comes out
  /// Of a place before which tokens of a method's can stand: numbers in a patch of an image, which
  /// become a token. 0: they cannot.
  std::int64_t patch_numbers = 0;

  const Parameter* weight() const;  ///< nullptr where it has none, as bias()
  const Parameter* bias() const;
};

/// Weights that a model folder's own files may lack, as they stand in another folder.
struct LentWeights {
  std::filesystem::path folder;
  std::string name;    ///< what config.json calls that folder
  std::string prefix;  ///< what the names of these weights begin with
  /// What they begin with there, in place of it: one or the other.
  std::vector<std::string> prefixes;
};

/// A step of the forward pass. What lies below it reaches it through its input alone.
struct Stage {
  std::string name;  ///< "embeddings", "vision.block.3", "block.3", "head"
  Role role = Role::kBody;
  /// Of a block beside the model's main ones: what its unit's name begins with, "vision.".
  std::string group = {};
  bool is_block() const { return role == Role::kBody || !group.empty(); }
};

}  // namespace strata::models
