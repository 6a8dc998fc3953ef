"""The five-minute tour of README.md and the operators' guide, taken: what they show is what comes
out."""

import re
import shlex
import socket
import subprocess

import pytest
from lab.hopseal import TREE, program

README = (TREE / "README.md").read_text()
TOUR = README.split("## Five minutes\n")[1].split("\n## ")[0]
GUIDE = (TREE / "docs/guide/from-postfix.md").read_text().split("## How to read `check`\n")[1]


def blocks(text):
    """What stands between fences."""
    return re.findall(r"^```\n(.*?)^```$", text, flags=re.M | re.S)


def free_port():
    """A port that nobody has at the moment."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture
def tour(network, tmp_path):
    """Turns a text of the tour into one for a folder and port of this test's own."""
    port = str(free_port())

    def adapt(text):
        return text.replace("/tmp/tour", str(tmp_path)).replace("2525", port)

    return adapt


def block(start):
    """The one block of the tour that begins so."""
    (found,) = [b for b in blocks(TOUR) if b.startswith(start)]
    return found


def run(folder, command, stdin=None):
    """What a command of the tour prints."""
    argv = [program(), *shlex.split(command)[1:]]
    done = subprocess.run(argv, cwd=folder, stdin=stdin, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def told(text):
    """(command, output) of a block with one command, whose input comes from a file at most."""
    command, output = re.search(r"^\$ (hopseal [^\n]*)\n(.*)", text, flags=re.M | re.S).groups()
    return command.split(" < ")[0], output


def test_the_tour(tour, tmp_path):
    prepare = block("$ mkdir /tmp/tour")
    script = tour(re.sub(r"^\$ ", "", prepare, flags=re.M)).replace("mkdir", "mkdir -p")
    subprocess.run(
        ["bash", "-O", "expand_aliases", "-ec", script.replace("&& cd", "\ncd")],
        check=True,
        capture_output=True,
    )
    for name, start in [
        ("main.cf", "compatibility_level"),
        ("transport", "partner.example"),
        ("tls_per_site", "localhost "),
    ]:
        (tmp_path / name).write_text(tour(block(start)))

    command, output = told(block("$ hopseal check"))
    assert run(tmp_path, command) == tour(output)

    (tmp_path / "tls_per_site").write_text(tour(block("[localhost]:2525")))
    command, output = told(block("$ hopseal explain"))
    assert unwrapped(run(tmp_path, command)) == unwrapped(tour(output))

    command, output = told(tour(block("$ hopseal sink")))
    with subprocess.Popen(
        [program(), *shlex.split(command)[1:]], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as sink:
        try:
            assert sink.stdout.readline() == output
            send(tour, tmp_path)
        finally:
            sink.terminate()
    assert len(list((tmp_path / "inbox/new").iterdir())) == 1


def unwrapped(text):
    """Long lines are broken where the folder's name makes them too long."""
    return " ".join(text.split())


def send(tour, folder):
    """The two commands of the tour that send."""
    text = block("$ printf")
    message = re.search(r"printf '(.*)' > message", text)[1].encode().decode("unicode_escape")
    (folder / "message").write_text(message)

    command, output = told(text)
    with open(folder / "message", encoding="ascii") as f:
        assert run(folder, command, f) == tour(output)
    command, output = told(block("$ hopseal send -c . -f me@example.com --json"))
    with open(folder / "message", encoding="ascii") as f:
        whole = run(folder, command, f)
    for part in filter(None, re.split(r"^\.\.\.\n", output, flags=re.M)):
        assert part in whole


def comes_out(shown, whole):
    """What is shown stands in the whole, piece by piece: "..." stands for what was left out."""
    at, whole = 0, unwrapped(whole)
    for piece in map(unwrapped, re.split(r"^\.\.\.\n", shown, flags=re.M)):
        found = whole.find(piece, at)
        assert found >= 0, f"{piece}\nis not in\n{whole}"
        at = found + len(piece)


def test_the_guide(network, tmp_path):
    def adapt(text):
        return text.replace("/tmp/guide", str(tmp_path))

    main_cf, *rest = blocks(GUIDE)
    (tmp_path / "main.cf").write_text(adapt(main_cf))
    n_commands = 0
    for text in rest:
        if not text.startswith("$ "):
            # a table: the one with a transport in it is the other one
            name = "transport" if "smtp:" in text else "tls_per_site"
            (tmp_path / name).write_text(text)
            if name == "transport":
                with open(tmp_path / "main.cf", "a", encoding="ascii") as f:
                    f.write(f"transport_maps = texthash:{tmp_path}/transport\n")
            continue
        for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, flags=re.M):
            comes_out(adapt(shown), run(tmp_path, adapt(command)))
            n_commands += 1
    assert n_commands == 8
