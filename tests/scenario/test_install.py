"""make install: what it lays out, and that it leaves a configuration alone."""

import os
import pathlib
import shutil
import stat
import subprocess

import pytest
from lab.hopseal import TREE, program

WANTED = {
    "usr/bin/hopseal",
    "usr/lib/systemd/system/hopseal.service",
    "usr/lib/sysusers.d/hopseal.conf",
    "usr/lib/tmpfiles.d/hopseal.conf",
    "usr/share/doc/hopseal/hopseal.logrotate",
    "usr/share/man/man1/hopseal.1",
    "usr/share/man/man5/hopseal.cf.5",
    "etc/hopseal/main.cf",
    "etc/hopseal/main.cf.default",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Installed below a folder. The program that is tested stands for the one that would be built."""
    folder = tmp_path_factory.mktemp("install")
    build, root = folder / "build", folder / "root"
    env = {**os.environ, "DESTDIR": str(root)}

    def meson(*argv):
        subprocess.run(["meson", *map(str, argv)], env=env, check=True, capture_output=True)

    meson("setup", build, TREE, "--prefix=/usr")
    (build / "src").mkdir(exist_ok=True)
    shutil.copy(program(), build / "src/hopseal")

    def install():
        meson("install", "-C", build, "--no-rebuild")

    install()
    return root, install


def files(root):
    return {str(p.relative_to(root)) for p in pathlib.Path(root).rglob("*") if not p.is_dir()}


def test_everything_is_laid_out(root):
    assert files(root[0]) == WANTED
    assert stat.S_IMODE((root[0] / "etc/hopseal/main.cf").stat().st_mode) == 0o644


def test_the_configuration_is_good(root):
    done = subprocess.run(
        [root[0] / "usr/bin/hopseal", "check", "-c", root[0] / "etc/hopseal"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_unit_starts_what_is_installed(root):
    unit = (root[0] / "usr/lib/systemd/system/hopseal.service").read_text()
    assert "ExecStart=/usr/bin/hopseal serve\n" in unit and "@" not in unit.replace("@system", "")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
def test_systemd_takes_the_unit(root, tmp_path):
    unit = (root[0] / "usr/lib/systemd/system/hopseal.service").read_text()
    copy = tmp_path / "hopseal.service"
    copy.write_text(unit.replace("/usr/bin/hopseal", str(root[0] / "usr/bin/hopseal")))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", copy], capture_output=True, text=True, check=False
    )
    assert "hopseal.service" not in done.stderr, done.stderr


def test_a_configuration_is_never_overwritten(root):
    (root[0] / "etc/hopseal/main.cf").write_text("# mine\n")
    (root[0] / "etc/hopseal/main.cf.default").write_text("# older\n")
    root[1]()
    assert (root[0] / "etc/hopseal/main.cf").read_text() == "# mine\n"
    assert "compatibility_level" in (root[0] / "etc/hopseal/main.cf.default").read_text()
