#pragma once
/// \file
/// The rules, a file each (lora_rule.h). Internal.

#include "fedrunner/lora_rules/lora_rule.h"

namespace strata::fedrunner {

/// A and B averaged apart (FedIT: Zhang et al., arXiv 2305.05644). Σ share · B A is another matrix
/// than the product of the averages: the loss is the `drift`, ‖Σ share · B A − B̄ Ā‖ / ‖Σ share · B
/// A‖ by Frobenius norms, 0 where the denominator is.
/// Where ranks differ, a row of A and a column of B is averaged over the clients that have it.
LoraRule factors_rule();

/// The average of the products, factored anew by SVD and cut to the rank (FlexLoRA: Bai et al.,
/// NeurIPS 2024). With Σ share · B A = U S Vᵀ, A = ρ Vᵀ and B = U S / ρ, ρ the root mean square
/// over the clients and rows of ‖row of A‖, so that A keeps the scale its clients trained and never
/// vanishes. One client's pair is taken over as it is, unless clients cut pairs to ranks of their
/// own: then the first rows and columns, which they get, are always the best part of that rank.
/// Where ranks add up to less than the pair's, other rows of A stay, over columns of B that are 0.
/// The loss is the `cut`: the share of energy, Σ σ² over the singular values that were cut away by
/// Σ σ² over all. O((in + out) (k r)²) for k clients' pairs of rank r.
LoraRule product_rule();

/// FFA-LoRA (Sun et al., ICLR 2024, arXiv 2403.12313): A stays what it was drawn as, B is trained
/// and averaged, so that Σ share · B A is the product of what is averaged.
LoraRule ffa_rule();

/// RoLoRA (Chen et al., arXiv 2502.01755): B alone is trained and sent in rounds 1, 3, …, A alone
/// in rounds 2, 4, …, each time over one other factor, so that averages are exact.
LoraRule rolora_rule();

/// FedSA-LoRA (Guo et al., ICLR 2025, arXiv 2410.01463): both are trained, A is averaged, and every
/// client keeps its B.
LoraRule fedsa_rule();

/// LoRA-FAIR (Bian et al., ICCV 2025, arXiv 2411.14961): the averages Ā and B̄ + ΔB, ΔB what
/// minimises 1 − cos(ΔW, (B̄ + ΔB) Ā) + λ ‖ΔB‖, ΔW = Σ share · B A, with its authors' λ = 0.01, by
/// Frobenius products and norms. Where they take steps of SGD this descends until f falls no
/// further, in float64 and without anything random: from ΔB = 0 along the steepest way, then along
/// −∇f (β G + α I)⁻¹ with G = Ā Āᵀ and the α and β that make its fixed points those of ∇f = 0, each
/// step halved until it falls enough (Armijo). ΔB is 0 where no direction falls faster than λ, and
/// for one client. The loss is the `drift` of what comes of it. O((in + out) (k r)²) for k clients'
/// pairs of rank r, and O(out r²) a step of at most 200.
LoraRule fair_rule();

/// FedEx-LoRA (Singhal et al., ACL 2025, arXiv 2410.09432): Ā and B̄, and the layer's own weight
/// grows by s (Σ share · B A − B̄ Ā), s the pair's scale, so that the global model is the exact mean
/// of the products. O(k r out in).
LoraRule fedex_rule();

/// FLoRA (Wang et al., NeurIPS 2024, arXiv 2409.05976): the layer's own weight grows by s Σ share ·
/// B A, exactly; then A is drawn anew and B is 0. O(k r out in).
LoraRule flora_rule();

/// HetLoRA (Cho et al., EMNLP 2024, arXiv 2401.06432), whose self-pruning is rank_pruning.h: Σ w A
/// and Σ w B, pairs of smaller ranks padded with 0 to the largest of the round, w = ‖B A‖ / Σ ‖B A‖
/// by Frobenius norms, which weigh in place of the shares; where all are 0, the shares do. The loss
/// is the `drift` from Σ w B A.
LoraRule hetlora_rule();

}  // namespace strata::fedrunner
