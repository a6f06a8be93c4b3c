#pragma once
/// \file
/// The layers that a method acts on, chosen by the ends of their names, as PEFT's `target_modules`
/// choose them.

#include <functional>
#include <string>
#include <vector>

#include "models/blueprint.h"

namespace strata::peft {

/// Which layers of an architecture a method can act on.
using MayTarget = std::function<bool(const models::Layer&)>;

/// Linear layers of blocks and of what stands between a model's parts, the convolutions of a
/// ResNet.
bool is_matrix(const models::Layer& layer);
/// The convolution that makes tokens of an image's patches, in a model's first stage. It is
/// computed as a linear layer of rows, one a patch (Pass::linear).
bool is_patches(const models::Layer& layer);
bool is_matrix_or_patches(const models::Layer& layer);
/// These, and the linear layers of a classifier's head.
bool is_any_matrix(const models::Layer& layer);
bool is_linear_matrix(const models::Layer& layer);  ///< without the convolutions
bool is_pointwise(const models::Layer& layer);      ///< with those of 1 x 1 alone

/// PEFT's rule: the name itself, or what it ends with behind a dot. A layer of two names
/// (Layer::renamed, Layer::aliases) may be called by any.
bool selects(const std::string& target, const models::Layer& layer);
bool selects_any(const std::vector<std::string>& targets, const models::Layer& layer);

/// What may be a target in a model: the ends of its layers' names ("query", "output.dense"; not
/// "dense", which to PEFT is a pooler's, too), and those of their other names. A target may also
/// say more of a name: "layer.3.attention.attention.query".
std::vector<std::string> target_names(const models::Blueprint& blueprint, const MayTarget& may);

/// The fewest ends of names that select the layers for which `targeted` holds and nothing else,
/// under both names where layers have two, and whole ones under every name, so that every
/// transformers finds them.
std::vector<std::string> target_modules(const models::Blueprint& blueprint,
                                        const MayTarget& targeted);

/// Whether transformers has the layers of its blocks under two names each (Layer::two_names).
bool has_two_names(const models::Architecture& architecture);

/// What other versions of transformers call a layer in memory, as PEFT's files do: the second name
/// of a ViT's; since 4.52 those of models that answer in words begin with "model.".
std::vector<std::string> other_names(const models::Layer& layer);

/// The number of the block that the layer is in, as PEFT's `layers_to_transform` counts; -1 where
/// its name has none.
std::int64_t block_number(const models::Layer& layer);

/// How messages call a method's targets and weights: {"LoRA", "LoRA pairs"}.
struct TargetWords {
  std::string method, plural;
};
/// That every target selects layers that may be, and only such. Those of a PEFT file need not all
/// select one, but one must. @throws InputError beginning with `where`, with the nearest name
void check_targets(const models::Blueprint& blueprint, const std::vector<std::string>& targets,
                   const MayTarget& may, bool from_peft, const TargetWords& words,
                   const std::string& where);

}  // namespace strata::peft
