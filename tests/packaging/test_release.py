"""`make release-check` refuses a release with any broken part."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
import zipfile

import pytest
import yaml
from packages import ROOT


def check(tmp_path, changelog="## 1.2.3 - 2026-01-02\n", *more):
    (tmp_path / "CHANGELOG.md").write_text(changelog)
    command = [sys.executable, ROOT / "scripts/release-check", "--version", "1.2.3"]
    command += ["--changelog", tmp_path / "CHANGELOG.md", "--dist", tmp_path, *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=50)


def wheel(tmp_path, content=b"x = 1\n", metadata=None):
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"x = 1\n").digest()).rstrip(b"=").decode()
    with zipfile.ZipFile(tmp_path / "a-1.2.3-py3-none-any.whl", "w") as archive:
        archive.writestr("a.py", content)
        archive.writestr("a-1.2.3.dist-info/RECORD", f"a.py,sha256={digest},6\n")
        if metadata:
            archive.writestr("a-1.2.3.dist-info/METADATA", metadata)


@pytest.fixture
def dist(tmp_path):
    wheel(tmp_path)
    (tmp_path / "coggo.cdx.json").write_text(
        """{"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "metadata": {"component": {"bom-ref": "server", "type": "application", "name": "server"}},
        "components": [{"bom-ref": "module", "type": "library", "name": "module"}],
        "dependencies": [{"ref": "server", "dependsOn": ["module"]}]}"""
    )
    return tmp_path


def made(dist, name):
    return json.loads((dist / name).read_text())


def test_a_good_release_gets_its_checksums(dist):
    done = check(dist)
    assert done.returncode == 0, done.stderr
    sums = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=dist, capture_output=True)
    assert sums.returncode == 0, sums.stdout


def test_the_sums_name_every_file_but_themselves(dist):
    for _ in range(2):  # a second call starts over
        assert check(dist).returncode == 0
        summed = {line.split()[1] for line in (dist / "SHA256SUMS").read_text().splitlines()}
        assert summed == {p.name for p in dist.iterdir()} - {"SHA256SUMS"}


def test_the_sbom_of_the_wheels_leads_to_the_modules_of_the_server(dist):
    assert check(dist).returncode == 0
    bom = made(dist, "coggo-wheels.cdx.json")
    assert bom["metadata"]["component"]["purl"] == "pkg:pypi/coggo@1.2.3"
    depends = {d["ref"]: d["dependsOn"] for d in bom["dependencies"]}
    name = "a-1.2.3-py3-none-any.whl"
    assert depends["pkg:pypi/coggo@1.2.3"] == [name]
    assert depends[name] == ["server"]
    assert depends["server"] == ["module"]
    [file] = [c for c in bom["components"] if c["bom-ref"] == name]
    digest = hashlib.sha256((dist / name).read_bytes()).hexdigest()
    assert file["hashes"] == [{"alg": "SHA-256", "content": digest}]
    assert {c["bom-ref"] for c in bom["components"]} == {name, "server", "module"}


def test_the_provenance_names_the_commit_and_each_file(dist):
    assert check(dist, "## 1.2.3 - 2026-01-02\n", "--tag", "v1.2.3").returncode == 0
    statement = made(dist, "provenance.json")
    build = statement["predicate"]["buildDefinition"]
    assert build["externalParameters"] == {"version": "1.2.3", "tag": "v1.2.3"}
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    [source] = build["resolvedDependencies"]
    assert source["digest"] == {"gitCommit": head.stdout.strip()}
    for subject in statement["subject"]:
        content = (dist / subject["name"]).read_bytes()
        assert subject["digest"] == {"sha256": hashlib.sha256(content).hexdigest()}
    named = {subject["name"] for subject in statement["subject"]}
    assert {"a-1.2.3-py3-none-any.whl", "coggo.cdx.json", "coggo-wheels.cdx.json"} <= named


def test_the_notes_are_those_of_the_version(dist, tmp_path_factory):
    notes = tmp_path_factory.mktemp("notes") / "notes.md"
    changelog = "# Changelog\n\n## Unreleased\n\n## 1.2.3 - 2026-01-02\n\n### Added\n\n- this\n"
    done = check(dist, changelog + "\n## 1.2.2 - 2026-01-01\n\n- that\n", "--notes", notes)
    assert done.returncode == 0, done.stderr
    assert notes.read_text() == "### Added\n\n- this\n"


def test_a_wheel_with_requirements_is_refused(dist):
    wheel(dist, metadata="Name: a\nRequires-Dist: b\n")
    done = check(dist)
    assert done.returncode == 1
    assert "a-1.2.3-py3-none-any.whl requires packages" in done.stderr


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


def test_a_tree_that_has_moved_on_since_the_build_is_refused(dist):
    done = check(dist, "## 1.2.3 - 2026-01-02\n", "--commit", "0" * 40)
    assert done.returncode == 1
    assert f"but was {'0' * 40} when the build began" in done.stderr
    assert not (dist / "SHA256SUMS").exists()


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


def test_the_release_workflow_publishes_what_release_check_makes(dist):
    assert check(dist).returncode == 0
    workflow = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
    steps = workflow["jobs"]["release"]["steps"]
    runs = [step["run"] for step in steps if "run" in step]
    assert runs[0] == 'make release-check TAG="$GITHUB_REF_NAME"'
    assert "dist/*" in runs[1].split()
    recipe = (ROOT / "Makefile").read_text().partition("\nrelease-check:")[2].partition("\n\n")[0]
    assert runs[1].partition("--notes-file ")[2] in recipe
    used = [v for step in steps for v in step.get("with", {}).values() if "dist/" in str(v)]
    assert len(used) == 3
    for pattern in used:
        assert list(dist.glob(pattern.removeprefix("dist/"))), f"nothing makes {pattern}"


def test_the_nightly_benchmark_is_kept():
    workflow = yaml.safe_load((ROOT / ".github/workflows/nightly.yml").read_text())
    *_, bench, keep = workflow["jobs"]["bench"]["steps"]
    assert bench["run"] == "make bench-quick"
    written = re.search(r'flag\.String\("out", "(.+?)"', (ROOT / "bench/main.go").read_text())
    assert written and keep["with"]["path"] == written[1]
    assert keep["with"]["if-no-files-found"] == "error"


def test_the_workflows_are_valid():
    schema = ["check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    files = sorted((ROOT / ".github/workflows").glob("*.yml"))
    done = subprocess.run([sys.executable, "-m", *schema, *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
