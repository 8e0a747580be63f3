# SPDX-License-Identifier: BSD-3-Clause
"""Last words of runs, as schedulers and launchers write them -> state and reason."""

from pathlib import Path

import pytest

from partita.studies.reasons import TAIL_BYTE, read_tail, state_of
from partita.studies.state import State

SLURM_LIMIT = """srun: Job step aborted: Waiting up to 32 seconds for job step to finish.
slurmstepd: error: *** STEP 3479819.0 ON gpub001 CANCELLED AT 2024-04-24T11:42:17 DUE TO TIME LIMIT ***
srun: error: gpub001: task 0: Terminated"""
SLURM_PREEMPTED = "slurmstepd: error: *** JOB 1877080 ON r002 CANCELLED AT 2026-09-25T10:25:59 DUE TO PREEMPTION ***"
SLURM_NODE = """srun: error: Node failure on jean-zay-iam37
srun: Job step aborted: Waiting up to 62 seconds for job step to finish.
slurmstepd: error: *** STEP 1943824.0 ON iam17 CANCELLED AT 2023-03-06T03:17:51 DUE TO NODE FAILURE, SEE SLURMCTLD"""
SLURM_OOM = """
slurmstepd: error: Detected 1 oom_kill event in StepId=6959634.0. Some of the step tasks have been OOM Killed.
srun: error: holy8a24101: task 0: Out Of Memory"""
SLURM_OOM_OLD = """slurmstepd: error: Step 1594750.0 exceeded memory limit (6776728 > 6291456), being killed
slurmstepd: error: Exceeded job memory limit
slurmstepd: error: *** STEP 1594750.0 ON node008 CANCELLED AT 2024-02-27T11:22:33 ***
srun: error: node008: task 0: Killed"""
# The next three are of Slurm 22.05 on this project's own machine (tests/slurm).
SLURM_CANCELLED = """srun: Job step aborted: Waiting up to 4 seconds for job step to finish.
srun: got SIGCONT
slurmstepd-n1: error: *** JOB 4 ON n1 CANCELLED AT 2026-11-30T14:40:40 ***
srun: forcing job termination
slurmstepd-n1: error: *** STEP 4.0 ON n1 CANCELLED AT 2026-11-30T14:40:40 ***
srun: error: n1: task 0: Terminated"""
SLURM_RANK_FAILED = """error: deck.toml:14: train.stepz: unknown key
srun: error: n1: task 0: Exited with exit code 2
srun: launch/slurm: _step_signal: Terminating StepId=1.0
slurmstepd-n1: error: *** STEP 1.0 ON n1 CANCELLED AT 2026-11-30T14:40:35 ***
srun: error: n2: task 1: Terminated
srun: Force Terminated StepId=1.0"""
SLURM_RANK_CRASHED = """srun: error: n1: task 0: Segmentation fault
srun: launch/slurm: _step_signal: Terminating StepId=1.1
slurmstepd-n1: error: *** STEP 1.1 ON n1 CANCELLED AT 2026-11-30T14:40:35 ***
srun: error: n1: task 1: Terminated"""
PBS_NODE = """
=>> PBS: job killed: node 18 (n314) requested job terminate, 'EOF' (code 1099) - received SISTER_EOF attempting
 to communicate with sister MOM's"""
LSF = """TERM_{}: job killed {}.
Exited with exit code {}.

Resource usage summary:"""
FLUX = "1.024s: job.exception type={} severity=0 {}\nflux-job: task(s) Terminated"
HYDRA = """=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES
=   PID 27183 RUNNING AT vm
=   EXIT CODE: 9
YOUR APPLICATION TERMINATED WITH THE EXIT STRING: Killed (signal 9)"""
KOKKOS = 'error: rank 1: Kokkos ERROR: Cuda memory space failed to allocate 4.9 GiB (label="weights").'


