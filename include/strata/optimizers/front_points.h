#pragma once
/// \file
/// The points of a front with their assignments, in the memory of what differs between neighbours.

#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <vector>

#include "strata/core/assignment_list.h"
#include "strata/core/planning_problem.h"

namespace strata::optimizers {

/// An assignment with its objectives.
struct FrontPoint {
  Assignment assignment;
  Objectives objectives;
};

/// In their order.
std::vector<Objectives> objectives_of(const std::vector<FrontPoint>& points);

/// Points in an order of their own. One that is asked for is rebuilt (AssignmentList), so iterate
/// where all are wanted, and take `objectives` where these suffice.
/// \code
/// FrontPoints points;
/// points.push_back({Assignment::Zero(2, 3), {.importance = 0}});
/// points.push_back({Assignment::Ones(2, 3), {.importance = 6}});
/// for (const FrontPoint& point : points)
///   assert(point.assignment.cast<int>().sum() == point.objectives.importance);
/// \endcode
class FrontPoints {
 public:
  FrontPoints() = default;
  FrontPoints(std::initializer_list<FrontPoint> points);
  FrontPoints(const std::vector<FrontPoint>& points);

  std::size_t size() const { return objectives_.size(); }
  bool empty() const { return objectives_.empty(); }
  const std::vector<Objectives>& objectives() const { return objectives_; }
  const AssignmentList& assignments() const { return assignments_; }
  /// As AssignmentList's.
  FrontPoint operator[](std::size_t k) const { return {assignments_[k], objectives_[k]}; }
  FrontPoint front() const { return (*this)[0]; }
  FrontPoint back() const { return (*this)[size() - 1]; }

  void push_back(const FrontPoint& point);
  void pop_back();
  void reverse();

  /// Goes forward, once.
  class const_iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = FrontPoint;
    using difference_type = std::ptrdiff_t;
    using pointer = void;
    using reference = FrontPoint;

    FrontPoint operator*() const { return {*assignment_, *objectives_}; }
    const_iterator& operator++() {
      ++assignment_;
      ++objectives_;
      return *this;
    }
    bool operator==(const const_iterator& other) const { return assignment_ == other.assignment_; }

   private:
    friend class FrontPoints;
    const_iterator(AssignmentList::const_iterator assignment,
                   std::vector<Objectives>::const_iterator objectives)
        : assignment_(std::move(assignment)), objectives_(objectives) {}
    AssignmentList::const_iterator assignment_;
    std::vector<Objectives>::const_iterator objectives_;
  };
  const_iterator begin() const { return {assignments_.begin(), objectives_.begin()}; }
  const_iterator end() const { return {assignments_.end(), objectives_.end()}; }

 private:
  AssignmentList assignments_;
  std::vector<Objectives> objectives_;
};

}  // namespace strata::optimizers
