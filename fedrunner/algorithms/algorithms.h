#pragma once
/// \file
/// The algorithms, a file each (algorithm.h). x is a global weight, y what a client has made of it,
/// p a client's part of all clients of the run: by its training samples, or 1 / their number
/// (`run.server.weights`). What is said of a weight holds for the clients that trained it in the
/// round; of others nothing changes. Internal.

#include "fedrunner/algorithms/algorithm.h"

namespace strata::fedrunner {

/// The average alone (FedAvg: McMahan et al., AISTATS 2017).
Algorithm fedavg();

/// SCAFFOLD (Karimireddy et al., ICML 2020, arXiv 1910.06378, algorithm 1, option II). Each of K
/// steps of SGD with the rate η takes g − cᵢ + c, g the clipped gradient, cᵢ the client's control
/// variate and c the server's; then cᵢ⁺ = cᵢ − c + (x − y) / (K η), and c ← c + Σ p (cᵢ⁺ − cᵢ),
/// which with equal parts is the paper's |S| / N times a mean. With η = 0 nothing moves. K η is
/// that of a rate that is constant within the round, and y moves by the weight decay, too, which so
/// is a part of what is estimated.
Algorithm scaffold();

/// FedDyn (Acar et al., ICLR 2021, arXiv 2111.04263, algorithm 1). The local loss gets − ⟨gᵢ, y⟩ +
/// α/2 ‖y − x‖², gᵢ what the client remembers of the weight; then gᵢ ← gᵢ − α (y − x), h ← h − α Σ
/// p (y − x), and the next x is the average of y minus h / α. So h stays Σ p gᵢ over all clients.
Algorithm feddyn();

/// Ditto (Li et al., ICML 2021, arXiv 2012.04221, algorithm 1). The global model is FedAvg's; each
/// client also trains v of its own from v on, with λ/2 ‖v − x‖² beside the loss, for as many steps
/// on the same batches, and is measured with it. It begins with the first x that it trains.
Algorithm ditto();

/// FedDAT (Chen et al., AAAI 2024, arXiv 2308.12305), as the authors' program has it
/// (github.com/HaokunChen245/FedDAT, commit 8ed970a). Beside the adapters A that a client receives,
/// trains and sends it has A_c of its own, which never leave it. Its Dual-Adapter Teacher acts in
/// every such place by the mean of A_c and Â, the A that it received: rows + ½ (A_c(rows) +
/// Â(rows)). Each batch makes a step of the model with A and then one of the teacher (Partner), in
/// which A_c moves: mutual distillation, weighted by β (`distill_shared`) and α (`distill_local`).
/// What is no adapter, such as the head, both train. A_c is drawn as the adapter was when the
/// client first trains it, and what a client does not train in a round acts in its teacher, too. A
/// client that trains no adapter in a round trains by the loss alone. The server averages A.
/// Clients are measured with the mean of A_c and the global A.
Algorithm feddat();

}  // namespace strata::fedrunner
