# Warnings, ccache and the helper that declares one module.

find_program(STRATA_CCACHE ccache)
if(STRATA_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # ccache refuses precompiled headers unless told that their defines and times are harmless. Their path is
  # part of the command; taken from the build folder, it is the same for every preset, which then share results.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=true CCACHE_DEPEND=true ${STRATA_CCACHE})
endif()

# With CMAKE_UNITY_BUILD, as the presets have it, a compilation reads the headers once for so many sources of a module:
# half the time of a source with LibTorch. A name of a source's own is then used once in a module.
if(NOT DEFINED CMAKE_UNITY_BUILD_BATCH_SIZE)
  set(CMAKE_UNITY_BUILD_BATCH_SIZE 10)
endif()

set(STRATA_WARNINGS -Wall -Wextra -Wno-unused-parameter)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 warns of impossible overlaps and lengths in std::string concatenation (GCC bug 105329), and takes members of
  # value-initialised structures for uninitialised.
  list(APPEND STRATA_WARNINGS -Wno-restrict -Wno-stringop-overflow -Wno-array-bounds -Wno-maybe-uninitialized)
endif()

if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # GCC's own default collects its garbage so often that it is a tenth of a long compilation; this takes a tenth more
  # memory.
  add_compile_options(--param=ggc-min-expand=200 --param=ggc-min-heapsize=600000)
endif()

# What reads, writes and prints, once for every file or page: a release that optimises it further takes a half longer to
# compile.
set(STRATA_PLAIN_OPTIONS $<$<CONFIG:Release>:-O1> CACHE STRING "How reports and the command line are compiled")

# What calls LibTorch spends its time there; a release that optimises it further takes a quarter longer to compile.
set(STRATA_TORCH_OPTIONS $<$<CONFIG:Release>:-O1> CACHE STRING "How modules with LibTorch are compiled")

# Eigenvalues are computed by templates that the compiler sees here.
set(STRATA_EIGEN_OPTIONS $<$<CONFIG:Release>:-O3> CACHE STRING "How the eigenvalue solvers are compiled")

# Products of attention are loops of our own. At -O1 they are four times as slow, and so a step of a small model takes
# half as long again; no ratio of one build's figures shows it, scripts/compare-speed does.
set(STRATA_LOOP_OPTIONS $<$<CONFIG:Release>:-O3> CACHE STRING "How loops over numbers beside LibTorch are compiled")

# strata_precompiled(NAME LIBRARIES libs... HEADERS headers...): headers compiled once, for the modules and tests
# that name it. GCC refuses them where the flags differ.
function(strata_precompiled name)
  cmake_parse_arguments(arg "" "" "LIBRARIES;HEADERS" ${ARGN})
  add_library(${name} OBJECT ${PROJECT_SOURCE_DIR}/cmake/precompiled.cpp)
  target_link_libraries(${name} PUBLIC ${arg_LIBRARIES})
  target_compile_options(${name} PRIVATE ${STRATA_WARNINGS})
  target_precompile_headers(${name} PRIVATE ${arg_HEADERS})
  set_target_properties(${name} PROPERTIES UNITY_BUILD OFF)
endfunction()

# strata_module(NAME SOURCES... [PUBLIC libs...] [PRIVATE libs...] [PRECOMPILED target])
# One static library `strata_NAME` with the alias strata::NAME. Public headers are under include/,
# internal ones are included as "module/file.h" from src/ or the module's own folder.
function(strata_module name)
  cmake_parse_arguments(arg "" "PRECOMPILED" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  if(NOT arg_PRECOMPILED)
    set(arg_PRECOMPILED strata_precompiled_headers)
  endif()
  add_library(strata_${name} STATIC ${arg_SOURCES})
  add_library(strata::${name} ALIAS strata_${name})
  set_target_properties(strata_${name} PROPERTIES EXPORT_NAME ${name})
  target_include_directories(strata_${name}
    PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
    PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR})
  target_compile_options(strata_${name} PRIVATE ${STRATA_WARNINGS})
  target_link_libraries(strata_${name} PUBLIC ${arg_PUBLIC} PRIVATE ${arg_PRIVATE})
  target_precompile_headers(strata_${name} REUSE_FROM ${arg_PRECOMPILED})
endfunction()
