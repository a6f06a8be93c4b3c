# The commit goes into --version and into every provenance block. It is looked up at build time, so that
# a commit made after configuring is not misreported.
find_package(Git QUIET)
set(STRATA_VERSION_SOURCE ${PROJECT_BINARY_DIR}/generated/build_info.cpp)
add_custom_target(strata_build_info_generate
  BYPRODUCTS ${STRATA_VERSION_SOURCE}
  COMMAND ${CMAKE_COMMAND}
    -DGIT=${GIT_EXECUTABLE} -DSOURCE_DIR=${PROJECT_SOURCE_DIR} -DVERSION=${PROJECT_VERSION}
    -DBUILD_TYPE=${CMAKE_BUILD_TYPE} -DWITH_TORCH=${STRATA_WITH_TORCH}
    "-DCOMPILER=${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}"
    -DTEMPLATE=${PROJECT_SOURCE_DIR}/cmake/build_info.cpp.in -DOUTPUT=${STRATA_VERSION_SOURCE}
    -P ${PROJECT_SOURCE_DIR}/cmake/WriteBuildInfo.cmake
  COMMENT "" VERBATIM)
