#pragma once
/// \file
/// What a unit's name says of a Hugging Face model: the number of its layer, or that it is the
/// head.

#include <string>
#include <vector>

namespace strata::cli {

/// The name between its dots.
std::vector<std::string> parts_of(const std::string& unit);
/// Whether it is a number of up to five digits.
bool is_layer_number(const std::string& text);
/// What a list of layers is called in most models: layer, layers, block, blocks and h.
const std::vector<std::string>& layer_words();
/// The first whole number between dots or, without one, behind the word layer or block; or −1:
/// "block.3", "model.layers.3.mlp" and "layer3" are layer 3.
int layer_of(const std::string& unit);
/// What stands before the layer's number, "vision.block" of "vision.block.3"; "" of "layer3".
std::string tower_of(const std::string& unit);
/// @throws InputError where layers by number are of several towers, so that numbers do not say
/// which layers they are: `where`, the towers, and `instead`.
void require_one_tower(const std::vector<std::string>& units, const std::string& where,
                       const std::string& instead);
/// The unit of Strata's own name for whatever head a model has.
inline constexpr const char* kHeadUnit = "head";
/// Whether it ends in "head", "classifier", "score" or "lm_head".
bool is_head(const std::string& unit);

}  // namespace strata::cli
