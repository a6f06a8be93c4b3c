#pragma once
/// \file
/// Assignments that differ little from one to the next, such as those along a front, in the memory
/// of what differs.

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <vector>

#include "strata/core/planning_problem.h"

namespace strata {

/// A list of assignments of one shape. It holds the first and the last whole and between two
/// neighbours the entries that differ, 4 bytes each, and 5 where entries are other than 0 or 1:
/// 27,797 points of an exact front of 5000 × 200 take 3 MB instead of 28 GB.
/// \code
/// AssignmentList list;
/// list.push_back(Assignment::Zero(2, 3));
/// list.push_back(Assignment::Ones(2, 3));
/// for (const Assignment& assignment : list)  // one at a time, in order
///   assert(assignment.size() == 6);
/// assert(list[1].cast<int>().sum() == 6);
/// \endcode
class AssignmentList {
 public:
  AssignmentList() = default;
  AssignmentList(std::initializer_list<Assignment> assignments);
  AssignmentList(const std::vector<Assignment>& assignments);

  std::size_t size() const { return ends_.size(); }
  bool empty() const { return ends_.empty(); }
  /// What the list takes of memory.
  std::size_t bytes() const;
  /// Assignment k, from 0, rebuilt. O(clients · units + entries that differ between the first and
  /// it, step by step). Iterating is faster where all are wanted.
  Assignment operator[](std::size_t k) const;

  /// O(clients · units). @throws std::invalid_argument where the shape differs from the others', or
  /// has 2³² entries or more.
  void push_back(const Assignment& assignment);
  /// O(entries that differ). The list must not be empty.
  void pop_back();
  /// O(all entries that differ).
  void reverse();

  /// Goes forward, once: the assignment that it refers to changes with ++.
  class const_iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Assignment;
    using difference_type = std::ptrdiff_t;
    using pointer = const Assignment*;
    using reference = const Assignment&;

    reference operator*() const { return assignment_; }
    pointer operator->() const { return &assignment_; }
    const_iterator& operator++();
    bool operator==(const const_iterator& other) const { return at_ == other.at_; }

   private:
    friend class AssignmentList;
    const_iterator(const AssignmentList& list, std::size_t at);
    const AssignmentList* list_;
    std::size_t at_;
    Assignment assignment_;
  };
  const_iterator begin() const { return {*this, 0}; }
  const_iterator end() const { return {*this, size()}; }

 private:
  /// Turns k − 1 into k, and k into k − 1.
  void toggle(Assignment& assignment, std::size_t k) const;
  std::size_t begin_of(std::size_t k) const { return k > 0 ? ends_[k - 1] : 0; }

  Assignment first_, last_;
  std::vector<std::uint32_t> differing_;  // of all, one after the other, row by row
  std::vector<std::uint8_t> bits_;        // in which they differ; empty: the lowest, of all
  std::vector<std::size_t> ends_;         // of each one's in `differing_`; the first has none
};

}  // namespace strata
