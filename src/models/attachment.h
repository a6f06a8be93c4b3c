#pragma once
/// \file
/// What stands beside an architecture's layers: layers of its own, and what they do to the outputs.
/// PEFT methods are attachments (peft/method.h). LibTorch's types are only named here.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "models/layer.h"

namespace at {
class Tensor;
}

namespace strata::models {

class Pass;

class Attachment {
 public:
  virtual ~Attachment() = default;

  /// `Layer::method` of its layers; a model has one attachment of a name.
  virtual const std::string& name() const = 0;
  /// The layers it puts beside a layer of the architecture. None by default.
  virtual std::vector<Layer> layers(const Layer& at) const;
  /// Layers of its own that stand beside none of the architecture's.
  virtual std::vector<Layer> shared_layers(const std::vector<Layer>& architecture) const;
  /// Called with the input of every linear layer and convolution of the architecture; what it
  /// returns is computed with. Returns `input` by default.
  virtual at::Tensor before(const Layer& at, const at::Tensor& input, Pass& pass) const;
  /// Called with the rows (n, tokens, width) that enter a block, where that has a place for tokens
  /// (Layer::patch_numbers of its kBlock); by default not, as enters_blocks() says.
  virtual bool enters_blocks() const { return false; }
  virtual at::Tensor entering(const Layer& block, const at::Tensor& rows, Pass& pass) const;
  /// Called with the input and output of every layer of the architecture as it is computed; what it
  /// returns goes on. `pass` computes its own layers. Returns `output` by default.
  virtual at::Tensor after(const Layer& at, const at::Tensor& input, const at::Tensor& output,
                           Pass& pass) const;
  /// So many tokens stand before the architecture's own, from its kSequence on.
  virtual std::int64_t prefix_tokens() const { return 0; }
};

using Attachments = std::vector<std::shared_ptr<const Attachment>>;

}  // namespace strata::models
