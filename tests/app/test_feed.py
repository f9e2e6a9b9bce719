"""The live socket of a real server, watched by real clients: good ones, slow ones, and some that never answer."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import psutil
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from app import wire
from app.logs import KEPT_SPANS, MAX_BACKLOG
from app.wire import MAX_FRAMES_IN_FLIGHT, FrameType, Series
from loader_core.diagnose.metrics import measure
from loader_core.diagnose.queues import QueueCount
from loader_core.trace import KINDS, Control, Kind
from tests.app.conftest import VIEW_TOKEN
from tests.app.watcher import PATIENCE_S, Script, known, recorded, script, spans_of, watching, write_preview
from tests.server import RunningServer, running

# --- what arrives -----------------------------------------------------------------------------------------------------


def test_a_client_is_greeted_with_the_kinds_and_the_runs(server: RunningServer) -> None:
    recorded(server, "greeted", lambda run: run.batches(1))
    with watching(server) as client:
        hello, runs = client.said[:2]
        assert (hello["type"], hello["protocol"], hello["max_frames_in_flight"]) == ("hello", wire.PROTOCOL, 4)
        assert [row["name"] for row in hello["kinds"]] == [kind.name for kind in sorted(KINDS)]
        assert "greeted" in [run["id"] for run in runs["runs"]]


def test_every_event_of_a_live_run_arrives_once(server: RunningServer) -> None:
    with script(server, "live") as run, watching(server) as client:
        opened = client.subscribe("live")
        assert (opened["run"]["id"], opened["resumed"], opened["cursor"]) == ("live", False, 0)
        assert opened["classes"] == ["cat"]
        for _ in range(5):
            run.batches(10)
            expected = len(spans_of(run.trace()))
            client.until(lambda: client.received >= expected)  # noqa: B023 - called at once
        assert sorted(client.spans()) == sorted(spans_of(run.trace()))
        assert client.status["state"] == "running"
        assert {lane["label"] for lane in client.status["lanes"]} == {"main", "worker 0", "training loop"}


def test_numbers_over_time_are_those_of_the_whole_trace(server: RunningServer) -> None:
    with script(server, "series") as run, watching(server) as client:
        client.subscribe("series")
        for _ in range(4):
            run.batches(25)
            expected = len(spans_of(run.trace()))
            client.until(lambda: client.received >= expected)  # noqa: B023 - called at once
        run.finish()
        client.until(lambda: client.of("status") and client.status["state"] == "finished")
        client.settle()
        trace = run.trace()
        rows, _, _ = trace.tail(0, 10**9)
        ready, in_flight = QueueCount().add(rows)
        for series, steps in ((Series.READY, ready), (Series.IN_FLIGHT, in_flight)):
            times, values = client.steps(series)
            assert dict(zip(times, values, strict=True)) == dict(zip(steps.times, steps.values, strict=True))
        assert client.steps(Series.LOSS)[1] == [2.5] * 100
        received = np.array(list(client.rollup().values()))
        expected_sums = [float(trace.rollup()[name].sum()) for name in ("batches", "samples", "bytes", "wait_ns")]
        assert received.sum(axis=0)[:4] == pytest.approx(expected_sums)
        exact = measure(rows, start_ns=0, end_ns=trace.duration_ns)
        total = client.status["total"]
        assert (total["batches"], total["samples"], total["wait_share"]) == (100, 3_200, exact.wait_share)
        assert total["wait_p50_ns"] == pytest.approx(exact.wait_p50_ns, rel=0.003)
        assert (total["in_flight"], total["ready"], total["loss"], total["epoch"]) == (0, 0, 2.5, 0)


def test_a_recording_comes_whole_with_one_status_and_then_nothing(server: RunningServer) -> None:
    run = recorded(server, "whole", lambda run: run.batches(100))
    with watching(server) as client:
        client.subscribe("whole")
        client.until(lambda: client.received >= 800)
        client.settle()
        assert client.spans() == spans_of(run.trace())
        assert len(client.of("status")) == 1
        assert (client.status["state"], client.status["now_ns"]) == ("finished", run.trace().duration_ns)
        assert client.status["memory"] == []
        assert client.status["cursor"] == client.received


def test_of_a_long_recording_the_newest_come_and_the_others_are_counted(server: RunningServer) -> None:
    run = recorded(server, "long", lambda run: [run.items(50_000) for _ in range(5)])
    with watching(server) as client:
        client.subscribe("long")
        total = len_of(run)
        client.until(lambda: client.received == total)
        spans = client.spans()
        assert len(spans) == KEPT_SPANS
        assert [span[5] for span in spans if span[3] == Kind.ITEM][-3:] == [49_997, 49_998, 49_999]
        assert max(head.count for head, _ in client.frames) <= wire.MAX_SPANS_PER_FRAME
        dropped = [head.dropped for head, _ in client.of_type(FrameType.SPANS)]
        assert dropped == [total - KEPT_SPANS, *[0] * (len(dropped) - 1)]
        assert run.trace().lost == 0


def test_a_second_subscription_replaces_the_first(server: RunningServer) -> None:
    recorded(server, "one", lambda run: run.batches(3))
    two = recorded(server, "two", lambda run: run.batches(5))
    with watching(server) as client:
        client.subscribe("one")
        client.until(lambda: client.received >= 24)
        client.settle()
        client.frames.clear()
        opened = client.subscribe("two")
        assert opened["run"]["id"] == "two"
        client.until(lambda: client.received >= 40)
        client.settle()
        assert client.spans() == spans_of(two.trace())
        assert client.status["run"] == "two"


def test_who_unsubscribes_still_gets_the_list_of_runs(server: RunningServer) -> None:
    with script(server, "left") as run, watching(server) as client:
        client.subscribe("left")
        client.send("unsubscribe")
        client.settle()
        before = len(client.frames), len(client.of("status"))
        run.batches(5)
        run.finish()
        client.until(
            lambda: any(r["id"] == "left" and r["state"] == "finished" for r in client.said[-1].get("runs", []))
        )
        assert (len(client.frames), len(client.of("status"))) == before


def test_a_real_run_is_watched_from_before_it_begins_until_it_ends(server: RunningServer) -> None:
    with watching(server) as client:
        settings = {
            "dataset": "gapminder",
            "num_workers": 1,
            "consumer": "step",
            "step_ms": 20,
            "epochs": 3,
            "seconds": 0,
        }
        run = server.request("POST", "/runs", settings)["id"]
        opened = client.subscribe(run)
        assert (opened["run"]["state"], opened["lanes"]) == ("starting", [])
        client.until(lambda: client.of("status") and client.status["state"] == "finished", timeout_s=45)
        server.until(run, "finished")
        with server.client() as http:
            recorded_spans = wire.decode_frame(http.get(f"/runs/{run}/spans").content)[0].count
        client.until(lambda: client.received >= recorded_spans)
        assert client.received == recorded_spans
        assert client.of("opened")[-1]["resumed"] is False
        memory = {process["label"] for status in client.of("status") for process in status["memory"]}
        assert {"main", "worker 0"} <= memory
        assert all(process["rss_bytes"] > 2**20 for status in client.of("status") for process in status["memory"])
        assert client.status["total"]["batches"] == 3 * 54
        assert client.status["total"]["first_batch_ns"] > 0


# --- slow clients -----------------------------------------------------------------------------------------------------


def test_who_never_acknowledges_gets_four_frames_and_goes_on_getting_status(server: RunningServer) -> None:
    with script(server, "silent") as run, watching(server, acks=False) as client:
        client.subscribe("silent")
        run.batches(1)
        client.until(lambda: len(client.frames) == MAX_FRAMES_IN_FLIGHT)
        told = len(client.of("status"))
        for _ in range(4):
            run.batches(5)
            before = len(client.of("status"))
            client.until(lambda: len(client.of("status")) > before)  # noqa: B023 - called at once
        assert len(client.frames) == MAX_FRAMES_IN_FLIGHT
        assert len(client.of("status")) >= told + 4


def test_who_was_silent_gets_the_newest_and_is_told_what_was_left_out(server: RunningServer) -> None:
    with script(server, "caught-up") as run, watching(server, acks=False) as client:
        client.subscribe("caught-up")
        run.batches(2)
        client.until(lambda: len(client.frames) == MAX_FRAMES_IN_FLIGHT)
        for _ in range(5):
            run.items(40_000)
        total = len(spans_of(run.trace()))
        client.until(lambda: client.status["now_ns"] >= run.trace().duration_ns)
        client.settle()
        assert len(client.frames) == MAX_FRAMES_IN_FLIGHT
        client.acks = True
        client.send("ack", seq=client.frames[-1][0].seq)
        client.until(lambda: client.received >= total)
        assert client.received == total
        spans = client.spans()
        assert MAX_BACKLOG <= len(spans) < total
        assert spans[-1] == spans_of(run.trace())[-1]
        (gap,) = [head for head, _ in client.frames if head.dropped]
        assert gap.dropped == total - len(spans)


def test_an_acknowledgement_counts_for_all_frames_before_it_and_a_wrong_one_for_none(server: RunningServer) -> None:
    recorded(server, "credits", lambda run: [run.items(40_000) for _ in range(3)])
    with watching(server, acks=False) as client:
        client.subscribe("credits")
        client.until(lambda: len(client.frames) == 4)
        client.send("ack", seq=client.frames[-1][0].seq + 1)
        client.settle()
        assert len(client.frames) == 4
        client.send("ack", seq=client.frames[1][0].seq)
        client.until(lambda: len(client.frames) == 6)
        client.settle()
        assert len(client.frames) == 6
        assert [head.seq for head, _ in client.frames] == list(range(1, 7))


def test_many_acknowledgements_are_no_flood(server: RunningServer) -> None:
    with watching(server) as client:
        for seq in range(200):
            client.send("ack", seq=seq)
        client.settle()


def test_who_never_reads_is_dropped_and_holds_nothing(server: RunningServer) -> None:
    recorded(server, "unread", lambda run: [run.items(50_000) for _ in range(3)])
    process = psutil.Process(server.process.pid)
    with socket.socket() as quiet:
        quiet.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        quiet.connect(("127.0.0.1", server.port))
        port = quiet.getsockname()[1]
        with connect(
            f"ws://127.0.0.1:{server.port}/api/live",
            sock=quiet,
            subprotocols=["loaderscope.v1"],  # type: ignore[list-item]  # a NewType of str
            additional_headers=server.bearer,
            max_queue=1,
            close_timeout=0,
        ) as client:
            client.send('{"type": "subscribe", "run": "unread"}')
            # Four frames of 16,384 spans are 2 MB: more than the buffers on both sides of a client that reads nothing.
            deadline = time.monotonic() + PATIENCE_S
            while any(peer.raddr and peer.raddr.port == port for peer in process.net_connections("tcp")):
                assert time.monotonic() < deadline, "the connection is still held"
                time.sleep(0.05)  # a poll with a deadline: the end of a connection is known to the server alone
    with watching(server) as other:
        other.subscribe("unread")
        other.until(lambda: other.received >= 150_000)


def test_silent_clients_cost_no_memory_however_much_happens(server: RunningServer) -> None:
    process = psutil.Process(server.process.pid)
    with script(server, "memory") as run:
        with ExitStack() as stack:
            for _ in range(8):
                silent = stack.enter_context(server.watch(max_size=None))
                silent.send('{"type": "subscribe", "run": "memory"}')
            watcher = stack.enter_context(watching(server))
            watcher.subscribe("memory")
            for _ in range(6):
                run.items(50_000)
            watcher.until(lambda: watcher.received >= 300_000)
            before = process.memory_info().rss
            for total in range(350_000, 800_000, 50_000):
                run.items(50_000)
                watcher.until(lambda: watcher.received >= total)  # noqa: B023 - called at once
            assert process.memory_info().rss - before < 48 * 2**20  # the new spans for 8 clients: 119 MB


def len_of(run: Script) -> int:
    """Events recorded so far."""
    return run.trace().tail(10**12, 0)[1]


# --- hidden, gone and back --------------------------------------------------------------------------------------------


def test_a_hidden_tab_gets_status_only(server: RunningServer) -> None:
    with script(server, "hidden") as run, watching(server) as client:
        client.send("visibility", visible=False)
        client.subscribe("hidden")
        run.batches(5)
        client.until(lambda: client.of("status") and client.status["total"]["batches"] == 5)
        client.settle()
        assert client.frames == []
        client.send("visibility", visible=True)
        client.until(lambda: client.received >= 40)
        assert sorted(client.spans()) == sorted(spans_of(run.trace()))


def test_who_comes_back_goes_on_where_it_was(server: RunningServer) -> None:
    with script(server, "resumed") as run:
        with watching(server) as first:
            first.subscribe("resumed")
            run.batches(10)
            first.until(lambda: first.received >= 80)
        boot, cursor = first.said[0]["boot"], int(first.of_type(FrameType.SPANS)[-1][0].cursor)
        assert cursor == first.received >= 80
        run.batches(7)
        with watching(server) as second:
            opened = second.subscribe("resumed", boot=boot, cursor=cursor)
            assert (opened["resumed"], opened["cursor"]) == (True, cursor)
            second.until(lambda: second.received == 56)
            run.batches(1)
            second.until(lambda: second.received == 64)
            assert sorted(first.spans() + second.spans()) == sorted(spans_of(run.trace()))
            second.until(lambda: len(second.steps(Series.LOSS)[0]) == 18)  # all: a page skips those that it holds


@pytest.mark.parametrize("stale", ["another boot", "no boot", "a place that is not there yet"])
def test_a_place_that_is_not_known_here_begins_anew(server: RunningServer, stale: str) -> None:
    name = stale.replace(" ", "-")
    recorded(server, name, lambda run: run.batches(2))
    with watching(server) as first:
        first.subscribe(name)
        first.until(lambda: first.received >= 16)
        boot, cursor = first.said[0]["boot"], first.received
    with watching(server) as second:
        assert second.subscribe(name, boot=boot, cursor=cursor)["resumed"]
    asked = {
        "another boot": {"boot": boot + 1, "cursor": cursor},
        "no boot": {"cursor": cursor},
        "a place that is not there yet": {"boot": boot, "cursor": cursor + 1},
    }[stale]
    with watching(server) as third:
        opened = third.subscribe(name, **asked)
        assert (opened["resumed"], opened["cursor"]) == (False, 0)
        third.until(lambda: third.received == cursor)


# --- replay -----------------------------------------------------------------------------------------------------------


def test_a_replay_shows_no_more_than_its_now_and_in_the_end_everything(server: RunningServer) -> None:
    run = recorded(server, "replayed", lambda run: run.batches(500))
    trace = run.trace()
    begin_ns = trace.duration_ns // 4
    with watching(server) as client:
        asked_ns = time.perf_counter_ns()
        opened = client.subscribe("replayed", replay_from_ns=begin_ns, speed=2)
        assert opened["resumed"] is False
        while not client.of("status") or client.status["now_ns"] < trace.duration_ns:
            client.take()
            furthest_ns = begin_ns + 2 * (time.perf_counter_ns() - asked_ns)
            assert all(span[0] <= furthest_ns for span in client.spans())
            assert all(begin_ns <= status["now_ns"] <= furthest_ns for status in client.of("status"))
        nows = [status["now_ns"] for status in client.of("status")]
        assert len(nows) >= 3
        assert nows == sorted(nows)
        client.until(lambda: sum(row[0] for row in client.rollup().values()) == 500)
        client.settle()
        assert sorted(client.spans()) == sorted(spans_of(trace))
        assert client.status["total"]["batches"] == 500
        assert client.status["total"]["wait_share"] == pytest.approx(
            measure(trace.window(0, trace.duration_ns), start_ns=0, end_ns=trace.duration_ns).wait_share
        )


def test_replays_of_one_recording_do_not_disturb_each_other(server: RunningServer) -> None:
    recorded(server, "twice", lambda run: run.batches(300))
    with watching(server) as slow, watching(server) as fast:
        slow.subscribe("twice", replay_from_ns=0, speed=0.05)
        fast.subscribe("twice", replay_from_ns=0, speed=50)
        fast.until(lambda: fast.received >= 2_400)
        slow.until(lambda: slow.of("status"))
        assert slow.received < 2_400


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_nonsense_is_answered_and_the_socket_stays_open(server: RunningServer) -> None:
    with watching(server) as client:
        for text in (
            "",
            "{",
            '"subscribe"',
            '{"type": "subscribe"}',
            '{"type": "ack", "seq": -1}',
            '{"type": "dance"}',
        ):
            client.socket.send(text)
        client.socket.send(b"\x00\x01")
        client.until(lambda: len(client.of("failed")) == 7)
        assert {message["code"] for message in client.of("failed")} == {"invalid"}
        assert not any(message["fatal"] for message in client.of("failed"))
        assert "not a message of this protocol: subscribe.run: Field required" in [
            message["message"] for message in client.of("failed")
        ]


def test_an_unknown_run_is_named(server: RunningServer) -> None:
    with watching(server) as client:
        client.send("subscribe", run="no-such-run")
        client.until(lambda: client.of("failed"))
        failed = client.of("failed")[0]
        assert failed["code"] == "run_unknown"
        assert "no-such-run" in failed["message"]
        recorded(server, "after-all", lambda run: run.batches(1))
        client.subscribe("after-all")


def test_a_run_that_is_deleted_while_it_is_watched_says_so(server: RunningServer) -> None:
    recorded(server, "doomed", lambda run: run.batches(1))
    with watching(server) as client:
        client.subscribe("doomed")
        client.until(lambda: client.received >= 8)
        # Its process, this one, lives on; the server lets nobody delete a live run, so it goes as by `rm`.
        directory = server.home / "runs" / "doomed"
        directory.rename(server.home / "doomed")
        client.until(lambda: client.of("failed"))
        assert client.of("failed")[0]["code"] in ("run_unknown", "trace")


def test_previews_are_asked_for_through_the_control_page(server: RunningServer) -> None:
    with script(server, "previews") as run, watching(server) as client:
        client.send("want_preview")
        client.until(lambda: client.of("failed"))
        assert client.of("failed")[0]["code"] == "not_subscribed"
        client.subscribe("previews")
        before = time.perf_counter_ns()
        client.send("want_preview")
        client.settle()
        control = Control.open(run.directory)
        assert before < control.preview_until_ns <= time.perf_counter_ns() + 6_000_000_000
        control.close()
        write_preview(run, 7, at_ns=0)
        client.until(lambda: client.status["preview"])
        assert client.status["preview"]["number"] == 7
        told = len(client.of("status"))
        client.until(lambda: len(client.of("status")) > told)
        assert client.status["preview"] is None  # not again


def test_a_viewer_may_watch_but_ask_for_nothing(server: RunningServer) -> None:
    with script(server, "viewed") as run:
        viewer = RunningServer(server.home, port=server.port, token=VIEW_TOKEN)
        with watching(viewer) as client:
            client.subscribe("viewed")
            run.batches(1)
            client.until(lambda: client.received >= 8)
            client.send("want_preview")
            client.until(lambda: client.of("failed"))
            assert client.of("failed")[0]["code"] == "viewer"
        control = Control.open(run.directory)
        assert control.preview_until_ns == 0
        control.close()


def test_a_server_that_ends_is_held_by_no_socket(tmp_path: Path) -> None:
    with running(tmp_path / "home") as server:
        run = Script(server.home, "held")
        run.items(50_000)
        known(server, "held", "running")
        with watching(server) as good, server.watch(max_size=None, max_queue=1, close_timeout=0) as mute:
            mute.send('{"type": "subscribe", "run": "held"}')
            good.subscribe("held")
            good.until(lambda: good.received >= 50_000)
            assert server.stop() == 0
            with pytest.raises(ConnectionClosed):
                good.until(lambda: False)
            assert good.socket.close_code == 1012  # service restart: come back
        run.finish()
