"""Bad input and faults: each has its message and its exit code, and none loses or leaks mail."""

import re
import time

import pytest

from lab import zones
from lab.hopseal import BOUNCED, DEFERRED, DELIVERED
from lab.sink import DEAF, DROP, RESET, STALL, Last, Slow, full_backlog

USAGE, NO_INPUT, CONFIG = 64, 66, 78
HEAD = b"From: alice@client.example\r\nSubject: s\r\n\r\n"


# ---- configuration ----


def test_main_cf_is_missing(hopseal):
    (hopseal.dir / "main.cf").unlink()
    for command in (["send", "bob@good.example"], ["explain", "good.example"], ["check"]):
        result = hopseal.run(*command)
        assert result.code == NO_INPUT, result
        assert "main.cf" in result.err and "No such file" in result.err


def test_main_cf_is_a_folder(hopseal):
    (hopseal.dir / "main.cf").unlink()
    (hopseal.dir / "main.cf").mkdir()
    result = hopseal.run("check")
    assert result.code in (NO_INPUT, 74) and "main.cf" in result.err, result


@pytest.mark.parametrize(
    "line, words",
    [
        ("smtp_tls_mandatory_ciphers\n", ["main.cf:2", "smtp_tls_mandatory_ciphers"]),
        ("smtp_mx_address_limit = many\n", ["main.cf:2", "smtp_mx_address_limit", "many"]),
        ("smtp_connect_timeout = 5y\n", ["main.cf:2", "smtp_connect_timeout", "5y"]),
        ("smtp_use_tls = maybe\n", ["main.cf:2", "smtp_use_tls", "maybe"]),
        ("a = $b\nb = $a\nmyhostname = $a\n", ["main.cf:3", "leads back to itself"]),
        ("myhostname = ${mydomain\n", ["main.cf:2"]),
        ("smtp_tls_security_level = strong\n", ["smtp_tls_security_level", "strong"]),
        ("= x\n", ["main.cf:2"]),
    ],
)
def test_malformed_main_cf(hopseal, sink, line, words):
    s = sink()
    (hopseal.dir / "main.cf").write_text("inet_protocols = ipv4\n" + line)
    for command in (["send", "bob@good.example"], ["check"]):
        result = hopseal.run(*command)
        assert result.code == CONFIG, result
        for word in words:
            assert word in result.err + result.out, result
    assert s.sessions == []


def test_nul_in_main_cf(hopseal):
    (hopseal.dir / "main.cf").write_bytes(b"myhostname = a\0b\n")
    assert hopseal.run("check").code == CONFIG


def test_missing_per_site_table_defers(hopseal, sink):
    s = sink()
    hopseal.configure(smtp_tls_per_site="texthash:TABLES/nowhere")
    result = hopseal.send("bob@good.example")
    assert result.fate == ("deferred", "4.3.0") and result.code == DEFERRED, result
    assert "nowhere" in result.out + result.err
    assert s.messages == []


def test_unknown_table_type(hopseal, sink):
    s = sink()
    hopseal.configure(smtp_tls_per_site="oracle:x")
    result = hopseal.send("bob@good.example")
    assert result.code in (CONFIG, DEFERRED) and "oracle" in result.out + result.err, result
    assert s.messages == []


@pytest.mark.parametrize(
    "name", ["smtp_tls_CAfile", "smtp_tls_chain_files", "hopseal_dns_trust_anchor_file"]
)
def test_missing_file_is_named(hopseal, sink, ca, name):
    s = sink(cert=ca.cert("valid", "mx1.good.example"))
    hopseal.per_site({"good.example": "MUST"}, **{name: "/nonexistent/file.pem"})
    result = hopseal.send("bob@good.example")
    assert result.code == CONFIG and "/nonexistent/file.pem" in result.err, result
    assert s.sessions == []


def test_missing_ca_folder_trusts_nobody(hopseal, sink, ca):
    s = sink(cert=ca.cert("valid", "mx1.good.example"))
    no_ca = {"smtp_tls_CAfile": None, "smtp_tls_CApath": "/nonexistent/folder"}
    hopseal.per_site({"good.example": "MUST"}, **no_ca)
    result = hopseal.send("bob@good.example")
    assert result.fate == ("deferred", "4.7.5") and "/nonexistent/folder" in result.err, result
    assert s.messages == []


