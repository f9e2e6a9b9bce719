"""Learn: programs that really ran, walked through by keyboard alone, in both languages and themes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from loader_core.lessons import catalogue
from tests.browser.accessibility import findings
from tests.browser.conftest import Complaints, Enter
from tests.browser.dashboard import LOCALES, Dashboard
from tests.server import running

PROSE = LOCALES / "lessons"
LAST = 1_999
"""A step beyond the end of any log: the page takes it as the last."""


LESSONS = catalogue.LESSONS
VIEW_TOKEN = "a-token-for-those-who-look-0123456789"


class Lesson:
    """An open lesson of one dashboard."""

    def __init__(self, dashboard: Dashboard) -> None:
        self.dashboard = dashboard
        self.page: Page = dashboard.page
        self.words: dict[str, str] = json.loads((PROSE / dashboard.lang / "interface.json").read_text("utf-8"))

    def open(self, lesson: str = "", *, token: str = "", **state: object) -> None:
        """The lesson, or the contents, recorded and shown."""
        dashboard = self.dashboard
        query = urlencode(
            {"view": "learn", "lang": dashboard.lang, "theme": dashboard.theme, "lesson": lesson, **state}
        )
        self.page.goto(f"{dashboard.server.url}/?{query}#token={token or dashboard.server.token}")
        expect(self.page.locator(".source, .instead" if lesson else ".learn-contents .rung").first).to_be_visible()

    def text(self, key: str, **values: object) -> str:
        """A text of the interface in the page's language."""
        return re.sub(r"\{(\w+)\}", lambda found: str(values[found[1]]), self.words[key])

    def prose(self, lesson: str) -> Any:
        """The prose of a lesson in the page's language."""
        return json.loads((PROSE / self.dashboard.lang / f"{lesson[:2]}.json").read_text("utf-8"))

    def press(self, *keys: str) -> None:
        """Keys, one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    @property
    def step(self) -> int:
        """The step that is shown, counted from 1; 0 is before the first."""
        return int(self.page.locator(".steps .count b").inner_text())

    def expect_step(self, step: int) -> None:
        """Waits until that step is shown."""
        expect(self.page.locator(".steps .count b")).to_have_text(str(step))

    @property
    def count(self) -> int:
        """How many steps the log has."""
        return int(self.page.locator(".steps .count").inner_text().split("/")[1])

    @property
    def current(self) -> Locator:
        """The lit line."""
        return self.page.locator(".program .line.current")

    def shown(self) -> str:
        """Code marks, picture and output as text: what a step looks like."""
        return str(
            self.page.evaluate(
                """() => [...document.querySelectorAll(".program .line, .frame, .thing, .output, .narration")]
                    .map((part) => `${part.className}: ${part.innerText}`).join("\\n")"""
            )
        )


@pytest.fixture
def learn(enter: Enter) -> Lesson:
    """Learn in English."""
    return Lesson(enter())


def test_steps_forth_and_back_end_in_the_same_picture(learn: Lesson) -> None:
    learn.open("03-generator")
    learn.expect_step(0)
    seen = []
    for step in range(1, 13):
        learn.press("ArrowRight")
        learn.expect_step(step)
        seen.append(learn.shown())
    assert len(set(seen)) == 12
    for step in range(11, 0, -1):
        learn.press("ArrowLeft")
        learn.expect_step(step)
        assert learn.shown().replace(" new", "") == seen[step - 1].replace(" new", "")
    learn.press("Home")
    learn.expect_step(0)
    learn.press("End")
    learn.expect_step(learn.count)


def test_a_suspended_frame_stays_on_screen_with_its_names(learn: Lesson) -> None:
    learn.open("03-generator")
    frame = learn.page.locator(".frame.suspended").filter(has_text="count_letters").first
    for _ in range(40):
        learn.press("ArrowRight")
        if frame.count() > 0:
            break
    expect(frame).to_contain_text("'a'")
    expect(learn.page.locator(".outcome.yield")).to_contain_text("(0, 'a')")
    learn.press("ArrowRight")  # the program goes on, the frame waits
    expect(frame).to_contain_text("'a'")
    expect(learn.page.locator(".program .line.suspended")).to_have_count(1)


def test_it_runs_to_a_breakpoint_and_back_to_it(learn: Lesson) -> None:
    learn.open("02-iterator")
    line = learn.page.locator('.program .line:has-text("value = self.sequence")')
    number = line.locator(".number")
    number.focus()
    learn.press("Enter")
    expect(number).to_have_attribute("aria-pressed", "true")
    learn.press("Shift+ArrowRight")
    expect(line).to_have_class(re.compile("current"))
    first = learn.step
    learn.press("Shift+ArrowRight")
    expect(learn.page.locator(".steps .count b")).not_to_have_text(str(first))
    assert learn.step > first
    expect(line).to_have_class(re.compile("current"))
    learn.press("Shift+ArrowLeft")
    learn.expect_step(first)
    learn.press("x", "Shift+ArrowRight")
    learn.expect_step(learn.count)


def test_pointing_at_a_name_lights_its_lines_and_the_other_way_round(learn: Lesson) -> None:
    learn.open("02-iterator", step=22)
    page = learn.page
    page.locator(".frame .local", has_text="letters").hover()
    expect(page.locator(".program .line.lit", has_text="iter(letters)")).to_have_count(1)
    expect(page.locator(".thing.iterator.lit")).to_have_count(1)
    page.mouse.move(5, 5)
    expect(page.locator(".program .line.lit")).to_have_count(0)
    # By keyboard: the line's own button lights the names of the frame.
    page.locator('.program .line:has-text("pair = next(iterator)") .number').focus()
    expect(page.locator(".frame .local.lit", has_text="iterator")).to_have_count(1)
    page.locator(".frame header").first.focus()
    learn.press("ArrowDown")
    expect(page.locator(".program .line.lit")).not_to_have_count(0)


def test_predict_run_reveal_break_and_answer_by_keyboard(learn: Lesson) -> None:
    lesson = "02-iterator"
    learn.open(lesson)
    page = learn.page
    prose = learn.prose(lesson)
    expect(page.locator(".measures .measure-grid")).to_have_count(0)  # the numbers wait for the prediction
    guess = page.locator(".predict input[type=range]")
    guess.focus()
    learn.press("ArrowRight", "ArrowRight", "ArrowRight")
    learn.expect_step(0)  # a slider's arrows are its own
    page.get_by_role("button", name=learn.text("predict.give")).press("Enter")
    page.get_by_role("button", name=learn.text("predict.run")).press("Enter")
    learn.press("End")
    revealed = page.locator(".revealed")
    expect(revealed).to_contain_text(learn.text("predict.other"))
    expect(revealed.locator(".bar").nth(0)).to_contain_text("3")
    expect(revealed.locator(".bar").nth(1)).to_contain_text("4")
    # Mend it: the radio of the second variant, then to its end.
    page.locator("input[name=variant]").first.focus()
    learn.press("ArrowDown")
    expect(page.locator(".program .line.changed")).to_have_count(1)
    page.locator(".program .line .number").first.focus()
    learn.press("End")
    expect(page.locator(".verdict").first).to_contain_text(prose["task"]["done"][:40])
    expect(page.locator(".output .printed")).to_have_count(2)  # the program as it was, beside it
    # The answer is that of this very run: an iterator of its own gives nothing a second time.
    answer = page.locator(".give input[type=range]")
    answer.focus()
    learn.press("ArrowRight", "ArrowLeft")
    page.get_by_role("button", name=learn.text("question.check")).press("Enter")
    expect(page.locator(".verdict").last).to_contain_text(prose["question"]["right"].split(":")[0])
    learn.press("c")
    expect(page.locator(".rung.done")).to_have_count(1)
    expect(page).not_to_have_url(re.compile("lesson="))  # the address follows a little later
    page.reload()
    expect(page.locator(".rung.done")).to_have_count(1)  # kept in the browser


def test_a_number_that_gives_the_prediction_away_waits_for_it(learn: Lesson) -> None:
    learn.open("05-loader-by-hand")
    waiting = learn.page.locator(".lesson-text .measured.waits")
    expect(waiting).to_have_count(1)
    learn.page.locator(".predict input[type=range]").focus()
    learn.press("ArrowRight")
    learn.press("Tab", "Enter")
    expect(learn.page.get_by_role("button", name=learn.text("predict.run"))).to_be_focused()
    learn.press("Enter")
    learn.expect_step(learn.count)  # all of it in seconds, however many steps there are
    expect(learn.page.locator(".revealed .bar")).to_have_count(2)
    expect(waiting).to_have_count(0)


@pytest.mark.parametrize(
    ("lesson", "line", "keys", "changed"),
    [
        ("05-loader-by-hand", "batches.append(batch)", ["ArrowRight"], "batches"),
        ("06-batches", "shapes.append(", [], "batch"),
    ],
)
def test_what_a_step_changes_is_in_sight(learn: Lesson, lesson: str, line: str, keys: list[str], changed: str) -> None:
    learn.open(lesson)
    page = learn.page
    page.locator(f".program .line:has-text({line!r}) .number").focus()
    learn.press("Enter")
    box = page.locator(".things > .thing", has=page.locator(".names", has_text=re.compile(rf"^{changed}$")))
    for width, height in ((1440, 900), (390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        page.locator(".stage").evaluate("(stage) => stage.scrollIntoView()")
        learn.press("Shift+ArrowRight", *keys)
        expect(box).to_be_in_viewport()
        beyond = page.locator(".code-pane").evaluate("(pane) => pane.scrollWidth - pane.clientWidth")
        assert beyond == 0, "code lies beyond the edge of its pane"


def test_the_link_holds_the_whole_state_and_is_clamped(learn: Lesson) -> None:
    learn.open("03-generator", step=30, params="count:9999", variant="take-until", breaks="8", lang="es")
    page = learn.page
    learn.expect_step(31)
    expect(page.locator(".lesson-parameter output")).to_contain_text("40")
    expect(page.locator(".program .number[aria-pressed=true]")).to_have_text("8")
    expect(page.locator("input[name=variant][value=take-until]")).to_be_checked()
    learn.press("ArrowRight")
    expect(page).to_have_url(re.compile("step=31"))
    query = parse_qs(urlsplit(page.url).query)
    assert query["lesson"] == ["03-generator"]
    assert query["variant"] == ["take-until"]
    assert query["breaks"] == ["8"]
    assert query["lang"] == ["es"]
    changed = page.locator(".program .line.changed").first  # against the lesson's own program, which is asked for apart
    expect(changed).to_be_visible()
    before = learn.shown()
    page.goto(page.url)
    learn.expect_step(32)
    expect(changed).to_be_visible()
    assert learn.shown() == before
    learn.open("03-generator", step="1e9", variant="nonsense")
    learn.expect_step(learn.count)
    expect(page.locator("input[name=variant]").first).to_be_checked()


def test_a_parameter_is_a_run_of_its_own(learn: Lesson) -> None:
    learn.open("03-generator", step=LAST)
    before = learn.count
    learn.page.locator(".lesson-parameter input[type=range]").focus()
    learn.press(*["ArrowRight"] * 3)
    expect(learn.page.locator(".steps .count")).not_to_have_text(re.compile(rf"/ {before}$"))
    assert learn.count > before
    expect(learn.page.locator(".program")).to_contain_text("islice(fibonacci(), 13)")


def test_the_glossary_is_one_key_away(learn: Lesson) -> None:
    learn.open("03-generator")
    learn.press("g")
    dialog = learn.page.get_by_role("dialog")
    expect(dialog).to_contain_text("StopIteration")
    dialog.get_by_role("searchbox").fill("epoch")
    expect(dialog.locator("dt")).to_contain_text(["epoch"])
    # At once, before the browser has drawn the page without it.
    learn.press("Escape", "ArrowRight")
    expect(dialog).to_be_hidden()
    learn.expect_step(1)


def test_a_room_sees_large_type_and_needs_no_mouse(learn: Lesson) -> None:
    learn.open("03-generator", present=1, hide="parameters,transport")
    page = learn.page
    expect(page.locator(".header, .lesson-bar:visible, .lesson-parameters, .steps")).to_have_count(0)
    expect(page.locator(".lesson-text")).to_be_visible()
    learn.press("PageDown")
    expect(page.locator(".lesson-text")).to_have_count(0)
    expect(page.locator(".frame")).to_have_count(1)
    size = page.locator(".program .line").first.evaluate("(line) => parseFloat(getComputedStyle(line).fontSize)")
    assert size >= 15
    learn.press("n")
    expect(page).to_have_url(re.compile("lesson=04"))
    learn.press("Escape")
    expect(page.locator(".header")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("lang", ["es", "en"])
def test_contents_and_lessons_are_whole_and_accessible(enter: Enter, lang: str, theme: str) -> None:
    learn = Lesson(enter(lang=lang, theme=theme))
    learn.open()
    assert findings(learn.page) == []
    for lesson in ("02-iterator", "03-generator"):
        learn.open(lesson, step=25)
        expect(learn.page.locator("h1")).to_contain_text(learn.prose(lesson)["title"])
        assert findings(learn.page) == []
        said = learn.page.locator("body").inner_text()
        keys = {key for key in learn.words if "." in key}
        assert keys.isdisjoint(said.split()), "a text is missing: its key is shown"
        assert not re.search(r"\{\??\w+\}", learn.page.locator(".lesson-text").inner_text())
    learn.press("g")
    assert findings(learn.page) == []


@pytest.mark.parametrize("lesson", LESSONS)
def test_each_lesson_is_whole_on_a_desk_and_on_a_phone(enter: Enter, lesson: str) -> None:
    learn = Lesson(enter(lang="es"))
    page = learn.page
    learn.open(lesson, step=25)
    expect(page.locator(".source").first).to_be_visible()
    expect(page.locator("h1")).to_contain_text(learn.prose(lesson)["title"])
    for width, height in ((1440, 900), (390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.locator(".stage").evaluate("(stage) => stage.scrollIntoView()")
        for part in (".program .line.current", ".frame", ".steps .buttons"):  # all at once, on a phone too
            expect(page.locator(part).first).to_be_in_viewport()
        assert findings(page) == []
    page.get_by_role("button", name=learn.text("measures.show")).click()
    expect(page.locator(".measure-grid dd").first).to_be_visible()
    assert findings(page) == []
    # What the prose says has its number in this run, and what is measured has its words.
    assert "–" not in page.locator(".measured").all_inner_texts()
    assert page.locator(".measure-grid dt").filter(has_text=re.compile(r"^\w*_\w*$")).count() == 0


def test_without_the_server_the_text_stays_and_it_says_what_to_do(learn: Lesson, watched: Complaints) -> None:
    watched[-1][1].expected = ("console: Failed to load resource",)
    learn.open()
    page = learn.page
    page.route("**/api/lessons/*/record", lambda route: route.abort())
    page.locator(".rung button").nth(1).press("Enter")
    expect(page.locator(".instead")).to_contain_text(learn.text("offline.title"))
    expect(page.locator(".lesson-text")).to_contain_text("__next__")
    page.unroute("**/api/lessons/*/record")
    page.get_by_role("button", name=learn.text("again")).press("Enter")
    expect(page.locator(".source").first).to_be_visible()


def test_an_answer_that_a_variant_never_measured_is_neither_right_nor_wrong(learn: Lesson) -> None:
    learn.open("08-workers", variant="dies")
    expect(learn.page.locator(".lesson-text .measured").first).not_to_have_text("–")  # of the program as it was
    learn.page.locator(".give input[type=radio]").first.focus()
    learn.press("Space")
    learn.page.get_by_role("button", name=learn.text("question.check")).press("Enter")
    expect(learn.page.locator(".verdict")).to_have_text([learn.text("question.not_measured")])


def test_a_link_to_a_file_that_is_not_here_says_how_to_open_one(learn: Lesson) -> None:
    learn.open("mine")
    expect(learn.page.locator(".instead")).to_contain_text("loaderscope learn --mine")
    assert findings(learn.page) == []


def test_a_link_to_no_lesson_says_so_above_the_contents(enter: Enter) -> None:
    learn = Lesson(enter())
    dashboard = learn.dashboard
    query = urlencode({"view": "learn", "lang": dashboard.lang, "lesson": "99-<b>none</b>"})
    learn.page.goto(f"{dashboard.server.url}/?{query}#token={dashboard.server.token}")
    expect(learn.page.locator(".toast")).to_contain_text(learn.text("bar.no_lesson", name="99-<b>none</b>"))
    expect(learn.page.locator(".learn-contents .rung").first).to_be_visible()


def test_who_may_only_look_reads_the_text_and_is_told_why_nothing_runs(enter: Enter, tmp_path: Path) -> None:
    with running(tmp_path / "viewed", LOADERSCOPE_VIEW_TOKEN=VIEW_TOKEN) as server:
        learn = Lesson(enter(on=server))
        learn.open("02-iterator", token=VIEW_TOKEN)
        expect(learn.page.locator(".instead")).to_contain_text(learn.text("forbidden.title"))
        expect(learn.page.locator(".lesson-text")).to_contain_text("__next__")
        assert findings(learn.page) == []
        learn.page.close()  # before its server, whose end it would complain about
