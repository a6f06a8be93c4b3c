#pragma once
/// \file
/// Multi-head scaled dot-product attention, with a fused implementation for CPUs.

#include <torch/torch.h>

namespace strata {

/// softmax(QKᵀ/√d + mask) V for every sample and head.
/// \param query  (n·Q, heads·d), \param key and \param value (n·S, heads·d): tokens of a sample
/// together \param mask   (n, S), added to the scores of every query and head \param dropout
/// probability with which an attention weight is dropped \return (n·Q, heads·d) On the CPU without
/// dropout, scores, softmax and products run sample by sample in one pass: LibTorch's bmm costs
/// several times more for matrices this small.
torch::Tensor attention(const torch::Tensor& query, const torch::Tensor& key,
                        const torch::Tensor& value, const torch::Tensor& mask, std::int64_t heads,
                        double dropout);

}  // namespace strata