@pytest.mark.parametrize("name", ["smtp_tls_CAfile", "smtp_tls_chain_files"])
def test_broken_pem_is_named(hopseal, sink, ca, name, tmp_path):
    s = sink(cert=ca.cert("valid", "mx1.good.example"))
    bad = tmp_path / "broken.pem"
    bad.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    hopseal.per_site({"good.example": "MUST"}, **{name: bad})
    result = hopseal.send("bob@good.example")
    assert result.code == CONFIG and "broken.pem" in result.err, result
    assert s.sessions == []


@pytest.mark.parametrize(
    "argv",
    [
        ["send"],
        ["send", "--no-such-option", "a@b.example"],
        ["send", "--age", "soon", "a@b.example"],
        ["explain"],
        ["nonsense"],
        ["check", "argument"],
    ],
)
def test_usage(hopseal, argv):
    result = hopseal.run(*argv)
    assert result.code == USAGE and result.err, result


# ---- timeouts ----

TIMEOUTS = {
    "banner": ("smtp_helo_timeout", {"banner": STALL}),
    "slow-banner": ("smtp_helo_timeout", {"banner": Slow(b"220 " + b"x" * 100, 0.1)}),
    "EHLO": ("smtp_helo_timeout", {"EHLO": STALL}),
    "MAIL": ("smtp_mail_timeout", {"MAIL": STALL}),
    "RCPT": ("smtp_rcpt_timeout", {"RCPT": STALL}),
    "DATA": ("smtp_data_init_timeout", {"DATA": STALL}),
    "body": ("smtp_data_xfer_timeout", {"body": DEAF}),
    "dot": ("smtp_data_done_timeout", {"dot": STALL}),
}


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "one-by-one"])
@pytest.mark.parametrize("stage", TIMEOUTS)
def test_timeout(hopseal, sink, stage, pipelining):
    name, script = TIMEOUTS[stage]
    s = sink(script=script, extensions=("PIPELINING",) if pipelining else ())
    every = {each: "1s" for each, _ in TIMEOUTS.values()} if pipelining else {name: "1s"}
    hopseal.configure(**every, message_size_limit="0")
    message = HEAD + b"x" * 70 + b"\r\n"
    if stage == "body":
        message = HEAD + (b"x" * 70 + b"\r\n") * 300_000
    start = time.monotonic()
    result = hopseal.send("bob@good.example", message=message)
    assert 0.9 < time.monotonic() - start < 25
    assert result.fate == ("deferred", "4.4.2") and result.code == DEFERRED, result
    assert re.search("time", result.reason), result
    assert s.messages == [] or stage == "dot"
    assert result.rcpt()["fate_unknown"] == (stage == "dot")


def test_connect_timeout(hopseal):
    hopseal.configure(smtp_connect_timeout="1s")
    with full_backlog(zones.MX1):
        result = hopseal.send("bob@good.example")
    assert result.fate == ("deferred", "4.4.1") and result.code == DEFERRED, result
    assert re.search("time", result.reason), result


@pytest.mark.parametrize("end", [STALL, DROP, RESET, b"", "421 4.3.2 no"])
def test_trouble_after_the_message_was_taken_is_no_trouble(hopseal, sink, end):
    s = sink(script={"QUIT": end})
    hopseal.configure(smtp_quit_timeout="1s")
    assert hopseal.send("bob@good.example").fate[0] == "delivered"
    assert len(s.messages) == 1


# ---- connections that break ----


def test_refused_connection(hopseal):
    result = hopseal.send("bob@good.example")
    assert result.fate == ("deferred", "4.4.1") and result.code == DEFERRED, result
    assert "mx1.good.example" in result.reason and "refused" in result.reason


@pytest.mark.parametrize("how", [DROP, RESET], ids=["drop", "reset"])
@pytest.mark.parametrize("stage", ["banner", "EHLO", "MAIL", "RCPT", "DATA", "body", "dot"])
def test_lost_connection(hopseal, sink, stage, how):
    s = sink(script={stage: how})
    result = hopseal.send("bob@good.example", message=HEAD + b"x\r\n" * 1000)
    assert result.fate[0] == "deferred" and result.code == DEFERRED, result
    # A reset at once may be seen while connecting.
    assert result.fate[1] in ("4.4.2",) + ("4.4.1",) * (stage == "banner"), result
    # After "body" all has been sent, so that the end may have been seen.
    assert result.rcpt()["fate_unknown"] == (stage in ("body", "dot"))
    assert len(s.messages) == (1 if stage == "dot" else 0)


