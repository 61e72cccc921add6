import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from load.gate import main
from load.records import record_plain
from load.results import CheckOutcome, LoadEvidence, SmokeEvidence, TargetEvidence
from load.slo import DEFAULT_POLICY
from load.tests.evidence import BEFORE, SLICES, check, load_evidence, smoke_evidence

ROOT = Path(__file__).resolve().parents[2]


def stored(directory: Path, load: LoadEvidence | None = None, smoke: SmokeEvidence | None = None) -> list[str]:
    directory.mkdir(parents=True, exist_ok=True)
    smoke_json, load_json = directory / "smoke.json", directory / "load.json"
    smoke_json.write_text(json.dumps(record_plain(smoke or smoke_evidence())), encoding="utf-8")
    load_json.write_text(json.dumps(record_plain(load or load_evidence())), encoding="utf-8")
    return [str(smoke_json), str(load_json)]


@pytest.mark.parametrize(
    ("load", "code", "word"),
    [
        (load_evidence(), 0, "KEEP"),
        (load_evidence(broken=(5,) * SLICES), 10, "HOLD"),
        (load_evidence(broken=(30,) * SLICES), 20, "ROLLBACK"),
    ],
)
def test_the_exit_code_and_both_files_tell_the_verdict(
    load: LoadEvidence, code: int, word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["decide", *stored(tmp_path, load), "--out", str(tmp_path)]) == code
    verdict = json.loads((tmp_path / "verdict.json").read_text(encoding="utf-8"))
    assert (verdict["schema"], verdict["verdict"], verdict["exit_code"]) == ("rgms.verdict/1", word, code)
    assert (tmp_path / "report.md").read_text(encoding="utf-8").startswith(f"# {word}\n")
    assert capsys.readouterr().out.startswith(f"{word}: ")


def test_explain_and_replay_tell_the_stored_verdict_and_its_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["decide", *stored(tmp_path, load_evidence(broken=(5,) * SLICES)), "--out", str(tmp_path)])
    capsys.readouterr()
    assert main(["explain", str(tmp_path / "verdict.json")]) == 10
    explained = capsys.readouterr().out
    assert "how sure: 95 % sure that the truth is above" in explained
    assert "MET" in explained
    assert main(["replay", str(tmp_path)]) == 10
    assert "HOLD, as before" in capsys.readouterr().out


def test_replay_tries_a_changed_policy_on_old_evidence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["decide", *stored(tmp_path), "--out", str(tmp_path)])
    changed = tmp_path / "strict.toml"
    text = DEFAULT_POLICY.read_text(encoding="utf-8").replace("below = 100", "below = 3", 1)
    changed.write_text(text, encoding="utf-8")
    assert main(["replay", str(tmp_path), "--policy", str(changed)]) == 10
    assert "was KEEP, would be HOLD under another policy" in capsys.readouterr().out


def replayed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    main(["replay", *arguments])
    return capsys.readouterr().out


def test_replay_judges_without_load_what_was_judged_without_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # The load.json of an earlier run lies there, and would make it another verdict.
    smoke_json, _ = stored(tmp_path, load_evidence(broken=(30,) * SLICES))
    main(["decide", smoke_json, "--no-load", "the machine was busy", "--out", str(tmp_path)])
    told = replayed(capsys, str(tmp_path))
    assert "HOLD, as before" in told
    assert "the machine was busy" in told
    assert json.loads((tmp_path / "verdict.json").read_text())["no_load_reason"] == "the machine was busy"


def test_replay_does_not_take_a_later_run_s_load_for_the_one_that_was_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["decide", *stored(tmp_path), "--out", str(tmp_path)])
    stored(tmp_path, load_evidence(run_id="load-later"))
    assert "load.json is of run load-later; the stored verdict used load-now" in replayed(capsys, str(tmp_path))


def test_replay_takes_the_baseline_and_says_so_if_it_was_not_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = load_evidence(broken=(30,) * SLICES)
    before = replace(broken, run_id="load-before", target=TargetEvidence(BEFORE, BEFORE))
    _, baseline = stored(tmp_path / "old", before)
    now = tmp_path / "now"
    assert main(["decide", *stored(now, broken), "--baseline", baseline, "--out", str(now)]) == 10
    assert json.loads((now / "verdict.json").read_text())["baseline_run_ids"] == ["load-before"]
    without = replayed(capsys, str(now))
    assert "was HOLD, would be ROLLBACK" in without
    assert "Then its baseline was load-before, now it is none" in without
    told = replayed(capsys, str(now), "--baseline", baseline)
    assert "HOLD, as before" in told
    assert "its baseline was" not in told


