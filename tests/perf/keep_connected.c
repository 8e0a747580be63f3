/* SPDX-License-Identifier: BSD-3-Clause
 *
 * LD_PRELOAD: MPI_Finalize of MPICH 4.0 over UCX 1.13's TCP now and then waits for ever for a peer to confirm that an
 * endpoint is closed. Without the call the endpoints go with their worker, behind a barrier of the launcher.
 */
void* ucp_disconnect_nb(void* endpoint);
void* ucp_disconnect_nb(void* endpoint) {
  (void)endpoint;
  return 0;
}