@pytest.mark.parametrize(
    ("status", "text", "state", "said"),
    [
        (143, SLURM_LIMIT, State.TIMEOUT, "time limit of the job (Slurm)"),
        (143, SLURM_PREEMPTED, State.PREEMPTED, "another job took the nodes (Slurm)"),
        (143, SLURM_PREEMPTED.replace("PREEMPTION", "JOB REQUEUE"), State.PREEMPTED, "back into the queue (Slurm)"),
        (143, SLURM_NODE, State.LOST, "a node failed (Slurm): jean-zay-iam37"),
        (137, SLURM_OOM, State.OUT_OF_MEMORY, "the kernel ended it: more memory than the job has"),
        (137, SLURM_OOM_OLD, State.OUT_OF_MEMORY, "more memory than Slurm allows it"),
        (143, SLURM_CANCELLED, State.LOST, "cancelled (Slurm)"),
        (143, SLURM_RANK_FAILED, State.FAILED, "exit code 2 (usage or deck): deck.toml:14: train.stepz: unknown key"),
        (143, SLURM_RANK_CRASHED, State.FAILED, "a rank ended: Segmentation fault"),
        (271, "=>> PBS: job killed: walltime 3611 exceeded limit 3600", State.TIMEOUT, "time limit of the job (PBS)"),
        (271, "=>> PBS: job killed: cput job total 7300 secs exceeded limit 7200", State.TIMEOUT, "time limit of the"),
        (271, "=>> PBS: job killed: mem 2097152kb exceeded limit 1048576kb", State.OUT_OF_MEMORY, "than PBS allows"),
        (271, "=>> PBS: job killed: vmem 4323312kb exceeded limit 3145728kb", State.OUT_OF_MEMORY, "than PBS allows"),
        (137, "12.head Killed Cgroup mem limit exceeded", State.OUT_OF_MEMORY, "than PBS allows"),
        (271, PBS_NODE, State.LOST, "a node failed (PBS): n314"),
        (140, LSF.format("RUNLIMIT", "after reaching LSF run time limit", 140), State.TIMEOUT, "of the job (LSF)"),
        (137, LSF.format("MEMLIMIT", "after reaching LSF memory usage limit", 137), State.OUT_OF_MEMORY, "LSF allows"),
        (143, LSF.format("OWNER", "by owner", 143), State.LOST, "cancelled (LSF)"),
        (143, LSF.format("PREEMPT", "after preemption", 143), State.PREEMPTED, "another job took the nodes (LSF)"),
        (143, LSF.format("LOAD", "after load exceeds threshold", 143), State.LOST, "ended by LSF"),
        (142, FLUX.format("timeout", "resource allocation expired"), State.TIMEOUT, "time limit of the job (Flux)"),
        (143, FLUX.format("cancel", ""), State.LOST, "cancelled (Flux)"),
        (143, FLUX.format("preempt", ""), State.PREEMPTED, "another job took the nodes (Flux)"),
        (143, FLUX.format("node-failure", "lost contact with job shell on a (shell rank 1)"), State.LOST, "(Flux)"),
        (255, "[mpiexec@vm] APPLICATION TIMED OUT, TIMEOUT = 1s", State.TIMEOUT, "MPIEXEC_TIMEOUT of mpiexec"),
        (9, HYDRA, State.FAILED, "ended by SIGKILL of a rank"),
        (4, KOKKOS, State.OUT_OF_MEMORY, "an allocation failed"),
        (4, "error: rank 0: out of memory: std::bad_alloc", State.OUT_OF_MEMORY, "an allocation failed"),
        (3, "step 1\nerror: loss: 2.3: expected 1.9\n", State.FAILED, "exit code 3 (a check of results failed): loss"),
        (77, "step 1", State.FAILED, "exit code 77"),
        (-11, "", State.FAILED, "ended by SIGSEGV"),
        (134, "", State.FAILED, "ended by SIGABRT"),
        (271, "", State.FAILED, "ended by SIGTERM"),  # PBS counts from 256.
        (-24, "", State.TIMEOUT, "limit of CPU time (SIGXCPU)"),
        (-500, "", State.FAILED, "ended by signal 500"),
    ],
)
def test_last_words(status: int, text: str, state: State, said: str) -> None:
    found, why = state_of(status, False, "step 1, loss 2.3\n" + text + "\n")
    assert (found, said in why) == (state, True), why


def test_its_own_limit_of_time_goes_before_what_the_launcher_says() -> None:
    assert state_of(143, True, SLURM_CANCELLED)[0] is State.TIMEOUT


def test_a_run_that_ended_well_is_not_judged_by_its_words() -> None:
    assert state_of(0, False, SLURM_LIMIT) == (State.DONE, "")


def test_only_the_end_of_a_log_is_read(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text(SLURM_LIMIT + "\n" + "step\n" * (TAIL_BYTE // 5) + "error: at the end\n")
    assert state_of(1, False, read_tail(log)) == (State.FAILED, "exit code 1 (run failed): at the end")
    assert read_tail(tmp_path / "nothing") == ""
