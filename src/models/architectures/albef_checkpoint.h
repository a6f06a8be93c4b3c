#pragma once
/// \file
/// The weights of a model of ALBEF out of the authors' checkpoints (ALBEF.pth, vqa.pth, and
/// LAVIS's), which hold more and, after pretraining, less.

#include <filesystem>
#include <string>

#include "models/architecture.h"
#include "models/pass.h"

namespace strata::models {

/// All parameters of `albef`, in float32, out of a checkpoint's tensors by their names, whose
/// memory they may share. Momentum copies, queues, and what pretraining alone has are passed over.
///
/// - Of a finished model (there is a `text_decoder.`) each is taken as it is.
/// - Of a pretrained one the decoder starts as the authors' VQA.py has it: its layers are the
///   encoder's from fusion_layer on, its embeddings the encoder's, its head that of masked words.
///
/// Positions for images of another size are interpolated, bicubically, but for the class token's.
/// @throws InputError beginning with `file`: a parameter that is missing, misshapen or not of
/// floats, a weight of an encoder or the decoder that the model does not have, a head whose weight
/// is not the table of words
Weights albef_weights(const Architecture& albef, const Weights& checkpoint,
                      const std::string& file);

/// albef_weights() of the folder's only FILE.pth or FILE.pt, each with memory of its own.
/// @throws InputError: there are several; also as TorchFile does
Weights read_albef_checkpoint(const Architecture& albef, const std::filesystem::path& folder);

}  // namespace strata::models
