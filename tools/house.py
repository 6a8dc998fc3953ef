"""What the checks share: where the rooms are, and what an archive defines and needs."""

import os
import subprocess
import sys

WALLS = ("lib", "src")


def room_files(tree, endings=(".c", ".h", ".def")):
    """Yields (wall, room, path) for the source files of every room."""
    for wall in WALLS:
        for folder, _, names in sorted(os.walk(os.path.join(tree, wall))):
            parts = os.path.relpath(folder, os.path.join(tree, wall)).split(os.sep)
            for name in sorted(names):
                if name.endswith(endings) and parts[0] != ".":
                    yield wall, parts[0], os.path.join(folder, name)


def room_of(archive):
    """libhopseal_base.a -> base"""
    return os.path.basename(archive).removeprefix("libhopseal_").removesuffix(".a")


def symbols(archive):
    """The global names an archive defines, and those it leaves to others."""
    lines = subprocess.run(
        ["nm", "--extern-only", "--format=posix", archive],
        check=True, stdout=subprocess.PIPE, universal_newlines=True).stdout.splitlines()
    pairs = [line.split()[:2] for line in lines if len(line.split()) >= 2]
    defined = {name for name, kind in pairs if kind not in "Uwv"}
    return defined, {name for name, kind in pairs if kind in "Uwv"} - defined


def finish(problems):
    """Ends the program: silently when there are no problems, else with all of them."""
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)
