"""Feeds live only while they are watched, and work once a tick for all who watch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from app import feed as feed_module
from app.feed import Feed, FeedHub
from app.host import Host
from app.problems import NotFoundError
from app.reading import LiveReader, Reading
from app.runs import RunStore
from app.settings import Settings
from app.wire import Subscribe
from tests.app.watcher import Script

PATIENCE_S = 20


class Listener:
    """Is woken by a feed, as a session is."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()
        self.times = 0

    def __call__(self) -> None:
        self.times += 1
        self._woken.set()

    async def woken(self, times: int = 1) -> None:
        """Waits until it has been woken so often since now."""
        wanted = self.times + times
        async with asyncio.timeout(PATIENCE_S):
            while self.times < wanted:
                self._woken.clear()
                await self._woken.wait()


def with_store(settings: Settings, body: Callable[[RunStore, FeedHub], Coroutine[Any, Any, None]]) -> None:
    """Runs `body` beside a real store of real runs."""

    async def run() -> None:
        async with RunStore(settings, Host()) as store:
            await body(store, FeedHub(store))

    asyncio.run(run())


@pytest.fixture
def recording(settings: Settings) -> Script:
    """A recording of ten batches, in the store's folder."""
    settings.home.mkdir()
    script = Script(settings.home, "run")
    script.batches(10)
    return script


def test_a_feed_lives_while_it_is_watched(settings: Settings, recording: Script) -> None:
    recording.finish()

    async def body(store: RunStore, hub: FeedHub) -> None:
        first, second = Listener(), Listener()
        feed = hub.join(Subscribe(run="run"), first)
        assert hub.join(Subscribe(run="run"), second) is feed
        assert hub.watched == ["run"]
        await hub.leave(feed, first)
        assert (feed.watched, hub.watched) == (True, ["run"])
        await hub.leave(feed, second)
        assert (feed.watched, hub.watched) == (False, [])
        assert not [task for task in asyncio.all_tasks() if task.get_name() == "feed of run"]
        again = hub.join(Subscribe(run="run"), first)
        assert again is not feed
        await hub.leave(again, first)

    with_store(settings, body)


def test_a_replay_is_nobody_else_s(settings: Settings, recording: Script) -> None:
    recording.finish()

    async def body(store: RunStore, hub: FeedHub) -> None:
        listener = Listener()
        wanted = Subscribe(run="run", replay_from_ns=0)
        feeds = [hub.join(wanted, listener), hub.join(wanted, listener)]
        assert feeds[0] is not feeds[1]
        assert hub.watched == []
        for feed in feeds:
            await hub.leave(feed, listener)

    with_store(settings, body)


def test_a_tick_reads_once_and_encodes_once_for_all(
    settings: Settings, recording: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings: list[Reading] = []

    class CountingReader(LiveReader):
        def read(self, *, live: bool) -> Reading:
            reading = super().read(live=live)
            readings.append(reading)
            return reading

    monkeypatch.setattr(feed_module, "LiveReader", CountingReader)

    async def body(store: RunStore, hub: FeedHub) -> None:
        listeners = [Listener() for _ in range(20)]
        feed = hub.join(Subscribe(run="run"), listeners[0])
        for listener in listeners[1:]:
            assert hub.join(Subscribe(run="run"), listener) is feed
        await asyncio.gather(*(listener.woken(3) for listener in listeners))
        assert 3 <= len(readings) == listeners[0].times == listeners[-1].times
        assert len({id(feed.spans.frame_after(0)) for _ in listeners}) == 1
        assert len({id(feed.status_message(with_preview=True)) for _ in listeners}) == 1
        for listener in listeners:
            await hub.leave(feed, listener)

    with_store(settings, body)
    recording.finish()


def test_a_recording_is_told_once_however_often_it_is_looked_at(settings: Settings, recording: Script) -> None:
    recording.finish()

    async def body(store: RunStore, hub: FeedHub) -> None:
        listener = Listener()
        feed = hub.join(Subscribe(run="run"), listener)
        await listener.woken()
        number, version = feed.status_number, store.version
        assert feed.reading is not None
        assert feed.reading.over
        other = Script(settings.home, "other")
        await store.changed(version)
        await listener.woken()
        assert feed.status_number == number  # nothing of this run has changed
        other.finish()
        await hub.leave(feed, listener)

    with_store(settings, body)


def test_places_are_known_again_while_the_store_keeps_the_trace(settings: Settings, recording: Script) -> None:
    recording.finish()

    async def body(store: RunStore, hub: FeedHub) -> None:
        known = []
        for forget in (False, False, True, False):
            if forget:
                store._traces.forget(recording.directory)  # as it does when too many are open
            listener = Listener()
            feed = hub.join(Subscribe(run="run"), listener)
            await listener.woken()
            known.append(feed.resumable)
            await hub.leave(feed, listener)
        assert known == [False, True, False, True]

    with_store(settings, body)


def test_a_trace_opened_anew_under_a_feed_makes_clients_begin_again(settings: Settings, recording: Script) -> None:
    async def body(store: RunStore, hub: FeedHub) -> None:
        listener = Listener()
        feed = hub.join(Subscribe(run="run"), listener)
        await listener.woken()
        assert feed.generation == 1
        await asyncio.to_thread(store._traces.forget, recording.directory)
        await listener.woken(2)
        assert (feed.generation, feed.resumable) == (2, False)
        assert feed.spans.end > 80
        await hub.leave(feed, listener)

    with_store(settings, body)
    recording.finish()


def test_a_run_that_is_not_there_ends_its_feed_and_a_later_one_is_another(settings: Settings) -> None:
    settings.home.mkdir()

    async def body(store: RunStore, hub: FeedHub) -> None:
        listener = Listener()
        feed = hub.join(Subscribe(run="none"), listener)
        await listener.woken()
        assert isinstance(feed.problem, NotFoundError)
        assert hub.join(Subscribe(run="none"), listener) is not feed

    with_store(settings, body)


def test_a_damaged_recording_ends_its_feed_with_the_reason(settings: Settings, recording: Script) -> None:
    recording.finish()

    async def body(store: RunStore, hub: FeedHub) -> None:
        (recording.directory / "run.json").write_text("{")
        listener = Listener()
        feed = hub.join(Subscribe(run="run"), listener)
        await listener.woken()
        assert "run.json cannot be read" in str(feed.problem)
        await hub.leave(feed, listener)

    with_store(settings, body)


def test_what_nobody_thought_of_is_logged_and_ends_one_feed_only(
    settings: Settings, recording: Script, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recording.finish()
    monkeypatch.setattr(Feed, "_take", lambda self, reading: 1 / 0)

    async def body(store: RunStore, hub: FeedHub) -> None:
        listener = Listener()
        feed = hub.join(Subscribe(run="run"), listener)
        await listener.woken()
        assert str(feed.problem) == "run run cannot be shown; the server's terminal says why"
        await hub.leave(feed, listener)

    with_store(settings, body)
    assert "ZeroDivisionError" in caplog.text


def test_the_list_of_runs_is_encoded_once_for_each_change(settings: Settings, recording: Script) -> None:
    recording.finish()

    async def body(store: RunStore, hub: FeedHub) -> None:
        first = hub.runs_message()
        assert '"id":"run"' in first
        assert hub.runs_message() is first

    with_store(settings, body)
