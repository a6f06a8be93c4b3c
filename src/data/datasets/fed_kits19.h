#pragma once
/// \file
/// The sites of Fed-KiTS19, which its reader and the maker of phantoms in its layout share.
/// Internal.

#include <array>
#include <string>
#include <vector>

namespace strata::data {

struct KitsSite {
  char letter;
  std::array<float, 2> window;   ///< HU
  std::vector<int> train, test;  ///< numbers of cases

  std::string client() const { return std::string("site-") + letter; }
};

/// A to F.
const std::vector<KitsSite>& kits_sites();

/// "case_00021".
std::string kits_case(int number);

}  // namespace strata::data
