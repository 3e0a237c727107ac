"""/var/run/cog/ready appears once setup has succeeded, and not before."""

from __future__ import annotations

from namespaces import run_inside


def test_the_ready_file_appears_once_setup_has_succeeded():
    run_inside("kubernetes.py")
