"""The pytest plugin: a test fails where its loader does not keep the marker's limits, and passes where it does."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

PROGRAM = """
    import time
    import pytest
    import torch
    from torch.utils.data import DataLoader, Dataset

    class Samples(Dataset):
        def __len__(self):
            return 160
        def __getitem__(self, index):
            time.sleep({read})
            return torch.zeros(4)

    @pytest.mark.loaderscope({limits})
    def test_training(loaderscope):
        for batch in loaderscope(DataLoader(Samples(), batch_size=4)):
            time.sleep({step})
"""


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))


def run(pytester: pytest.Pytester, limits: str, *, read: float, step: float) -> pytest.RunResult:
    pytester.makeconftest('pytest_plugins = ["app.pytest_plugin"]')
    pytester.makepyfile(PROGRAM.format(limits=limits, read=read, step=step))
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", "--strict-markers")


def test_a_starved_loop_fails_with_the_verdict_and_a_fed_one_passes(pytester: pytest.Pytester) -> None:
    starved = run(pytester, "max_wait_share=0.1", read=0.003, step=0.003)
    starved.assert_outcomes(passed=1, errors=1)
    starved.stdout.fnmatch_lines(["*The loop waits for * %* of its time, more than the 10 % allowed.*"])
    run(pytester, "max_wait_share=0.3", read=0.0, step=0.02).assert_outcomes(passed=1)


def test_a_limit_that_there_is_none_of_is_told(pytester: pytest.Pytester) -> None:
    done = run(pytester, "forbid=['no_such_code']", read=0.0, step=0.001)
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*there is no finding 'no_such_code'*"])