def test_a_baseline_is_read_from_a_file_or_a_directory(tmp_path: Path) -> None:
    broken = load_evidence(broken=(30,) * SLICES)
    before = record_plain(broken)
    before["run_id"] = "before"
    before["target"]["start"]["commit"] = before["target"]["end"]["commit"] = "c" * 40
    old = tmp_path / "old"
    old.mkdir()
    (old / "load.json").write_text(json.dumps(before), encoding="utf-8")
    decide = ["decide", *stored(tmp_path / "new", broken), "--out", str(tmp_path / "new")]
    assert main(decide) == 20
    assert main([*decide, "--baseline", str(old / "load.json")]) == 10
    assert main([*decide, "--baseline", str(old)]) == 10
    assert main([*decide, "--baseline", str(tmp_path)]) == 30


def test_without_load_the_reason_is_given_on_the_command_line(tmp_path: Path) -> None:
    failed = smoke_evidence(check("worker", outcome=CheckOutcome.FAILED))
    smoke_json, _ = stored(tmp_path, smoke=failed)
    assert main(["decide", smoke_json, "--no-load", "smoke decided", "--out", str(tmp_path)]) == 20
    assert "smoke decided" in (tmp_path / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "arguments",
    [[], ["decide"], ["decide", "smoke.json", "--out", "x"], ["decide", "s", "l", "--no-load", "r", "--out", "x"]],
)
def test_wrong_usage_is_two(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2


@pytest.mark.parametrize("content", [None, "", "{}", "null", '{"schema": "rgms.load/1"}'])
def test_missing_or_broken_evidence_is_thirty_and_leaves_no_older_verdict(
    content: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    smoke_json, load_json = stored(tmp_path)
    assert main(["decide", smoke_json, load_json, "--out", str(tmp_path)]) == 0
    if content is None:
        Path(load_json).unlink()
    else:
        Path(load_json).write_text(content, encoding="utf-8")
    assert main(["decide", smoke_json, load_json, "--out", str(tmp_path)]) == 30
    assert not (tmp_path / "verdict.json").exists()
    assert not (tmp_path / "report.md").exists()
    assert "load.json" in capsys.readouterr().err


def test_a_crash_is_thirty(tmp_path: Path) -> None:
    paths = stored(tmp_path)
    in_the_way = tmp_path / "out"
    in_the_way.write_text("a file where a directory is due", encoding="utf-8")
    assert main(["decide", *paths, "--out", str(in_the_way)]) == 30


def test_a_broken_policy_is_thirty(tmp_path: Path) -> None:
    policy = tmp_path / "slo.toml"
    policy.write_text("schema = 1", encoding="utf-8")
    assert main(["decide", *stored(tmp_path), "--policy", str(policy), "--out", str(tmp_path)]) == 30


@pytest.mark.parametrize("output", ["full", "gone", "ascii"])
def test_nothing_that_happens_to_the_printed_words_changes_the_exit_code(output: str, tmp_path: Path) -> None:
    odd = smoke_evidence(check("odd", outcome=CheckOutcome.FLAKY, title="žluť"), check("ž", outcome=CheckOutcome.FLAKY))
    command = [sys.executable, "-m", "load.gate", "decide", *stored(tmp_path, smoke=odd), "--out", str(tmp_path)]
    read, write = os.pipe()
    os.close(read)
    with (
        open("/dev/full", "w") as full,
        os.fdopen(write, "w") as gone,
        (tmp_path / "printed").open("w") as printed,
    ):
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | {"PYTHONIOENCODING": "ascii"},
            stdout={"full": full, "gone": gone, "ascii": printed}[output],
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads((tmp_path / "verdict.json").read_text())["verdict"] == "KEEP"


def test_the_gate_runs_as_a_command_and_imports_neither_locust_nor_gevent(tmp_path: Path) -> None:
    script = (
        "import sys; import load.gate, load.slo, load.results, load.report, load.profiles; "
        "code = load.gate.main(sys.argv[1:]); "
        "heavy = {name.partition('.')[0] for name in sys.modules} & {'locust', 'gevent', 'requests'}; "
        "print(sorted(heavy)); sys.exit(code)"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, "decide", *stored(tmp_path), "--out", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == "[]"
