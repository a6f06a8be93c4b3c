include(${CMAKE_CURRENT_LIST_DIR}/StrataCommit.cmake)
strata_commit(COMMIT ${SOURCE_DIR} "${GIT}")
configure_file(${TEMPLATE} ${OUTPUT} @ONLY)
