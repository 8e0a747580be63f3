# SPDX-License-Identifier: BSD-3-Clause
# cmake --install: libraries, headers, apps and a package that find_package(Partita) finds.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/Partita)
get_property(partita_module_table GLOBAL PROPERTY partita_module_table)
string(REPLACE ";" " " partita_module_table "${partita_module_table}")
configure_package_config_file(${PROJECT_SOURCE_DIR}/scripts/cmake/PartitaConfig.cmake.in ${PROJECT_BINARY_DIR}/PartitaConfig.cmake
                              INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/PartitaConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/PartitaConfig.cmake ${PROJECT_BINARY_DIR}/PartitaConfigVersion.cmake
              ${PROJECT_SOURCE_DIR}/scripts/cmake/FindOneDNN.cmake
        DESTINATION ${package_folder})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