@pytest.mark.parametrize("stage", ["banner", "EHLO", "MAIL", "RCPT", "DATA", "dot"])
def test_421_anywhere(hopseal, sink, stage):
    sink(script={stage: Last("421 4.3.2 going down")})
    result = hopseal.send("bob@good.example")
    assert result.rcpt()["outcome"] == "deferred" and result.code == DEFERRED, result
    assert result.rcpt()["status"] == "4.3.2" and "going down" in str(result)


# ---- replies that are none ----

GARBAGE = {
    "binary": b"\xff\xfe\x00\x01garbage\r\n",
    "prose": b"hello there\r\n",
    "http": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "code-of-999": b"999 what\r\n",
    "code-of-4-digits": b"2500 ok\r\n",
    "blank": b"\r\n",
    "mixed": b"250-one\r\n550 two\r\n",
    "nul": b"250 a\0b\r\n",
    "64K-line": b"250 " + b"x" * 65536 + b"\r\n",
    "64K-no-end": b"250 " + b"x" * 65536,
    "many-lines": b"250-x\r\n" * 20_000 + b"250 x\r\n",
    "endless": b"250-x\r\n" * 200_000,
    "bare-lf": b"250 ok\n",
    "bare-cr": b"250 ok\rdone\r\n",
}


@pytest.mark.parametrize("kind", GARBAGE)
@pytest.mark.parametrize("stage", ["banner", "EHLO", "MAIL", "dot"])
def test_garbage(hopseal, sink, stage, kind):
    octets = GARBAGE[kind]
    if stage == "banner":
        octets = octets.replace(b"250", b"220")
    s = sink(script={stage: Last(octets)})
    result = hopseal.send("bob@good.example", timeout=20)
    # A code that fits may count; what is no reply, or too long for one, must not.
    no_reply = ("binary", "prose", "http", "code-of-999", "code-of-4-digits", "64K-no-end", "blank")
    if kind in no_reply:
        assert result.rcpt()["outcome"] == "deferred", result
    assert result.code in (DELIVERED, DEFERRED, BOUNCED), result
    assert len(result.reason) < 2000 and "\0" not in result.reason
    if stage in ("banner", "EHLO", "MAIL"):
        assert s.messages == []
        assert result.code == DEFERRED, result


def test_garbage_is_shown_harmlessly_to_people(hopseal, sink):
    sink(script={"MAIL": b"550 5.7.1 \x1b[31mred\x07 \xff\x00 end\r\n"})
    out = hopseal.send_text("bob@good.example").out
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f]", out), repr(out)


# ---- recipients ----


def test_each_recipient_has_its_outcome(hopseal, sink):
    s = sink(
        rcpt={
            "b@good.example": "450 4.2.0 later",
            "c@good.example": "550 5.1.1 unknown",
            "d@good.example": "452 4.5.3 too many",
        }
    )
    rcpts = [f"{x}@good.example" for x in "abcd"]
    result = hopseal.send(*rcpts)
    seen = [(r["outcome"], r["status"]) for r in result.json["recipients"]]
    assert seen == [
        ("delivered", "2.0.0"),
        ("deferred", "4.2.0"),
        ("bounced", "5.1.1"),
        ("deferred", "4.5.3"),
    ], result
    assert len(s.messages[0].recipients) == 1
    assert result.json["summary"] == {"delivered": 1, "deferred": 2, "bounced": 1}


def test_all_recipients_refused_means_no_message(hopseal, sink):
    s = sink(script={"RCPT": "550 5.1.1 unknown"})
    result = hopseal.send("a@good.example", "b@good.example")
    assert result.code == BOUNCED and s.messages == [], result


# ---- messages ----


@pytest.mark.parametrize(
    "message, taken",
    [
        (HEAD + b"no end", HEAD + b"no end\r\n"),
        (HEAD + b"unix\nlines\n", HEAD + b"unix\r\nlines\r\n"),
        (HEAD + b"mixed\nand\r\nboth\n", HEAD + b"mixed\r\nand\r\nboth\r\n"),
        (HEAD + b".\r\n.\r\n", HEAD + b".\r\n.\r\n"),
        (HEAD + b".\n.", HEAD + b".\r\n.\r\n"),
        (HEAD + b"\n.\nQUIT\n", HEAD + b"\r\n.\r\nQUIT\r\n"),
        (HEAD, HEAD),
        (b"Subject: only a header", b"Subject: only a header\r\n"),
        (b"\n", b"\r\n"),
        (b"", b""),
    ],
)
def test_message_ends(hopseal, sink, message, taken):
    s = sink()
    result = hopseal.send("bob@good.example", message=message)
    assert result.code == DELIVERED, result
    assert s.messages[0].data == taken


