"""`make release-check` refuses a release with any broken part."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import zipfile

import pytest
from packages import ROOT


def check(tmp_path, changelog="## 1.2.3 - 2026-01-02\n", *more):
    (tmp_path / "CHANGELOG.md").write_text(changelog)
    command = [sys.executable, ROOT / "scripts/release-check", "--version", "1.2.3"]
    command += ["--changelog", tmp_path / "CHANGELOG.md", "--dist", tmp_path, *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=50)


def wheel(tmp_path, content=b"x = 1\n"):
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"x = 1\n").digest()).rstrip(b"=").decode()
    with zipfile.ZipFile(tmp_path / "a-1.2.3-py3-none-any.whl", "w") as archive:
        archive.writestr("a.py", content)
        archive.writestr("a-1.2.3.dist-info/RECORD", f"a.py,sha256={digest},6\n")


@pytest.fixture
def dist(tmp_path):
    wheel(tmp_path)
    (tmp_path / "coggo.cdx.json").write_text(
        '{"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1}'
    )
    return tmp_path


def test_a_good_release_gets_its_checksums(dist):
    done = check(dist)
    assert done.returncode == 0, done.stderr
    sums = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=dist, capture_output=True)
    assert sums.returncode == 0, sums.stdout


@pytest.mark.parametrize(
    ("changelog", "more", "error"),
    [
        ("## 1.2.2 - 2026-01-02\n", [], "CHANGELOG.md has no heading for 1.2.3"),
        ("## 1.2.3\n", [], "CHANGELOG.md has no date at 1.2.3"),
        ("## 1.2.3 - 2026-01-02\n", ["--tag", "v1.2.4"], "the tag is v1.2.4"),
    ],
)
def test_a_wrong_version_is_refused(dist, changelog, more, error):
    done = check(dist, changelog, *more)
    assert done.returncode == 1
    assert error in done.stderr


def test_a_changed_wheel_is_refused(dist):
    wheel(dist, b"x = 2\n")
    done = check(dist)
    assert done.returncode == 1
    assert "a.py is not what RECORD says" in done.stderr


def test_a_damaged_wheel_is_refused(dist):
    (dist / "a-1.2.3-py3-none-any.whl").write_bytes(b"PK")
    done = check(dist)
    assert done.returncode == 1
    assert "is not a valid wheel" in done.stderr


def test_an_sbom_that_violates_the_schema_is_refused(dist):
    (dist / "coggo.cdx.json").write_text('{"bomFormat": "CycloneDX", "components": 3}')
    done = check(dist)
    assert done.returncode == 1
    assert "is not CycloneDX 1.6" in done.stderr


def test_the_workflows_are_valid():
    schema = ["check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    files = sorted((ROOT / ".github/workflows").glob("*.yml"))
    done = subprocess.run([sys.executable, "-m", *schema, *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
