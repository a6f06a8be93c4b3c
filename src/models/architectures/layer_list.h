#pragma once
/// \file
/// Declares the stages and layers of an architecture, in transformers' order.

#include <cstdint>
#include <string>
#include <vector>

#include "models/layer.h"

namespace strata::models {

/// Fills an architecture's lists, which must outlive it. What is added belongs to the stage that
/// was begun last.
class LayerList {
 public:
  LayerList(std::vector<Stage>& stages, std::vector<Layer>& layers)
      : stages_(stages), layers_(layers) {}
  LayerList(const LayerList&) = delete;  // a copy's architecture would have lists of its own
  LayerList& operator=(const LayerList&) = delete;

  void begin_stage(Stage stage) { stages_.push_back(std::move(stage)); }
  /// That were begun.
  std::int64_t stages() const { return static_cast<std::int64_t>(stages_.size()); }
  Layer& add(Layer layer);
  /// `weight` (out, in) and, unless there is none, `bias` (out).
  Layer& add_linear(const std::string& name, std::int64_t out, std::int64_t in, Init matrix,
                    bool bias = true);
  /// A convolution over patches: `weight` (out, in, size, size).
  Layer& add_patches(const std::string& name, std::int64_t out, std::int64_t in, std::int64_t size,
                     Init matrix, bool bias = true);
  Layer& add_norm(const std::string& name, std::int64_t size);
  /// Fresh, it changes nothing: γ + offset is 1.
  Layer& add_rms_norm(const std::string& name, std::int64_t size, double offset = 0);
  Layer& add_table(const std::string& name, std::int64_t rows, std::int64_t width, Init init);
  /// Vectors of every sample; the parameter is called `name`.
  Layer& add_tokens(const std::string& name, Shape shape, Init init);
  Layer& add_place(const std::string& name, LayerKind kind, std::int64_t width);

 private:
  std::vector<Stage>& stages_;
  std::vector<Layer>& layers_;
};

}  // namespace strata::models
