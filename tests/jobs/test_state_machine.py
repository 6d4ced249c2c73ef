"""The state machine of a job: no order of events escapes it."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from nds_jupyter.jobs import state_machine
from nds_jupyter.jobs.job import Job, JobSpec, JobState, Limits, Phase, Progress, Reason
from nds_jupyter.jobs.state_machine import advance

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ORDER = list(Phase)


def a_job(**fields: object) -> Job:
    spec = JobSpec(
        scriptname="cell.py",
        script_sha256="0",
        script_shebang=False,
        image="a:b",
        limits=Limits(cpus=1, memory=512 * 2**20, pids=10),
        timeout=5.0,
        **fields,
    )
    return Job(job_id="0" * 16, owner="ada", spec=spec, created=NOW)


def after(job: Job, *events: state_machine.JobEvent) -> Job:
    for event in events:
        job = advance(job, event)
    return job


EVENTS = st.one_of(
    st.just(state_machine.ImagePullStarted()),
    st.just(state_machine.StagingStarted(image_digest="sha256:1")),
    st.just(state_machine.ContainerReady(container_id="cafe", worker="node")),
    st.just(state_machine.ScriptStarted(at=NOW)),
    st.builds(
        state_machine.ScriptExited,
        exit_code=st.sampled_from([0, 1, 137]),
        oom=st.booleans(),
        at=st.just(NOW),
    ),
    st.just(state_machine.OutputsDelivered(at=NOW)),
    st.builds(
        state_machine.StopRequested,
        intent=st.sampled_from([Reason.STOPPED, Reason.TIMEOUT]),
        at=st.just(NOW),
    ),
    st.builds(
        state_machine.JobAborted,
        reason=st.sampled_from([Reason.IMAGE, Reason.ENGINE, Reason.DATA]),
        message=st.just("It broke."),
        at=st.just(NOW),
    ),
    st.just(state_machine.ContainerVanished(at=NOW)),
    st.just(state_machine.NodeWentDown(message="node3 went down.", at=NOW)),
    st.just(state_machine.NodeWentDown(message="node3 was drained.", at=NOW, ran=False)),
    st.just(state_machine.TransferProgressed(progress=Progress(done=1, total=None, unit="bytes"))),
    st.just(state_machine.SentToBackground()),
    st.just(state_machine.ContainerRemoved(at=NOW)),
)


@given(st.lists(EVENTS, max_size=20), st.sampled_from([0, 0, 1, 3]))
def test_any_order_of_events_keeps_the_rules(
    events: list[state_machine.JobEvent], retries: int
) -> None:
    job = a_job(retries=retries)
    most = retries + 1 + state_machine.MAX_REPLACEMENTS
    for event in events:
        before, job = job, advance(job, event)
        if ORDER.index(job.phase) < ORDER.index(before.phase):
            assert isinstance(event, state_machine.ContainerVanished | state_machine.NodeWentDown)
            assert (job.phase, job.started, job.container_id) == (Phase.ACCEPTED, None, None)
            gone = isinstance(event, state_machine.NodeWentDown)
            ran = before.started is not None or not (gone and not event.ran)
            assert 0 < job.attempts < (retries + 1 if ran else most)
        assert job.attempts - before.attempts == (
            job is not before and isinstance(event, state_machine.ContainerReady)
        )
        assert job.attempts <= most
        assert (job.state is JobState.RUNNING) == (job.phase is not Phase.FINISHED)
        assert before.intent is None or job.intent is before.intent
        if before.is_finished:
            assert msgspec.structs.replace(job, removed=before.removed) == before
        if job.state is JobState.COMPLETED:
            assert (job.exit_code, job.intent, job.reason) == (0, None, None)
        if job.state is JobState.FAILED:
            assert job.reason is not None
            assert job.message
        if job.state is JobState.UNKNOWN:
            assert job.exit_code is None
        if job.reason is Reason.OOM:
            assert job.exit_code
        assert msgspec.json.decode(msgspec.json.encode(job), type=Job) == job


LAUNCHED = (
    state_machine.StagingStarted(image_digest="x"),
    state_machine.ContainerReady(container_id="c", worker="n"),
    state_machine.ScriptStarted(at=NOW),
)


def test_script_on_a_lost_node_runs_again_as_often_as_requested() -> None:
    gone = state_machine.NodeWentDown(message="node3 went down.", at=NOW)
    job = a_job(retries=1)
    job = after(job, *LAUNCHED, gone)
    assert (job.phase, job.attempts) == (Phase.ACCEPTED, 1)
    assert job.message == "node3 went down. It runs again: attempt 2 of 2."
    job = after(job, *LAUNCHED, gone)
    assert (job.state, job.reason, job.attempts) == (JobState.FAILED, Reason.ENGINE, 2)
    assert job.message == "node3 went down. It was attempt 2 of 2."


def test_script_on_a_lost_node_never_runs_again_without_retries() -> None:
    gone = state_machine.NodeWentDown(message="node3 went down.", at=NOW)
    job = after(a_job(), *LAUNCHED, gone)
    assert (job.state, job.reason) == (JobState.FAILED, Reason.ENGINE)
    assert "ask for retries" in job.message
    # As a journal of an earlier version has it, which did not count.
    uncounted = msgspec.structs.replace(after(a_job(), *LAUNCHED), attempts=0)
    assert after(uncounted, gone).is_finished


def test_script_that_had_not_begun_is_placed_again_but_not_for_ever() -> None:
    gone = state_machine.NodeWentDown(message="node3 was drained.", at=NOW, ran=False)
    job = a_job()
    for number in range(state_machine.MAX_REPLACEMENTS):
        job = after(job, *LAUNCHED[:2], gone)
        assert (job.phase, job.attempts, job.started) == (Phase.ACCEPTED, number + 1, None)
    job = after(job, *LAUNCHED[:2], gone)
    assert (job.state, job.reason) == (JobState.FAILED, Reason.ENGINE)
    # What was recorded to have begun is not run again, whatever the container shows.
    assert after(a_job(), *LAUNCHED, gone).is_finished


def test_job_that_is_to_stop_is_not_run_again() -> None:
    job = a_job(retries=5)
    stop = state_machine.StopRequested(intent=Reason.STOPPED, at=NOW)
    job = after(job, *LAUNCHED, stop, state_machine.ContainerVanished(at=NOW))
    assert (job.state, job.reason) == (JobState.FAILED, Reason.STOPPED)


def test_intent_wins_over_exit_code() -> None:
    job = a_job()
    for event in (
        state_machine.StagingStarted(image_digest="x"),
        state_machine.ContainerReady(container_id="c", worker="n"),
        state_machine.StopRequested(intent=Reason.TIMEOUT, at=NOW),
        state_machine.StopRequested(intent=Reason.STOPPED, at=NOW),
        state_machine.ScriptExited(exit_code=0, oom=False, at=NOW),
        state_machine.OutputsDelivered(at=NOW),
    ):
        job = advance(job, event)
    assert (job.state, job.reason) == (JobState.FAILED, Reason.TIMEOUT)
    assert "5 s" in job.message
