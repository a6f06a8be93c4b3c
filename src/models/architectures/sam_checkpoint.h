#pragma once
/// \file
/// SAM's weights out of the checkpoints of segment-anything (sam_vit_b_01ec64.pth), MedSAM,
/// SAM-Med2D, SAMed and FLAP-SAM, which have segment-anything's names. LibTorch's types do not
/// show.

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "models/architecture.h"

namespace at {
class Tensor;
}

namespace strata::models {

/// What the folder's checkpoint is of; nullptr where it is no SAM's. Shapes say all but the
/// decoder's heads, of which every published one has 8, and, at image sizes of which the encoder's
/// windows are the whole, which blocks are global: those of a SAM of as many blocks. Epsilons are
/// segment-anything's. A decoder with another number of masks than three, or with further steps of
/// enlarging, has classes, called class_1 and so on. @throws InputError naming the file and a
/// weight: one that is missing, or of a shape that no SAM has
std::shared_ptr<const Architecture> infer_sam(const std::filesystem::path& folder);

/// What a checkpoint's classes are called where it does not say: class_1, class_2 and so on.
std::vector<std::string> unnamed_classes(std::size_t count);
/// Whether classes have no names but those, so that a data set of as many may give them its own.
bool are_unnamed(const std::vector<std::string>& classes);

/// Its parameters and buffers by their own names. The checkpoint is the folder's only .pth (or
/// .pt), or one of SAMed's, which holds LoRA factors, a prompt encoder and a decoder, beside the
/// one that it was trained over. A `module.` before all names goes. LoRA factors of FLAP-SAM (one
/// set, scale 1) and SAMed are added to the weights that they stand beside, so that the model gives
/// the same masks. SAM-Med2D's adapters are left out with a warning, as its README has it.
/// Positions of another image size are resized (resized_positions.h).
/// @throws InputError naming the file and the weight: missing, misshapen, not of floats, unknown
std::map<std::string, at::Tensor> read_sam_checkpoint(const Architecture& sam,
                                                      const std::filesystem::path& folder);

/// All of a SAM's parameters and buffers of these weights by segment-anything's names, in float32,
/// queries, keys and values one tensor: what read_sam_checkpoint reads.
std::map<std::string, at::Tensor> published_sam_weights(
    const Architecture& sam, const std::map<std::string, at::Tensor>& weights);

/// Where FLAP-SAM's program has LoRA factors: those of an attention's queries or values.
struct FlapPlace {
  const Layer* layer;    ///< the projection
  std::string down, up;  ///< the names of A and B
};
std::vector<FlapPlace> flap_places(const Architecture& sam);

}  // namespace strata::models
