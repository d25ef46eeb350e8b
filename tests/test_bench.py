"""`make bench` as far as it goes without the peers: it ends well and says what it measured. How fast is not tested."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from commands import environment

ROOT = Path(__file__).resolve().parents[1]


def test_what_peers_have_not_graded_is_told_for_any_number_of_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "scripts")
    results = importlib.import_module("benchmark.results")
    for sizes in ((10, 400), (10, 40, 400)):
        assert '"from 10" was not measured on more' in results.caption_of(results.Results(sizes, peer_sizes=(10,)))
    assert '"from' not in results.caption_of(results.Results((10,), peer_sizes=(10,)))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_bench_measures_every_way_of_ours_on_the_same_class(tmp_path: Path) -> None:
    bench = [sys.executable, ROOT / "scripts" / "bench", "--no-peers", "--submissions", "2", "--rounds", "1"]
    done = subprocess.run(
        [*bench, "--folder", tmp_path], cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr

    results = json.loads((tmp_path / "results.json").read_text())
    rows = {row["name"]: row for row in results["rows"]}
    assert "grader autograde, the first time" in rows
    assert "nbgrader autograde, our step" in rows
    assert "bare fork" in rows
    assert any(name.startswith("grader autograde --jobs") or name == "grader autograde" for name in rows)
    for name, row in rows.items():
        assert name in done.stdout
        assert row["submissions"] == row["measured_on"] == 2
        assert row["seconds"] > 0
        assert row["per_minute"] > 0
        assert row["peak_memory_mib"] > 0
        assert row["times_stock"] is None  # there was nothing to compare with
    assert all(results["engine"][name] > 0 for name in ("engine_ms", "bare_ms", "fork_ms", "engine_over_bare"))
    assert (tmp_path / "results.png").read_bytes().startswith(b"\x89PNG")
