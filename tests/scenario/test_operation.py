"""What operators do to the running gateway, and without it: queue, status, reload, stop, the control
socket, metrics, health."""

import contextlib
import ctypes
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

import pytest
from lab.client import Client
from lab.hopseal import MESSAGE, TREE, program
from lab.process import PATIENCE
from prometheus_client.parser import text_string_to_metric_families

NOBODY = pwd.getpwnam("nobody")


def until(what, seconds=60):
    """Waits for a condition; gives its value."""
    end = time.monotonic() + seconds * PATIENCE
    while not (value := what()):
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.05)
    return value


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Gateway:
    """A queue and its configuration, with a daemon or without."""

    def __init__(self, **settings):
        # sockets have short names
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="hs", dir="/tmp"))
        self.settings = {
            "compatibility_level": "3.6",
            "myhostname": "gateway.example",
            "hopseal_queue_directory": self.dir / "q",
            "hopseal_user": pwd.getpwuid(os.geteuid()).pw_name,
            "hopseal_workers": 2,
            "hopseal_stop_time": "5s",
            "maillog_file": self.dir / "log",
            "maillog_file_prefixes": self.dir,
            "smtp_host_lookup": "native",
            "relayhost": "[127.0.0.1]:1",
            "hopseal_listeners": f"smtp:unix:{self.dir}/smtp",
            "default_destination_concurrency_failed_cohort_limit": 100,
            "smtp_connect_timeout": "3s",
            **settings,
        }
        self.child = None
        self.configure()

    def configure(self, **settings):
        self.settings.update(settings)
        lines = [f"{name} = {value}\n" for name, value in self.settings.items()]
        (self.dir / "main.cf").write_text("".join(lines))

    def run(self, command, *argv, stdin=b"", code=0, user=None):
        done = subprocess.run(
            [self.dir / "hopseal" if user else program(), command, "-c", self.dir, *map(str, argv)],
            input=stdin,
            capture_output=True,
            timeout=60,
            check=False,
            **({"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}),
        )
        done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
        assert "Sanitizer" not in done.stderr and "runtime error:" not in done.stderr, done.stderr
        assert code is None or done.returncode == code, (done.args, done.stdout, done.stderr)
        return done

    def put(self, *rcpts, sender="alice@client.example", message=MESSAGE):
        """While the daemon is down."""
        self.run("sendmail", "-f", sender, *rcpts, stdin=message)

    def queue(self, *argv, **kwargs):
        return self.run("queue", *argv, **kwargs).stdout

    def rows(self, *argv):
        """Recipients by address."""
        lines = self.queue("list", "--json", *argv).splitlines()
        return {row["recipient"]: row for row in map(json.loads, lines)}

    def id_of(self, rcpt):
        return self.rows()[rcpt]["queue_id"]

    def status(self):
        return json.loads(self.run("status", "--json").stdout)

    @property
    def log(self):
        path = self.dir / "log"
        return path.read_text() if path.exists() else ""

    def start(self):
        self.child = subprocess.Popen(
            [program(), "serve", "-c", self.dir], stderr=subprocess.PIPE, text=True
        )
        until(lambda: self.child.poll() is not None or self.run("status", code=None).returncode == 0)
        assert self.child.poll() is None, self.child.stderr.read()

    def end(self):
        """Gives the exit status."""
        if self.child is None:
            return 0
        self.child.terminate()
        return self.wait()

    def wait(self):
        err = self.child.communicate(timeout=30)[1]
        assert "Sanitizer" not in err and "runtime error:" not in err, err
        code, self.child = self.child.returncode, None
        return code


@contextlib.contextmanager
def gateway(**settings):
    g = Gateway(**settings)
    try:
        yield g
        assert g.end() == 0
    finally:
        if g.child:
            g.child.kill()
            g.child.communicate()
        shutil.rmtree(g.dir)


@pytest.fixture(params=["down", "up"])
def held(request, network):
    """A gateway with two messages that nobody takes, with a daemon or without."""
    with gateway() as g:
        g.put("u@one.example", "v@two.example")
        g.put("w@three.example", sender="")
        if request.param == "up":
            g.start()
            until(lambda: all(r["reason"] for r in g.rows().values()))
        g.is_up = request.param == "up"
        yield g


# ---- what is in the queue ----


def test_list_by_message(held):
    text = held.queue()
    assert "alice@client.example" in text and "<>" in text
    assert "u@one.example" in text and "3 recipients in 2 messages" in text
    if held.is_up:
        assert "connection refused" in text and "(smtp:[127.0.0.1]:1)" in text
    rows = held.rows()
    assert list(rows) == ["u@one.example", "v@two.example", "w@three.example"]
    assert rows["u@one.example"]["queue_id"] == rows["v@two.example"]["queue_id"]
    assert {r["state"] for r in rows.values()} == {"queued"}


def test_list_filters(held):
    assert list(held.rows("--sender", "")) == ["w@three.example"]
    assert len(held.rows("--sender", "ALICE@client.example")) == 2
    assert held.rows("--older", "1d") == {}
    assert held.rows("--state", "held") == {}
    assert len(held.rows("--state", "held", "--state", "queued")) == 3
    assert len(held.rows("--reason", "refused")) == (3 if held.is_up else 0)
    where = "smtp:[127.0.0.1]:1" if held.is_up else ""
    assert len(held.rows("--destination", where)) == 3
    assert held.rows("--destination", "smtp:other") == {}
    assert list(held.rows(held.id_of("w@three.example"))) == ["w@three.example"]


def test_by_destination(held):
    (row,) = map(json.loads, held.queue("--by-destination", "--json").splitlines())
    assert (row["queued"], row["held"]) == (3, 0) and row["oldest"] and row["due"]
    assert ("window" in row) == held.is_up
    assert "3 queued" in held.queue("--by-destination")


def test_show_and_cat(held):
    message = held.id_of("u@one.example")
    shown = json.loads(held.queue("show", "--json", message))
    assert shown["queue_id"] == message and shown["sender"] == "alice@client.example"
    assert [r["recipient"] for r in shown["recipients"]] == ["u@one.example", "v@two.example"]
    if held.is_up:
        tried = shown["attempts"][0]
        assert tried["outcome"]["recipients"][0]["outcome"] == "deferred"
        assert tried["evidence"]["tries"][0]["decision"]["level"]
        assert "connection refused" in held.queue("show", message)
    else:
        assert shown["attempts"] == []
    text = held.queue("cat", message)
    assert "\nSubject: hello" in text and text.splitlines()[-1] == "A line."


# ---- changes ----


def test_hold_and_release(held):
    message = held.id_of("u@one.example")
    assert held.queue("hold", f"{message}/u@one.example") == "hold: 1 recipients\n"
    states = {rcpt: row["state"] for rcpt, row in held.rows().items()}
    assert states == {
        "u@one.example": "held",
        "v@two.example": "queued",
        "w@three.example": "queued",
    }
    assert held.queue("hold", "--all") == "hold: 2 recipients\n"
    assert held.queue("release", message) == "release: 2 recipients\n"
    assert list(held.rows("--state", "held")) == ["w@three.example"]
    if held.is_up:
        assert f"{message}: hold by " in held.log and "all: hold, 2 recipients by " in held.log


def test_delete(held):
    message = held.id_of("w@three.example")
    assert held.queue("delete", message) == "delete: 1 recipients\n"
    assert list(held.rows()) == ["u@one.example", "v@two.example"]
    held.queue("cat", message, code=66)
    assert held.queue("delete", "--all") == "delete: 2 recipients\n"
    assert "nothing in the queue" in held.queue()


def test_changes_of_a_destination(held):
    where = held.rows()["u@one.example"]["destination"]
    assert held.queue("hold", "--destination", where) == "hold: 3 recipients\n"
    assert held.queue("hold", "--destination", "smtp:other") == "hold: 0 recipients\n"
    assert held.queue("requeue", "--destination", where) == "requeue: 3 recipients\n"
    assert not held.rows("--state", "held")


@pytest.mark.parametrize(
    "argv, code",
    [
        (("delete",), 64),
        (("delete", "--all", "1"), 64),
        (("--all",), 64),
        (("show",), 64),
        (("explode", "1"), 64),
        (("--state", "odd"), 64),
        (("--older", "odd"), 64),
        (("show", "odd!"), 65),
        (("delete", "odd!"), 65),
        (("show", "00000000000"), 65),
        (("list", "00000000000"), 65),
        (("show", "00000000001"), 66),
        (("cat", "00000000001"), 66),
        (("delete", "00000000001"), 66),
    ],
)
def test_what_cannot_be(held, argv, code):
    before = held.queue()
    done = held.run("queue", *argv, code=code)
    assert done.stdout == "" and done.stderr.startswith("hopseal: ")
    assert [line.split(" due")[0] for line in held.queue().splitlines()] == [
        line.split(" due")[0] for line in before.splitlines()
    ]


def test_no_such_recipient(held):
    held.queue("delete", held.id_of("u@one.example") + "/x@one.example", code=66)
    assert len(held.rows()) == 3


# ---- mail flows ----


def test_retry_after_a_deferral(own_sink):
    with own_sink("--reply", "RCPT=450 4.2.1 later", listen="127.0.0.1:2501") as first:
        with gateway(relayhost="[127.0.0.1]:2501") as g:
            g.put("u@one.example")
            g.start()
            until(lambda: "later" in g.rows()["u@one.example"]["reason"])
            assert list(g.rows("--reason", "later")) == ["u@one.example"]
            first.__exit__()
            with own_sink(listen="127.0.0.1:2501") as second:
                assert g.queue("retry", "--all") == "retry: 1 recipients\n"
                until(lambda: second.mails)
                until(lambda: not g.rows())
                counted = g.status()["counters"]
                assert counted["recipients_delivered"] == 1 and counted["attempts"] == 2


def test_flush_wakes_a_dead_destination(own_sink):
    with gateway(
        relayhost="[127.0.0.1]:2502",
        initial_destination_concurrency=1,
        default_destination_concurrency_failed_cohort_limit=1,
    ) as g:
        g.put("u@one.example")
        g.start()
        until(lambda: g.status()["blocked"])
        (dead,) = g.status()["blocked"]
        assert dead["destination"] == "smtp:[127.0.0.1]:2502" and dead["is_dead"]
        assert "dead for" in g.queue("--by-destination")
        with own_sink(listen="127.0.0.1:2502") as sink:
            g.queue("flush", g.id_of("u@one.example"))
            until(lambda: sink.mails)
            until(lambda: not g.rows())


def test_what_a_change_is_not_of(held):
    """Nothing is done by halves: a slip in an argument, or an option that means nothing here, must
    not reach more mail than was meant."""
    message = held.id_of("w@three.example")
    for option in (
        ("--sender", "x@y.example"),
        ("--older", "1d"),
        ("--reason", "x"),
        ("--state", "held"),
        ("--by-destination",),
    ):
        assert option[0] in held.run("queue", "delete", "--all", *option, code=64).stderr
        assert option[0] in held.run("queue", "show", message, *option, code=64).stderr
    assert held.run("queue", "delete", message, "w@three.example", code=65).stdout == ""
    assert held.run("queue", "delete", message, f"{message}/", code=65).stdout == ""
    assert len(held.rows()) == 3
    assert json.loads(held.queue("delete", "--json", message)) == {"changed": 1}


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to become another user")
def test_who_may_not_ask_is_told(network):
    with gateway() as g:
        assert f"no queue in {g.dir}/q" in g.run("queue", code=66).stderr
        said = g.run("status", "--json", code=69)
        version = subprocess.check_output([program(), "--version"], text=True).split()[-1]
        assert json.loads(said.stdout) == {"state": "down", "version": version}
        opened(g)
        g.start()
        for command in ("status", "queue", "reload", "stop"):
            said = g.run(command, user=NOBODY, code=69).stderr
            assert "control: Permission denied" in said and "no daemon" not in said
        assert g.status()["state"] == "running"


def test_many_dead_destinations():
    """Status tells of a hundred, and how many more there are."""
    with gateway(
        transport_maps="pcre:{{/@(.*)[.]example$$/ smtp:[127.0.1.$$1]:1}}",
        initial_destination_concurrency=1,
        default_destination_concurrency_failed_cohort_limit=1,
    ) as g:
        g.put(*(f"u@{i}.example" for i in range(1, 104)))
        g.start()
        until(lambda: g.status()["active"]["dead"] == 103)
        status = g.status()
        waits = [d["blocked_s"] for d in status["blocked"]]
        assert len(waits) == 100 and status["blocked_more"] == 3
        assert waits == sorted(waits, reverse=True)
        assert "and 3 more: " in g.run("status").stdout


def test_held_mail_is_not_tried(own_sink):
    with own_sink(listen="127.0.0.1:2503") as sink, gateway(relayhost="[127.0.0.1]:2503") as g:
        g.put("u@one.example", "v@two.example")
        g.queue("hold", g.id_of("u@one.example") + "/u@one.example")
        g.start()
        until(lambda: list(g.rows()) == ["u@one.example"])
        assert g.rows()["u@one.example"]["state"] == "held"
        g.queue("release", "--all")
        until(lambda: not g.rows())
        assert len(sink.mails) == 2


def test_lists_while_mail_flows(own_sink):
    """Readers never fail, and what they see is whole."""
    with own_sink(listen="127.0.0.1:2504") as sink, gateway(relayhost="[127.0.0.1]:2504") as g:
        for i in range(30):
            g.put(*(f"u{i}.{k}@example.net" for k in range(10)))
        g.queue("hold", "--all")
        g.start()
        problems, stop = [], threading.Event()

        def read():
            while not stop.is_set():
                try:
                    for row in g.rows().values():
                        assert row["state"] in ("queued", "held")
                    g.status()
                except AssertionError as e:
                    problems.append(e)

        readers = [threading.Thread(target=read) for _ in range(3)]
        for r in readers:
            r.start()
        g.queue("release", "--all")
        until(lambda: g.status()["counters"]["recipients_delivered"] == 300, 60)
        stop.set()
        for r in readers:
            r.join()
        assert not problems and not g.rows()
        assert len(sink.mails) >= 30


# ---- the daemon ----


def test_status_without_a_daemon(network):
    with gateway() as g:
        g.put("u@one.example")
        done = g.run("status", "--json", code=69)
        assert json.loads(done.stdout)["queue"]["queued"] == 1 and "no daemon" in done.stderr
        for command in ("reload", "stop"):
            assert "no daemon" in g.run(command, code=69).stderr


def test_status_names_what_runs(network):
    with gateway() as g:
        g.put("u@one.example")
        g.start()
        told = g.status()
        assert told["state"] == "running" and told["pid"] == g.child.pid and told["workers"] == 2
        assert told["queue"]["messages"] == 1 and told["store"]["free_octets"] > 0
        text = g.run("status").stdout
        assert told["configuration"] in text and "since the start" in text


def test_reload(network):
    with gateway() as g:
        g.start()
        before = g.status()["configuration"]
        g.configure(smtp_helo_timeout="77s")
        g.run("reload")
        after = g.status()["configuration"]
        assert after != before
        g.configure(smtp_helo_timeout="odd")
        assert "smtp_helo_timeout" in g.run("reload", code=78).stderr
        g.child.send_signal(signal.SIGHUP)  # the daemon is not even asked by the command
        until(lambda: "was not reloaded" in g.log)
        g.configure(smtp_helo_timeout="77s")
        assert g.status()["configuration"] == after


@pytest.mark.parametrize(
    "lines",
    [
        "smtp_helo_timeout = odd\n    and\n  more\n",
        "an odd line\n",
        "inet_protocols = ipv5\nsmtp_tls_security_level = odd\nmyhostname = \"\"\n",
        "myorigin = ${\n",
    ],
)
def test_a_broken_configuration_hides_no_daemon(network, lines):
    with gateway() as g:
        g.put("u@one.example")
        g.queue("hold", "--all")
        g.start()
        good = (g.dir / "main.cf").read_text()
        (g.dir / "main.cf").write_text(lines + good)
        said = g.run("status", "--json")
        assert json.loads(said.stdout)["state"] == "running"
        assert "error: " in said.stderr and f"all the same, at {g.dir}/q/control" in said.stderr
        assert "u@one.example" in g.queue()
        assert g.queue("release", "--all") == "release: 1 recipients\n"
        assert g.run("reload", code=78).stdout == ""
        g.run("stop")
        assert g.wait() == 0
        for argv in (("queue",), ("queue", "hold", "--all"), ("status",), ("stop",)):
            assert "no daemon answers" in g.run(*argv, code=78).stderr


def test_a_configuration_that_is_gone(network):
    """No socket is guessed where it could be another daemon's."""
    with gateway() as g:
        g.start()
        (g.dir / "main.cf").unlink()
        assert "hopseal_control_socket=PATH" in g.run("stop", code=66).stderr
        place = f"hopseal_control_socket={g.dir}/q/control"
        assert "running" in g.run("status", "-o", place).stdout
        g.configure(hopseal_queue_directory="$odd${")
        assert "hopseal_control_socket=PATH" in g.run("stop", code=78).stderr
        g.run("stop", "-o", place)
        assert g.wait() == 0


def test_what_a_reload_does_not_change_is_told(network):
    with gateway() as g:
        g.start()
        g.configure(hopseal_workers=3, hopseal_metrics_listen=f"127.0.0.1:{free_port()}")
        g.run("reload")
        for name in ("hopseal_workers", "hopseal_metrics_listen"):
            assert f"{name} is read at the start only" in g.log
        assert g.status()["workers"] == 2
        before = g.status()["configuration"]
        g.configure(hopseal_queue_directory=g.dir / "other",
                    hopseal_control_socket=g.dir / "q/control")
        assert "hopseal_queue_directory cannot change" in g.run("reload", code=78).stderr
        assert g.status()["configuration"] == before and not (g.dir / "other").exists()
        g.configure(hopseal_queue_directory=g.dir / "q")


def test_another_log_by_a_reload(network):
    with gateway() as g:
        g.start()
        g.configure(maillog_file=g.dir / "log2")
        g.run("reload")
        assert "reloaded" in (g.dir / "log2").read_text() and "reloaded" not in g.log
        g.configure(maillog_file="/dev/stdout", maillog_file_prefixes=f"{g.dir}, /dev/stdout")
        g.run("reload")  # all the rest of it is taken
        assert "the old log is written on: maillog_file takes a new start: only a file" in (g.dir / "log2").read_text()
        g.configure(maillog_file=g.dir / "nowhere/log")
        g.run("reload")
        assert "nowhere/log: No such file" in (g.dir / "log2").read_text()
        g.configure(maillog_file="/tmp/elsewhere")
        assert "begins with no prefix" in g.run("reload", code=78).stderr
        (finding,) = json.loads(g.run("check", "--json", code=78).stdout)["findings"]
        assert finding["code"] == "log" and finding["line"] > 0
        g.run("stop")
        assert g.wait() == 0
        assert "begins with no prefix" in g.run("serve", code=78).stderr
        assert not os.path.exists("/tmp/elsewhere")


def secured(g, cert):
    """A listener with TLS, on a socket of its own."""
    g.configure(
        smtpd_tls_chain_files=f"{cert.key}, {cert.chain}",
        smtpd_tls_security_level="may",
        smtpd_error_sleep_time=0,
    )


def begin(g, path="smtp", secure=True):
    c = Client(f"{g.dir}/{path}")
    if secure:
        c.starttls()
    return c


def subject_of(c):
    """The host that the server's certificate names."""
    der = c.socket.getpeercert(binary_form=True)
    return re.findall(rb"mx\d\.example", der)[0].decode()


def test_a_reload_cuts_off_nobody(network, ca, own_sink):
    """Sessions in each state live through it; so does an attempt; new ones see what is new."""
    with own_sink("--reply", "DATA=delay 3s 354 go on", listen="127.0.0.1:2506") as first, gateway(
        relayhost="[127.0.0.1]:2506"
    ) as g:
        secured(g, ca.cert("valid", "mx1.example"))
        g.start()
        in_data, in_auth, idle = begin(g), begin(g), begin(g, secure=False)
        for command in ("MAIL FROM:<a@x.example>", "RCPT TO:<u@one.example>", "DATA"):
            assert in_data.say(command)[0] in "23"
        in_data.send(b"Subject: half\r\n\r\na")
        in_auth.say("AUTH LOGIN")
        secured(g, ca.cert("valid", "mx2.example"))
        g.configure(hopseal_listeners=f"smtp:unix:{g.dir}/smtp lmtp:unix:{g.dir}/lmtp")
        g.run("reload")
        until(lambda: (g.dir / "lmtp").exists())
        in_data.send(b"b\r\n.\r\n")
        assert in_data.reply().startswith("250")
        assert in_auth.say("NOOP")[0] in "25" and idle.say("NOOP").startswith("250")
        assert subject_of(in_data) == "mx1.example"

        def fresh():
            with begin(g) as c:
                return subject_of(c)

        until(lambda: fresh() == "mx2.example")
        assert Client(f"{g.dir}/lmtp", hello="LHLO").extensions.startswith("250")
        g.configure(hopseal_listeners=f"smtp:unix:{g.dir}/smtp", smtp_helo_timeout="70s")
        g.run("reload")  # in the middle of the attempt
        until(lambda: g.status()["counters"]["recipients_delivered"] == 1)
        assert len(first.mails) == 1
        assert idle.say("QUIT").startswith("221")
        for c in (in_data, in_auth, idle):
            c.close()


def test_a_certificate_that_cannot_be_used_is_refused(network, ca):
    """Before anything of the new configuration is in force; check finds it, too."""
    good = ca.cert("valid", "mx1.example")
    with gateway() as g:
        (g.dir / "bad.pem").write_text("-----BEGIN PRIVATE KEY-----\nodd\n-----END PRIVATE KEY-----\n")
        secured(g, good)
        g.start()
        before = g.status()["configuration"]
        g.configure(smtpd_tls_chain_files=f"{g.dir}/bad.pem, {good.chain}", relayhost="[127.0.0.2]:1")
        said = g.run("reload", code=78).stderr
        assert "smtp:unix:" in said and g.status()["configuration"] == before
        (finding,) = json.loads(g.run("check", "--json", code=78).stdout)["findings"]
        assert finding["code"] == "listeners" and finding["line"] > 0 and "smtp:unix:" in finding["text"]
        with begin(g) as c:
            assert subject_of(c) == "mx1.example"


def test_a_list_that_is_gone_at_a_reload(network):
    """The files of lists are read once for all workers, before anything new is in force."""
    with gateway() as g:
        nets = g.dir / "nets"
        nets.write_text("127.0.0.0/8\n")
        g.configure(mynetworks=nets)
        g.start()
        before = g.status()["configuration"]
        nets.unlink()
        g.configure(smtp_helo_timeout="77s")
        assert f"{nets}: No such file" in g.run("reload", code=78).stderr
        assert g.status()["configuration"] == before
        (finding,) = json.loads(g.run("check", "--json", code=78).stdout)["findings"]
        assert finding["code"] == "listeners" and str(nets) in finding["text"]
        g.end()
        assert f"{nets}: No such file" in g.run("serve", code=78).stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to become another user")
def test_a_key_that_only_root_may_read(network, ca):
    """Nobody could read it at a reload: the daemon does not start with it, and says why."""
    cert = ca.cert("valid", "mx1.example")
    with gateway(hopseal_user="nobody") as g:
        opened(g)
        key = g.dir / "key.pem"
        key.write_bytes(pathlib.Path(cert.key).read_bytes())
        key.chmod(0o600)
        chain = g.dir / "chain.pem"
        chain.write_bytes(pathlib.Path(cert.chain).read_bytes())
        g.configure(
            hopseal_control_socket=g.dir / "s/control",
            hopseal_listeners=f"smtp:unix:{g.dir}/s/smtp",
            maillog_file=g.dir / "s/log",
            smtpd_tls_chain_files=f"{key}, {chain}",
            smtpd_tls_security_level="may",
        )
        assert "key.pem: Permission denied" in g.run("serve", code=66).stderr
        os.chown(key, NOBODY.pw_uid, -1)
        g.start()
        g.run("reload")
        os.chown(key, 0, -1)
        assert "key.pem: Permission denied" in g.run("reload", code=78).stderr
        with begin(g, "s/smtp") as c:
            assert subject_of(c) == "mx1.example"


# ---- the service manager ----


@contextlib.contextmanager
def stopped_thread(tid):
    """One thread of another process does not run."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    seize, interrupt, detach, wall = 0x4206, 0x4207, 17, 0x40000000
    if libc.ptrace(seize, tid, None, None) != 0:
        pytest.skip("threads may not be traced here")
    libc.ptrace(interrupt, tid, None, None)
    os.waitpid(tid, wall)
    try:
        yield
    finally:
        libc.ptrace(detach, tid, None, None)


def test_the_watchdog_is_fed_by_all(network):
    """Ready after listening; a worker or the writer that stands still is not vouched for."""
    with gateway() as g, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(g.dir / "notify"))
        manager.settimeout(1.5)

        def told():
            with contextlib.suppress(TimeoutError):
                return manager.recv(100).decode()
            return None

        def is_fed():
            """Not counting what was sent before."""
            manager.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while manager.recv(100):
                    pass
            manager.settimeout(1.5)
            return told() == "WATCHDOG=1"

        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("NOTIFY_SOCKET", str(g.dir / "notify"))
            patch.setenv("WATCHDOG_USEC", "600000")
            g.start()
        said = [told(), told()]
        assert "READY=1" in said and (g.dir / "smtp").exists()
        until(is_fed)
        threads = sorted(int(t) for t in os.listdir(f"/proc/{g.child.pid}/task"))
        stuck = 0
        for tid in threads:
            if tid == g.child.pid:
                continue
            with stopped_thread(tid):
                is_fed()
                stuck += not is_fed()
            until(is_fed)
        assert stuck >= 3  # two workers and the writer


def test_stop(network):
    with gateway() as g:
        g.start()
        g.run("stop")
        assert g.wait() == 0
        assert not (g.dir / "q/control").exists()
        g.start()  # the lock is free, and the socket's name, too


def test_a_second_daemon_is_told_so(network):
    with gateway() as g:
        g.start()
        assert g.run("serve", "-o", f"hopseal_listeners=smtp:unix:{g.dir}/other", code=75).stderr.startswith("hopseal: ")
        assert g.status()["state"] == "running"


# ---- who may ----


def opened(g):
    """Makes the way to the socket open, so that only the socket itself says who may use it."""
    (g.dir / "s").mkdir(mode=0o755)
    for path in (g.dir, g.dir / "s"):
        path.chmod(0o755)
    (g.dir / "main.cf").chmod(0o644)
    shutil.copy(program(), g.dir / "hopseal")


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to become another user")
def test_others_may_not(network):
    with gateway() as g:
        g.configure(hopseal_control_socket=g.dir / "s/control")
        opened(g)
        g.start()
        assert (g.dir / "s/control").stat().st_mode & 0o777 == 0o600
        g.run("status", code=69, user=NOBODY)
        (g.dir / "s/control").chmod(0o666)  # who connects is looked at all the same
        assert "may not" in g.run("status", code=69, user=NOBODY).stderr
        assert "may not" in g.run("queue", "delete", "--all", code=69, user=NOBODY).stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to become another user")
def test_the_group_may(network):
    with gateway() as g:
        g.configure(hopseal_control_socket=g.dir / "s/control", hopseal_control_group="nogroup")
        opened(g)
        g.put("u@one.example")
        g.start()
        assert (g.dir / "s/control").stat().st_mode & 0o777 == 0o660
        assert json.loads(g.run("status", "--json", user=NOBODY).stdout)["state"] == "running"
        assert g.run("queue", "hold", "--all", user=NOBODY).stdout == "hold: 1 recipients\n"
        assert " by nobody" in g.log
        message = g.id_of("u@one.example")
        g.queue("release", "--all")
        g.queue("hold", "--all")
        for argv in (
            ("list", "--json"),
            ("list",),
            ("list", "--by-destination", "--json"),
            ("show", message),
            ("show", "--json", message),
        ):
            # the group's members cannot read the database
            assert g.queue(*argv, user=NOBODY) == g.queue(*argv)
        assert "u@one.example" in g.queue(user=NOBODY)
        assert "may read messages" in g.run("queue", "cat", message, code=69, user=NOBODY).stderr
        g.end()
        assert "No such" not in g.run("queue", user=NOBODY, code=None).stderr
        assert g.run("queue", user=NOBODY, code=None).returncode != 0


def test_the_same_with_and_without_a_daemon(network):
    """Long lists and large messages, too: they come in pieces."""
    big = MESSAGE + b"".join(b"%d \x80\xff\r\n" % i for i in range(60000))
    with gateway() as g:
        for i in range(15):
            g.put(*(f"u{k}@d{i}.example" for k in range(50)))
        g.put("big@example.net", message=big)
        g.queue("hold", "--all")
        some = g.id_of("u7@d3.example")
        large = g.id_of("big@example.net")

        def seen():
            return [
                g.queue(*argv)
                for argv in (
                    ("list", "--json"),
                    ("list",),
                    ("list", some),
                    ("list", "--json", some, large),
                    ("--destination", "", "--json"),
                    ("--sender", "alice@client.example", "--state", "held", "--older", "0"),
                    ("--by-destination",),
                    ("--by-destination", "--json"),
                    ("show", some),
                    ("show", "--json", some),
                )
            ] + [cat(g, some), cat(g, large)]

        def cat(g, message):
            return subprocess.run(
                [program(), "queue", "-c", g.dir, "cat", message], capture_output=True, check=True
            ).stdout

        down = seen()
        g.start()
        assert seen() == down
        assert down[0].count("\n") == 751 and down[-1].endswith(b"59999 \x80\xff\r\n")
        assert len(json.loads(down[9])["recipients"]) == 50


def test_a_client_that_does_not_read(network):
    """It costs the daemon a piece, and nobody waits for it."""
    with gateway() as g:
        for _ in range(20):
            g.put(*(f"u{k}@{'x' * 60}.example" for k in range(500)))
        g.queue("hold", "--all")
        g.start()
        sockets = []
        for _ in range(30):
            s = socket.socket(socket.AF_UNIX)
            s.connect(str(g.dir / "q/control"))
            s.sendall(b'{"request":"list"}\n')
            sockets.append(s)
        time.sleep(1)
        assert g.queue("list", "--json").count("\n") == 10000
        memory = int(re.search(r"VmHWM:\s+(\d+)", open(f"/proc/{g.child.pid}/status").read())[1])
        assert memory < 300 * 1024, memory  # sanitizers included
        heard = b""
        while not heard.endswith(b'{"done":true}\n'):
            heard += sockets[0].recv(1 << 20)
        assert heard.count(b"\n") == 10001
        for s in sockets:
            s.close()
        assert g.status()["state"] == "running"


def test_more_connections_than_are_served(network):
    """Operators with the rights to read the queue itself do without the daemon."""
    with gateway() as g:
        g.put("u@one.example")
        g.start()
        sockets = [socket.socket(socket.AF_UNIX) for _ in range(64)]
        for s in sockets:
            s.connect(str(g.dir / "q/control"))
        done = g.run("queue", "--json")
        assert "u@one.example" in done.stdout and "too many connections" in done.stderr
        assert "too many" in g.run("queue", "hold", "--all", code=75).stderr
        for s in sockets:
            s.close()
        until(lambda: g.run("status", code=None).returncode == 0)


# ---- the socket itself ----


@pytest.mark.parametrize(
    "reply, code, said",
    [
        (b'{"done":true}\n', 0, ""),
        (b'{"error":"not today","code":65}\n', 65, "not today"),
        (b"", 75, "hung up"),
    ],
)
def test_a_reply_and_the_end_at_once(network, reply, code, said):
    """A daemon that is told to stop may be gone before the command wakes up."""
    with gateway() as g, socket.socket(socket.AF_UNIX) as server:
        (g.dir / "q").mkdir(exist_ok=True)
        server.bind(str(g.dir / "q/control"))
        server.listen()
        argv = [program(), "stop", "-c", g.dir]
        with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as command:
            client, _ = server.accept()
            with client:
                client.recv(65536)
                command.send_signal(signal.SIGSTOP)
                until(lambda: process_state(command.pid) == "T")
                client.sendall(reply)
            command.send_signal(signal.SIGCONT)
            heard = command.communicate(timeout=60)[1]
        assert (command.returncode, said in heard) == (code, True), heard


def process_state(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


def talk(g, octets):
    """What the daemon says to that, until it hangs up."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(str(g.dir / "q/control"))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            s.sendall(octets)
            s.shutdown(socket.SHUT_WR)
        heard = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := s.recv(65536):
                heard += piece
    return [json.loads(line) for line in heard.splitlines()]


def test_requests_in_one_connection(network):
    with gateway() as g:
        g.put("u@one.example")
        g.start()
        said = talk(
            g, b'{"request":"hold","all":true}\n{"request":"status"}\nodd\n{"request":"odd"}\n'
        )
        assert said[0] == {"changed": 1, "done": True}
        assert said[1]["queue"]["held"] == 1 and said[1]["done"]
        assert [s["code"] for s in said[2:]] == [65, 65]
        assert talk(g, b"x" * 100000) == []
        assert talk(g, b'{"request":"status"') == []
        assert g.status()["state"] == "running"


def test_those_who_hang_up_early(network):
    with gateway() as g:
        g.put("u@one.example")
        g.start()
        for request in (b'{"request":"status"}\n', b'{"request":"hold","all":true}\n') * 20:
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(str(g.dir / "q/control"))
                s.sendall(request)
        assert g.status()["state"] == "running"


# ---- figures ----


def fetch(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as reply:
            return reply.status, reply.read().decode(), reply.headers["Content-Type"]
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode(), e.headers["Content-Type"]


def families(text):
    return {f.name: f for f in text_string_to_metric_families(text)}


def test_metrics(own_sink):
    port = free_port()
    with own_sink(listen="127.0.0.1:2505"), gateway(
        relayhost="[127.0.0.1]:2505", hopseal_metrics_listen=f"127.0.0.1:{port}"
    ) as g:
        g.put("u@one.example", "v@one.example")
        g.put("w@two.example")
        g.queue("hold", g.id_of("w@two.example"))
        g.start()
        until(lambda: list(g.rows()) == ["w@two.example"])
        status, text, kind = fetch(port, "/metrics")
        assert status == 200 and kind.startswith("text/plain; version=0.0.4")
        found = families(text)
        assert found["hopseal_recipients_delivered"].samples[0].value == 2
        states = {s.labels["state"]: s.value for s in found["hopseal_queue_recipients"].samples}
        assert states == {"queued": 0, "held": 1, "finished": 0}
        delays = found["hopseal_delivery_delay_seconds"]
        assert delays.type == "histogram"
        buckets = [s for s in delays.samples if s.name.endswith("_bucket")]
        assert [s.value for s in buckets] == sorted(s.value for s in buckets)
        assert buckets[-1].labels["le"] == "+Inf" and buckets[-1].value == 2
        assert found["hopseal_build_info"].samples[0].labels["version"]
        assert fetch(port, "/healthz")[:2] == (200, "ok\n")
        assert fetch(port, "/readyz")[:2] == (200, "ok\n")
        assert fetch(port, "/")[0] == 404


def test_every_metric_is_documented(network):
    port = free_port()
    with gateway(hopseal_metrics_listen=f"127.0.0.1:{port}") as g:
        g.start()
        found = families(fetch(port, "/metrics")[1])
    page = (TREE / "docs/reference/metrics.md").read_text()
    named = dict(re.findall(r"^\| `((?:hopseal|process)_\w+)` \| (\w+) \|", page, flags=re.M))
    told = {f.name + ("_total" if f.type == "counter" else ""): f.type for f in found.values()}
    assert named == told


def test_monitors_at_once(network):
    port = free_port()
    with gateway(hopseal_metrics_listen=f"127.0.0.1:{port}") as g:
        g.start()
        got = []
        threads = [
            threading.Thread(target=lambda: got.append(fetch(port, "/metrics")[0]))
            for _ in range(12)
        ]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert got == [200] * 12
        with socket.create_connection(("127.0.0.1", port)) as s:  # and one that says nothing
            s.sendall(b"GET /metrics HTTP/1.1\r\n")
            assert g.status()["state"] == "running"


def test_a_daemon_that_ends_answers_nobody(network):
    port = free_port()
    with gateway(hopseal_metrics_listen=f"127.0.0.1:{port}") as g:
        g.start()
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 4)
            assert g.end() == 0


@pytest.mark.parametrize("action", ["retry", "flush"])
def test_what_is_due_already_is_asked_for(action):
    """Mail of defer_transports has its one attempt, though it was due when the operator asked."""
    with gateway(defer_transports="smtp") as g:
        g.put("u@one.example")
        assert g.queue(action, "--all") == f"{action}: 1 recipients\n"
        assert g.queue(action, "--all") == f"{action}: 0 recipients\n"
        g.start()
        row = until(lambda: (r := g.rows()["u@one.example"])["attempts"] > 0 and r)
        assert "connection refused" in row["reason"]
