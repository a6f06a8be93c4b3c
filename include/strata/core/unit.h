#pragma once
/// \file
/// A unit: a selectable group of parameters, and what it costs.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace strata {

/// What a unit is to its model. Said by whoever makes the unit, never read out of its name.
enum class Role : std::uint8_t {
  kBody,        ///< a block, or what a block's unit holds
  kEmbeddings,  ///< what turns the input into vectors
  kHead,        ///< the output layer
  kPrompt,      ///< learned vectors put before the input
  kVision,      ///< of a model that speaks: its image encoder
  kConnector,   ///< likewise: between image encoder and language model
  kOutput       ///< likewise: the scores of its words
};
/// In their order: body, embeddings, head, prompt, vision, connector, output.
const std::vector<std::string>& role_names();
const std::string& role_name(Role role);
std::optional<Role> parse_role(const std::string& name);

/// A selectable group of parameters: the embeddings, a transformer block, the head.
/// \code
/// const Unit head{.name = "head", .role = Role::kHead, .parameters = {"classifier.weight"}};
/// assert(role_name(head.role) == "head");
/// assert(parse_role("body") == Role::kBody && !parse_role("tail"));
/// \endcode
struct Unit {
  std::string name;  ///< e.g. "block.3"; unique in a model
  Role role = Role::kBody;
  std::vector<std::string> parameters;  ///< weight names as in model.safetensors
  std::int64_t parameter_count = 0;
  std::int64_t bytes = 0;    ///< on the wire, one way, at the checkpoint's precision
  double forward_flops = 0;  ///< for one sample; a multiply-add counts as 2
  double activation_bytes =
      0;  ///< kept for the backward pass of one sample when the unit is trained
  /// Running statistics that move while the unit is trained: no parameters, but sent and averaged.
  std::vector<std::string> buffers = {};
  /// Parameters and buffers that every client keeps to itself: trained, neither sent nor averaged.
  std::vector<std::string> local = {};
};

/// The names of the parameters, then of the buffers.
std::vector<std::string> state_of(const Unit& unit);
bool is_local(const Unit& unit, const std::string& name);

/// In their order.
std::vector<std::string> names_of(const std::vector<Unit>& units);

}  // namespace strata
