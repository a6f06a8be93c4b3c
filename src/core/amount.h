#pragma once
/// \file
/// Amounts as people write them: 4, 4e6, 400kB, 4MiB, 1.5GB, 2GFLOP.

#include <cstdint>
#include <string>
#include <string_view>

namespace strata {

/// A whole number from 0 to 2⁵³ of units, bytes, flops or memory (bytes, too), which `of` names. A
/// number, and for all but units a prefix (k, M, G, T, P are powers of 1000; Ki, Mi, Gi, Ti, Pi of
/// 1024) and B for bytes or FLOP or FLOPs for flops, each optional and of either case. False for
/// anything else, and where the result is not whole.
bool parse_amount(std::string_view text, const std::string& of, std::int64_t& value);

/// What an amount of this text counts by its symbol, "" for a number alone: bytes, flops.
std::string counted_by(const std::string& amount);

/// "269 kB": at most three decimals; of units and ranks the number alone.
std::string amount_text(std::int64_t amount, const std::string& of);

/// What is allowed: "a whole number of bytes, such as 400kB, 4MiB or 1.5GB".
std::string allowed_amount(const std::string& of);

}  // namespace strata