@pytest.mark.parametrize("octet", [b"\0", b"\r", b"\x1a", b"\xff"])
def test_odd_octets_never_end_a_line(hopseal, sink, octet):
    s = sink()
    body = b"a" + octet + b"b\r\n.\r\nc\r\n"
    result = hopseal.send("bob@good.example", message=HEAD + body)
    if result.code == DELIVERED:
        taken = s.messages[0].data
        assert taken.count(b"\n") == (HEAD + body).count(b"\n")
        assert b"\r" not in taken.replace(b"\r\n", b"") or octet == b"\r"
    else:
        assert result.code in (65, BOUNCED) and s.messages == [], result


def test_long_lines_are_broken_at_the_limit(hopseal, sink):
    s = sink()
    result = hopseal.send("bob@good.example", message=HEAD + b"x" * 5000 + b"\r\n")
    assert result.code == DELIVERED, result
    body = s.messages[0].data[len(HEAD) :].split(b"\r\n")
    assert max(map(len, body)) <= 998
    assert b"".join(body).replace(b" ", b"") == b"x" * 5000


def test_8bit_for_a_server_without_8bitmime(hopseal, sink):
    """Converted to quoted-printable or base64, or returned with a clear word: never sent raw."""
    s = sink(extensions=())
    head = (
        b"From: alice@client.example\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    )
    result = hopseal.send("bob@good.example", message=head + "grüße\r\n".encode())
    if result.code == DELIVERED:
        data = s.messages[0].data
        assert all(x < 128 for x in data) and b"=C3=BC" in data
    else:
        assert result.fate[0] == "bounced" and "8BITMIME" in result.reason, result


def test_too_big_for_the_server(hopseal, sink):
    s = sink(extensions=("SIZE 1000",))
    result = hopseal.send("bob@good.example", message=HEAD + b"x\r\n" * 1000)
    assert result.fate == ("bounced", "5.3.4") and s.messages == [], result


def test_utf8_address_for_a_server_without_smtputf8(hopseal, sink):
    s = sink()
    result = hopseal.send("jürgen@good.example")
    assert result.fate[0] == "bounced" and s.messages == [], result
    assert result.rcpt()["status"] in ("5.6.7", "5.6.9"), result


def test_domain_outside_ascii(hopseal, sink):
    s = sink(extensions=("SMTPUTF8", "8BITMIME"))
    result = hopseal.send("bob@bücher.example")
    assert result.code == DELIVERED and len(s.messages) == 1, result
    assert "bücher.example" in s.messages[0].recipients[0]
    assert "SMTPUTF8" in s.messages[0].sender
    assert result.tries[0]["host"] == "mx1.xn--bcher-kva.example"


def test_many_recipients(hopseal, sink):
    s = sink(rcpt={f"r{i}@good.example": "450 4.2.0 later" for i in range(0, 2000, 7)})
    rcpts = [f"r{i}@good.example" for i in range(2000)]
    result = hopseal.send(*rcpts)
    fates = [r["outcome"] for r in result.json["recipients"]]
    assert fates == ["deferred" if i % 7 == 0 else "delivered" for i in range(2000)]
    assert sum(len(m.recipients) for m in s.messages) == fates.count("delivered")


@pytest.mark.parametrize("policy", ["NONE", "MUST"])
def test_100_megabytes(hopseal, sink, ca, policy):
    s = sink(keep_data=False, cert=ca.cert("valid", "mx1.good.example"))
    hopseal.per_site({"good.example": policy}, message_size_limit="0")
    line = b"x" * 76 + b"\r\n"
    message = HEAD + line * (100_000_000 // len(line) + 1)
    result = hopseal.send("bob@good.example", message=message, timeout=120)
    assert result.code == DELIVERED, result
    assert s.octets == len(message)
    assert s.session.tls == (policy == "MUST")


def test_larger_than_we_take(hopseal, sink):
    s = sink()
    hopseal.configure(message_size_limit="1000")
    result = hopseal.send("bob@good.example", message=HEAD + b"x\r\n" * 1000)
    assert result.code == 65 and "message_size_limit" in result.err and "1000" in result.err
    assert s.sessions == []


def test_output_that_cannot_be_written(hopseal, sink):
    """A record that is lost must not look like success; the mail itself has gone."""
    import subprocess

    from lab.hopseal import program

    sink()
    argv = [program(), "send", "-c", hopseal.dir, "-f", "", "--json", "bob@good.example"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [str(a) for a in argv], input=HEAD, stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 74 and b"standard output" in done.stderr
