"""Rules of the repository itself, and of the scripts that set a machine up."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
SCRIPTS = sorted((REPOSITORY / "scripts").glob("*.sh"))
LARGEST_BYTES = 400_000
"""The pinned packages with their hashes have 320 kB."""
REGISTRIES = re.compile(r"\b(?:pypi|npmjs|pythonhosted|crates)\.(?:org|com|io)\b")


def tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("this is no git checkout")
    return [REPOSITORY / name for name in done.stdout.splitlines() if (REPOSITORY / name).is_file()]


def test_no_weights_footage_or_other_large_file_is_tracked() -> None:
    assert not [path for path in tracked() if path.stat().st_size > LARGEST_BYTES]


def test_no_package_registry_is_named() -> None:
    named = [path for path in tracked() if path != Path(__file__) and REGISTRIES.search(path.read_text(errors="replace"))]
    assert not named


def test_every_requirement_is_pinned_and_hashed() -> None:
    for file in (REPOSITORY / "requirements").glob("*.txt"):
        requirements = [entry for entry in re.split(r"\n(?=\S)", file.read_text()) if not entry.startswith("#")]
        assert requirements
        for entry in requirements:
            assert re.match(r"[\w.-]+(\[[\w,]+\])?==\S+", entry), entry
            assert "--hash=sha256:" in entry, entry


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script_is_executable_and_stops_at_the_first_error(script: Path) -> None:
    assert os.access(script, os.X_OK)
    assert "\nset -euo pipefail\n" in script.read_text()
    subprocess.run(["bash", "-n", script], check=True)


def bare_machine(folder: Path, *programs: str) -> dict[str, str]:
    """An environment in which only these programs exist, and no package is installed."""
    folder.mkdir()
    for program in ("bash", "env", *programs):
        found = shutil.which(program)
        assert found is not None
        (folder / program).symlink_to(found)
    for program in {"dpkg-query", "python3"} - set(programs):
        fails = folder / program
        fails.write_text("#!/usr/bin/env bash\nexit 1\n")
        fails.chmod(0o755)
    return {"PATH": str(folder)}


def test_packages_that_cannot_be_installed_are_listed(tmp_path: Path) -> None:
    environment = bare_machine(tmp_path / "bin", "id", "grep")
    script = REPOSITORY / "scripts" / "system_packages.sh"
    done = subprocess.run([script, "run"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[1:] == ["    ffmpeg", "    nginx", "    libnginx-mod-rtmp", "    python3-venv"]


def test_footage_that_nothing_gives_is_an_error_and_leaves_none(tmp_path: Path) -> None:
    programs = ("id", "mkdir", "mktemp", "chmod", "rm", "md5sum", "tr", "find", "mv", "dirname")
    environment = bare_machine(tmp_path / "bin", *programs)
    shutil.copytree(REPOSITORY / "scripts", tmp_path / "checkout" / "scripts")
    script = tmp_path / "checkout" / "scripts" / "fetch_footage.sh"
    done = subprocess.run(
        [script], env={**environment, "XDG_CACHE_HOME": str(tmp_path / "cache")}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "vtest.avi could not be fetched" in done.stderr
    assert list((tmp_path / "cache" / "raycctv" / "footage").iterdir()) == []


def test_second_run_of_make_sets_nothing_up_again() -> None:
    if "MAKELEVEL" not in os.environ:
        pytest.skip("not run by make, so this machine may be set up otherwise")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    command = ["make", "--dry-run", "demo"]
    planned = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True)
    assert planned.stdout == ".venv/bin/raycctv demo\n"
