"""The five-minute tour of README.md and the operators' guides, taken: what they show is what comes
out."""

import os
import pathlib
import re
import shlex
import socket
import subprocess

import pytest
from lab import zones
from lab.hopseal import TREE, program
from lab.process import wait_until

README = (TREE / "README.md").read_text()
TOUR = README.split("## Five minutes\n")[1].split("\n## ")[0]
GATEWAY = (TREE / "docs/guide/gateway.md").read_text()
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


# ---- the gateway's guide ----


def without_chance(text):
    """What is another one each time: names of messages, times, sizes and process numbers."""
    for pattern, name in [
        (r"(?<![\w.-])[0-9][0-9A-Za-z]{10}(?![\w.-])", "ID"),
        (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
        (r"\bdelays?=[\d./]+", "delay"),
        (r"(?<![\d.])\d{3,}(?![\d.])", "N"),
    ]:
        text = re.sub(pattern, name, text)
    return text


class Guide:
    """The machine of the guide, with receivers of the lab in place of its partners."""

    def __init__(self, folder, tree, ca):
        self.dir, self.etc = folder, folder / "etc"
        self.etc.mkdir()
        self.places = [
            ("/etc/hopseal", str(self.etc)),
            ("/etc/ssl/certs/ca-certificates.crt", str(ca.root)),
            ("partner.example", "good.example"),
            ("careless.example", "aiosmtpd.example"),
            ("mx.hoster.example", "mx.elsewhere.example"),
        ]
        self.lab = (
            f"hopseal_queue_directory = {folder}/queue\nhopseal_user = root\n"
            f"maillog_file = {folder}/log\nmaillog_file_prefixes = {folder}\ninet_protocols = ipv4\n"
            f"inet_interfaces = {zones.MYSELF}\nhopseal_dns_stub_servers = 192.0.2.53@53\n"
            f"hopseal_dns_trust_anchor_file = {tree.anchor}\n"
        )
        path = f"{pathlib.Path(program()).parent}:{os.environ['PATH']}"
        self.env = {**os.environ, "MAIL_CONFIG": str(self.etc), "PATH": path}
        self.queue_id = ""

    def adapt(self, text):
        """For this machine."""
        for was, now in self.places:
            text = text.replace(was, now)
        return text

    def write(self, name, text, mode=0o644):
        """One of its files."""
        made = self.etc / "new"
        made.write_text(text)
        made.chmod(mode)
        made.rename(self.etc / name)

    def run(self, command):
        """What a command of the guide prints; the name of a message is the one in the queue."""
        command = re.sub("show [0-9]\\w{10}$", f"show {self.queue_id}", self.adapt(command))
        done = subprocess.run(
            ["sh", "-c", command], env=self.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (command, done)
        return done.stdout + done.stderr

    def log(self):
        """What the daemon logged."""
        return (self.dir / "log").read_text()

    def show(self, text):
        """The commands of a block, and what they print."""
        for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, flags=re.M):
            printed = self.run(command)
            shown, plain = without_chance(self.adapt(shown)), without_chance(printed)
            comes_out(shown, plain)
            assert "...\n" in shown or unwrapped(shown) == unwrapped(plain), printed
            yield command, printed


def test_the_gateway(tree, ca, own_sink, tmp_path):
    guide = Guide(tmp_path, tree, ca)
    everything = re.findall(r"^```(\w*)\n(.*?)^```$", GATEWAY, flags=re.M | re.S)
    main_cf, users, policy, *rest = [text for tag, text in everything if not tag]
    guide.write("main.cf", guide.adapt(main_cf) + guide.lab)
    guide.write("users", users, 0o640)
    guide.write("tls_policy", guide.adapt(policy))
    ours = ca.cert("valid", "gateway.example.com")
    guide.write("gateway.pem", ours.key.read_text() + ours.chain.read_text(), 0o640)
    receivers = {"mx1.good.example": zones.MX1, "mx.elsewhere.example": zones.AIOSMTPD}
    for cert, address in receivers.items():
        made = ca.cert("valid", cert)
        own_sink("--cert", made.chain, "--key", made.key, listen=f"{address}:25")

    before = [text for text in rest if not text.startswith("$ hopseal status")][:2]
    n_commands = sum(len(list(guide.show(text))) for text in before)
    with subprocess.Popen([program(), "serve"], env=guide.env) as daemon:
        try:
            wait_until(lambda: is_up(guide), "hopseal serve", daemon=daemon)
            for text in rest[2:]:
                n_commands += take_step(guide, text)
        finally:
            daemon.terminate()
    assert daemon.returncode == 0 and n_commands == 13
    assert guide.log().count("tls=secure/verified") == 2


def is_up(guide):
    """True if the daemon answers."""
    argv = [program(), "status"]
    return subprocess.run(argv, env=guide.env, capture_output=True, check=False).returncode == 0


def take_step(guide, text):
    """One block: a line of the log, a table, or commands; gives how many of these."""
    if text.startswith("hopseal/"):
        line = lambda: " ".join(guide.log().split("\n"))
        wait_until(lambda: "status=sent" in line(), "the delivery")
        comes_out(re.sub(r"\[4711\]", "[N]", without_chance(guide.adapt(text))),
                  without_chance(guide.log()))
        return 0
    if not text.startswith("$ "):
        guide.write("tls_policy", guide.adapt(text))
        return 0
    n = 0
    for command, printed in guide.show(text):
        n += 1
        if "contract" in command:
            wait_until(lambda: "status=deferred" in guide.log(), "the deferral")
        if command == "hopseal queue" and "nothing" not in printed:
            guide.queue_id = printed.split()[0]
        if " retry " in command:
            wait_until(lambda: guide.log().count("tls=secure/verified") == 2, "the delivery")
            wait_until(lambda: "nothing" in guide.run("hopseal queue"), "an empty queue")
    return n
