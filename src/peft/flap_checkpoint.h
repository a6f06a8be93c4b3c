#pragma once
/// \file
/// A SAM as the program of "A Federated Learning-Friendly Approach for PEFT of SAM in 3D
/// Segmentation" has it (FLAP-SAM, 2407.21739; BioMedIA-MBZUAI/FLAP-SAM), in a file of
/// torch.save's.

#include <filesystem>

#include "peft/export.h"

namespace strata::models {
class Model;
}

namespace strata::peft {

/// Writes a dictionary with `state_dict`, which its `load_parameters` takes: all weights by
/// segment-anything's names and, where the model has LoRA pairs, those of queries and values of
/// every attention (`….lora_w_a_q.0.weight`), weighted by 1 there, so that alpha / rank is in B.
/// Its program has pairs of one rank, in every attention: those of a lower rank are filled up with
/// zeros, and so are those that the model lacks. What reads a .pth here adds them to the weights.
/// @throws InputError: no SAM, another method than LoRA, a pair beside another layer, DoRA;
/// WorkError
ExportedFile write_flap_checkpoint(const models::Model& model, const std::filesystem::path& file);

}  // namespace strata::peft
