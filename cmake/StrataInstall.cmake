# find_package(strata) for C++ users of the planner (strata::core, strata::optimizers).
include(CMakePackageConfigHelpers)
install(TARGETS strata_core strata_optimizers EXPORT strata-targets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS strata RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
if(STRATA_WITH_TORCH)
  install(TARGETS strata-torch RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  if(STRATA_UNUSED_LIBRARIES)
    install(FILES ${STRATA_UNUSED_LIBRARIES} DESTINATION ${CMAKE_INSTALL_LIBDIR}/strata)
  endif()
endif()
install(DIRECTORY include/strata/core include/strata/optimizers
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/strata)
install(EXPORT strata-targets NAMESPACE strata:: FILE strata-targets.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/strata)
configure_package_config_file(cmake/strata-config.cmake.in ${PROJECT_BINARY_DIR}/strata-config.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/strata)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/strata-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/strata-config.cmake ${PROJECT_BINARY_DIR}/strata-config-version.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/strata)
