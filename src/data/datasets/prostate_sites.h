#pragma once
/// \file
/// The six prostate sites, which their reader and the maker of phantoms in their layout share.
/// Internal.

#include <set>
#include <string>
#include <vector>

namespace strata::data {

struct ProstateSite {
  const char *name, *other_name;
  std::set<int> test;       ///< numbers of cases; all others are for training
  const char* mask_ending;  ///< as SAML has it
};

/// RUNMC, BMC, I2CVB, UCL, BIDMC, HK.
const std::vector<ProstateSite>& prostate_site_table();

/// "Case07".
std::string padded_case(int number);

}  // namespace strata::data
