#include "strata/core/assignment_list.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <stdexcept>

namespace strata {

AssignmentList::AssignmentList(std::initializer_list<Assignment> assignments) {
  for (const Assignment& assignment : assignments) push_back(assignment);
}

void AssignmentList::toggle(Assignment& assignment, std::size_t k) const {
  for (std::size_t i = begin_of(k); i < ends_[k]; ++i)
    assignment.data()[differing_[i]] ^= bits_.empty() ? 1 : bits_[i];
}

Assignment AssignmentList::operator[](std::size_t k) const {
  if (k + 1 == size()) return last_;
  Assignment assignment = first_;
  for (std::size_t step = 1; step <= k; ++step) toggle(assignment, step);
  return assignment;
}

AssignmentList::AssignmentList(const std::vector<Assignment>& assignments) {
  for (const Assignment& assignment : assignments) push_back(assignment);
}

std::size_t AssignmentList::bytes() const {
  return static_cast<std::size_t>(first_.size() + last_.size()) +
         differing_.capacity() * sizeof(differing_[0]) + bits_.capacity() +
         ends_.capacity() * sizeof(ends_[0]);
}

void AssignmentList::push_back(const Assignment& assignment) {
  if (empty()) {
    first_ = last_ = assignment;
    ends_.push_back(0);
    return;
  }
  const auto size = static_cast<std::size_t>(assignment.size());
  if (assignment.rows() != last_.rows() || assignment.cols() != last_.cols() ||
      size > std::numeric_limits<std::uint32_t>::max())
    throw std::invalid_argument("an AssignmentList holds assignments of one shape");
  constexpr std::size_t kBlock = 256;
  for (std::size_t begin = 0; begin < size; begin += kBlock) {
    const std::size_t end = std::min(size, begin + kBlock);
    if (std::memcmp(assignment.data() + begin, last_.data() + begin, end - begin) == 0) continue;
    for (std::size_t i = begin; i < end; ++i) {
      const std::uint8_t bits = assignment.data()[i] ^ last_.data()[i];
      if (bits == 0) continue;
      if (bits != 1 && bits_.empty()) bits_.assign(differing_.size(), 1);
      differing_.push_back(static_cast<std::uint32_t>(i));
      if (bits != 1 || !bits_.empty()) bits_.push_back(bits);
    }
  }
  ends_.push_back(differing_.size());
  last_ = assignment;
}

void AssignmentList::pop_back() {
  toggle(last_, size() - 1);
  differing_.resize(begin_of(size() - 1));
  if (!bits_.empty()) bits_.resize(differing_.size());
  ends_.pop_back();
}

void AssignmentList::reverse() {
  std::swap(first_, last_);
  std::reverse(differing_.begin(), differing_.end());
  std::reverse(bits_.begin(), bits_.end());
  const std::vector<std::size_t> ends = ends_;
  for (std::size_t k = 1; k < size(); ++k) ends_[k] = differing_.size() - ends[size() - 1 - k];
}

AssignmentList::const_iterator::const_iterator(const AssignmentList& list, std::size_t at)
    : list_(&list), at_(at) {
  if (at < list.size()) assignment_ = list.first_;
}

AssignmentList::const_iterator& AssignmentList::const_iterator::operator++() {
  if (++at_ < list_->size()) list_->toggle(assignment_, at_);
  return *this;
}

}  // namespace strata
