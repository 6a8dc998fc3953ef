"""What senders are told: notices of failure, delay and success, read as their mail programs read
them."""

import email
import email.policy
import smtplib
import ssl
import time

import pytest

from lab.gateway import Gateway
from lab.hopseal import MESSAGE
from lab.sink import Sink, Slow

STRICT = email.policy.SMTP.clone(raise_on_defect=True)
PORT = 2526  # of a listener
SENDER = "alice@client.example"


@pytest.fixture
def gateway(hopseal, tmp_path):
    """Mail for client.example, where notices go, has a sink of its own at `gateway.back`."""
    g = Gateway(hopseal, tmp_path)
    hopseal.base.update({"transport_maps": "texthash:TABLES/transport", "mynetworks": "127.0.0.0/8"})
    with Sink("127.0.5.8", 2525, extensions=("PIPELINING", "8BITMIME", "SMTPUTF8")) as back:
        g.back = back
        yield g


TRANSPORT = "client.example smtp:[127.0.5.8]:2525\n"


def configure(gateway, tables=None, **settings):
    tables = dict(tables or {})
    tables["transport"] = TRANSPORT + tables.get("transport", "")
    gateway.hopseal.configure(tables, **settings)


class Notice:
    """One notification, taken apart; that it can be is what most of this checks."""

    def __init__(self, message):
        data = message.data
        assert message.sender.startswith("MAIL FROM:<>"), message.sender
        for line in data.split(b"\n")[:-1]:
            assert line.endswith(b"\r") and len(line) <= 999 and b"\r" not in line[:-1], line
        self.whole = email.message_from_bytes(data, policy=STRICT)
        assert self.whole["MIME-Version"] == "1.0" and self.whole["Date"].datetime
        assert self.whole["Auto-Submitted"] == "auto-replied" and self.whole["Message-ID"]
        assert self.whole.get_content_type() == "multipart/report"
        assert self.whole["Content-Type"].params["report-type"] == "delivery-status"
        assert len(list(self.whole.iter_parts())) == 3
        human, self.report, self.original = self.whole.iter_parts()
        assert human.get_content_type() == "text/plain"
        self.text = human.get_content()
        assert max(map(len, self.text.splitlines())) <= 78 or "://" in self.text, self.text
        self.fields, *self.rcpts = self.report.get_payload()
        if not self.is_global:
            raw = data[data.index(b"Reporting-MTA") : data.index(b"Content-Description: Your m")
                       if b"Content-Description: Your m" in data
                       else data.index(b"Content-Description: Header")]
            assert raw.isascii()

    @property
    def is_global(self):
        """RFC 6533."""
        return self.report.get_content_type() == "message/global-delivery-status"

    @property
    def words(self):
        """The human part in one line."""
        return " ".join(self.text.split())


def notices(gateway):
    """Those that reached the sender so far."""
    return [Notice(m) for m in gateway.back.messages]


def wait_for_notices(gateway, n, seconds=60):
    gateway.wait_for(lambda: len(gateway.back.messages) >= n, f"{n} notices", seconds)
    return notices(gateway)


# ---- why TLS keeps mail back, in words ----

CUT = "The two servers could not agree on how to encrypt"
WHY = {
    "no STARTTLS": ("encrypt", {}, {}, "did not offer that, or refused it"),
    "STARTTLS refused": (
        "encrypt", {"script": {"STARTTLS": "454 4.7.0 Not now"}}, {},
        "did not offer that, or refused it"),
    "no common version": (
        "encrypt protocols=>=TLSv1.3",
        {"cert": "valid", "tls_max": ssl.TLSVersion.TLSv1_2}, {}, CUT),
    "handshake cut": ("encrypt", {"cert": "valid", "script": {"tls": b"nonsense"}}, {}, CUT),
    "unknown CA": (
        "secure match=mx.good.example", {"cert": "self-signed"}, {},
        "not from an issuer that is trusted here"),
    "another name": (
        "secure match=other.example", {"cert": "valid"}, {},
        "the receiving server is for another name"),
    "expired": (
        "secure match=mx.good.example", {"cert": "expired"}, {},
        "has expired, or is not valid yet"),
    "another fingerprint": (
        "fingerprint match=" + ":".join(["00"] * 32), {"cert": "valid"}, {},
        "is another one, perhaps a new one"),
    "a level that is none": (
        "strong", {"cert": "valid"}, {}, "could not be found or applied here"),
    "no validating resolver": (
        "dane-only", {"cert": "valid"}, {}, "could not be found or applied here"),
}


@pytest.mark.parametrize("why", WHY)
def test_the_sender_is_told_why_tls_kept_the_mail_back(gateway, sink, ca, why):
    entry, how, settings, words = WHY[why]
    if "cert" in how:
        how = {**how, "cert": ca.cert(how["cert"], "mx.good.example")}
    sink(**how)
    configure(
        gateway,
        {"policy": f"good.example {entry}\n"},
        smtp_tls_policy_maps="texthash:TABLES/policy",
        maximal_queue_lifetime="0",
        **settings,
    )
    gateway.put("bob@good.example")
    with gateway.running():
        (notice,) = wait_for_notices(gateway, 1)
    assert words in notice.words and "In technical words: " in notice.words, notice.text
    (rcpt,) = notice.rcpts
    assert rcpt["Action"] == "failed" and rcpt["Status"].startswith("4.7."), rcpt


# ---- what DSN asks for ----


def send(rcpt, notify="", orcpt="", mail=(), message=MESSAGE):
    """Hands a message to the listener."""
    with smtplib.SMTP("127.0.0.1", PORT) as client:
        client.ehlo("client.example")
        options = [f"NOTIFY={notify}"] * bool(notify) + [f"ORCPT={orcpt}"] * bool(orcpt)
        assert client.mail(SENDER, list(mail))[0] == 250
        assert client.rcpt(rcpt, options)[0] == 250
        assert client.data(message)[0] == 250


NOTIFY = ["", "NEVER", "SUCCESS", "FAILURE", "DELAY", "SUCCESS,FAILURE,DELAY"]
KIND = {"sent": "SUCCESS", "bounced": "FAILURE", "deferred": "DELAY"}
RCPT = {"sent": "250 2.1.5 Ok", "bounced": "550 5.1.1 No", "deferred": "450 4.2.0 Later"}


@pytest.mark.parametrize("has_dsn", [True, False], ids=["DSN next", "no DSN next"])
@pytest.mark.parametrize("fate", KIND)
def test_senders_are_told_what_they_asked_for(gateway, sink, fate, has_dsn):
    """And of success only where nobody further on would tell: RFC 3461 section 5.2."""
    s = sink(
        extensions=("PIPELINING", "DSN") if has_dsn else ("PIPELINING",),
        rcpt={f"r{i}@good.example": RCPT[fate] for i in range(len(NOTIFY))},
    )
    configure(
        gateway,
        hopseal_listeners=f"smtp:127.0.0.1:{PORT}",
        delay_warning_time="1s",
    )
    want = set()
    for i, notify in enumerate(NOTIFY):
        kind = KIND[fate]
        is_wanted = kind in notify or (notify == "" and kind != "SUCCESS")
        if is_wanted and not (kind == "SUCCESS" and has_dsn):
            want.add(f"r{i}@good.example")
    with gateway.running():
        for i, notify in enumerate(NOTIFY):
            send(f"r{i}@good.example", notify, f"rfc822;orig+2B{i}@x.example", ["ENVID=id+2B7"])
        gateway.wait_for(
            lambda: all(gateway.deliveries(f"r{i}@good.example") for i in range(len(NOTIFY))),
            "attempts",
        )
        found = wait_for_notices(gateway, len(want))
        if fate == "deferred":  # another round tells nothing twice
            gateway.wait_for(
                lambda: all(
                    len(gateway.deliveries(f"r{i}@good.example")) > 3 for i in range(len(NOTIFY))
                ),
                "more attempts",
            )
        assert len(notices(gateway)) == len(want)
    named = {r["Final-Recipient"].split("; ")[1] for n in found for r in n.rcpts}
    assert named == want
    for n in found:
        assert n.fields["Original-Envelope-Id"] == "id+7", n.fields
        (rcpt,) = n.rcpts
        i = rcpt["Final-Recipient"].split("; ")[1][1]
        assert rcpt["Original-Recipient"] == f"rfc822;orig+{i}@x.example"
        assert rcpt["Action"] == {"sent": "relayed", "bounced": "failed", "deferred": "delayed"}[fate]
        assert rcpt["Status"][0] == {"sent": "2", "bounced": "5", "deferred": "4"}[fate]
    passed_on = [line for x in s.sessions for line, _ in x.commands if line.startswith("RCPT")]
    for i, notify in enumerate(NOTIFY):
        mine = [line for line in passed_on if f"<r{i}@" in line]
        asked = has_dsn and notify
        assert all((f"NOTIFY={notify}" in line) == bool(asked) for line in mine) or not notify
        assert all(("ORCPT=rfc822;orig+2B" in line) == has_dsn for line in mine)


LARGE = MESSAGE + b"A line of text that makes it long.\r\n" * 3000


@pytest.mark.parametrize(
    "ret, message, settings, want",
    [
        ("", MESSAGE, {}, "message/rfc822"),
        ("FULL", MESSAGE, {}, "message/rfc822"),
        ("HDRS", MESSAGE, {}, "text/rfc822-headers"),
        ("FULL", LARGE, {}, "text/rfc822-headers"),
        ("", LARGE, {"bounce_size_limit": "1000000"}, "message/rfc822"),
    ],
)
def test_the_original_comes_back_by_size_and_wish(gateway, sink, ret, message, settings, want):
    sink(rcpt={"bob@good.example": "550 5.1.1 No"})
    configure(gateway, hopseal_listeners=f"smtp:127.0.0.1:{PORT}", **settings)
    with gateway.running():
        send("bob@good.example", mail=[f"RET={ret}"] * bool(ret), message=message)
        (notice,) = wait_for_notices(gateway, 1)
    assert notice.original.get_content_type() == want
    text = notice.original.as_string()
    assert "Subject: hello" in text and ("A line" in text) == (want == "message/rfc822")


def test_a_message_of_fifty_megabytes_comes_back_by_its_header(gateway, sink):
    sink(rcpt={"bob@good.example": "550 5.1.1 No"}, keep_data=False)
    configure(gateway, message_size_limit="100000000")
    gateway.put("bob@good.example", message=MESSAGE + (b"x" * 98 + b"\r\n") * 500000)
    with gateway.running():
        (notice,) = wait_for_notices(gateway, 1)
    assert notice.original.get_content_type() == "text/rfc822-headers"
    assert len(gateway.back.messages[0].data) < 10000


def test_a_header_without_end_does_not_come_back_whole(gateway, sink):
    sink(rcpt={"bob@good.example": "550 5.1.1 No"})
    configure(gateway)
    fields = b"".join(b"X-%d: some words that fill a line\r\n" % i for i in range(3000))
    gateway.put("bob@good.example", message=fields + MESSAGE)
    with gateway.running():
        (notice,) = wait_for_notices(gateway, 1)
    assert len(gateway.back.messages[0].data) < 60000
    assert notice.original.get_content_type() == "text/rfc822-headers"


# ---- texts outside ASCII ----

UTF8 = "From: alice@client.example\r\nSubject: gr\u00fc\u00dfe\r\n\r\n\u00e4\r\n".encode()


@pytest.mark.parametrize("extensions", [("8BITMIME", "SMTPUTF8"), ("8BITMIME",), ()])
def test_addresses_outside_ascii_come_back_as_they_are(gateway, sink, extensions):
    """The sender's own server need not know of them, for they stand in the body alone."""
    gateway.back.config.extensions = ("PIPELINING", *extensions)
    address = "j\u00f6rg@good.example"
    sink(rcpt={address: "550 5.1.1 No"}, extensions=("PIPELINING", "8BITMIME", "SMTPUTF8"))
    configure(gateway, hopseal_listeners=f"smtp:127.0.0.1:{PORT}")
    with gateway.running():
        with smtplib.SMTP("127.0.0.1", PORT) as client:
            client.ehlo("client.example")
            client.sendmail(SENDER, [address], UTF8, ["SMTPUTF8", "BODY=8BITMIME"])
        (notice,) = wait_for_notices(gateway, 1)
    assert notice.is_global and notice.original.get_content_type() == "message/global"
    assert "SMTPUTF8" not in gateway.back.messages[0].sender
    if extensions:
        assert address.encode() in gateway.back.messages[0].data
    else:
        assert gateway.back.messages[0].data.isascii()


def test_a_sender_outside_ascii_is_told(gateway, sink):
    sink(rcpt={"bob@good.example": "550 5.1.1 No"}, extensions=("8BITMIME", "SMTPUTF8"))
    configure(gateway, hopseal_listeners=f"smtp:127.0.0.1:{PORT}")
    with gateway.running():
        with smtplib.SMTP("127.0.0.1", PORT) as client:
            client.ehlo("client.example")
            client.sendmail(
                "j\u00f6rg@client.example", ["bob@good.example"], UTF8, ["SMTPUTF8", "BODY=8BITMIME"]
            )
        (notice,) = wait_for_notices(gateway, 1)
    assert notice.is_global and "SMTPUTF8" in gateway.back.messages[0].sender


def test_eight_bits_in_plain_mail_come_back_as_they_are(gateway, sink):
    sink(rcpt={"bob@good.example": b"550 5.1.1 Kein Empf\xe4nger\r\n"})
    configure(gateway)
    gateway.put("bob@good.example", message=MESSAGE + b"\xe4\xf6\xfc\r\n")
    with gateway.running():
        (notice,) = wait_for_notices(gateway, 1)
    assert b"\xe4\xf6\xfc\r\n" in gateway.back.messages[0].data
    assert "BODY=8BITMIME" in gateway.back.messages[0].sender
    assert "Kein Empf?nger" in notice.words and not notice.is_global


# ---- ends ----


def test_soft_bounce_keeps_what_was_refused(gateway, sink):
    s = sink(rcpt={"bob@good.example": "550 5.1.1 No"})
    configure(gateway, soft_bounce="yes")
    gateway.put("bob@good.example")
    with gateway.running():
        gateway.wait_for(lambda: len(gateway.deliveries()) > 1, "a second attempt")
        assert not gateway.back.messages
        s.config.rcpt.clear()
        gateway.wait_for_fate("bob@good.example", "sent")
    assert {d["status"] for d in gateway.deliveries()} == {"SOFTBOUNCE", "sent"}


def test_a_notice_to_a_domain_that_takes_no_mail_ends_there(gateway, sink):
    sink(rcpt={"bob@good.example": "550 5.1.1 No"})
    configure(gateway)
    gateway.put("bob@good.example", sender="carol@null.example")
    with gateway.running():
        assert gateway.wait_for_fate("carol@null.example", "bounced")["dsn"] == "5.1.10"
        gateway.wait_for(lambda: "discarded" in gateway.text(), "the end of it")
    assert gateway.text().count("sender non-delivery notification") == 1


def test_a_notice_that_comes_back_to_the_gateway_does_not_go_round(gateway, sink):
    """Its sender's domain leads to the gateway itself, which takes it and sends it to itself."""
    sink(rcpt={"bob@good.example": "550 5.1.1 No"})
    configure(
        gateway,
        {"transport": f"round.example smtp:[127.0.0.1]:{PORT}\n"},
        hopseal_listeners=f"smtp:127.0.0.1:{PORT}",
        hopcount_limit="5",
    )
    gateway.put("bob@good.example", sender="carol@round.example")
    with gateway.running():
        gateway.wait_for_fate("carol@round.example", "bounced")
        gateway.wait_for(lambda: "discarded" in gateway.text(), "the end of it")
        assert "too many hops" in gateway.text().lower()
    assert gateway.text().count("sender non-delivery notification") == 1
    assert len(gateway.deliveries("carol@round.example")) <= 7


def test_recipients_that_fail_together_share_a_notice(gateway, sink):
    sink(rcpt={f"r{i}@good.example": "550 5.1.1 No" for i in range(1500)})
    configure(gateway)
    gateway.put(*[f"r{i}@good.example" for i in range(1500)])
    with gateway.running():
        gateway.wait_for(lambda: len(gateway.deliveries()) >= 1500, "attempts", 60)
        gateway.wait_for(
            lambda: sum(len(n.rcpts) for n in notices(gateway)) == 1500, "notices", 60
        )
    assert len(gateway.back.messages) < 10
    assert len({r["Final-Recipient"] for n in notices(gateway) for r in n.rcpts}) == 1500


def test_a_delay_is_told_once_though_the_message_is_long_under_way(gateway, sink):
    s = sink(
        rcpt={"late@good.example": "450 4.2.0 Later"},
        script={"dot": Slow(b"250 2.0.0 Ok\r\n", 0.06)},
    )
    configure(
        gateway,
        delay_warning_time="1s",
        smtp_destination_recipient_limit="2",
        smtp_destination_concurrency_limit="1",
        initial_destination_concurrency="1",
    )
    gateway.put("late@good.example", *[f"r{i}@good.example" for i in range(17)])
    with gateway.running():
        gateway.wait_for(lambda: len(s.messages) == 9, "the others")
        assert len(gateway.deliveries("late@good.example")) >= 3
        (notice,) = wait_for_notices(gateway, 1)
    assert [r["Final-Recipient"] for r in notice.rcpts] == ["rfc822; late@good.example"]


def test_who_failed_in_the_end_is_not_told_of_as_delayed(gateway, sink):
    """Both are due while others of the message are still under way."""
    s = sink(
        rcpt={"late@good.example": "450 4.2.0 Later"},
        script={"dot": Slow(b"250 2.0.0 Ok\r\n", 0.06)},
    )
    configure(
        gateway,
        delay_warning_time="1s",
        maximal_queue_lifetime="5s",
        smtp_destination_recipient_limit="2",
        smtp_destination_concurrency_limit="1",
        initial_destination_concurrency="1",
    )
    gateway.put("late@good.example", *[f"r{i}@good.example" for i in range(17)])
    with gateway.running():
        gateway.wait_for(lambda: len(s.messages) == 9, "the others")
        wait_for_notices(gateway, 1)
        time.sleep(1)
        (notice,) = notices(gateway)
    assert notice.rcpts[0]["Action"] == "failed"


def test_classes_that_nobody_is_told_of_are_named(gateway):
    configure(gateway, notify_classes="bounce, 2bounce, delay, policy, resource")
    found = [f for f in gateway.hopseal.check().json["findings"] if f["code"] == "notify-class"]
    assert [f["severity"] for f in found] == ["warning"] * 2
    assert '"policy"' in found[0]["text"] and '"resource"' in found[1]["text"]


def test_a_server_of_seven_bits_gets_the_notice_too(gateway, sink):
    """The original is converted with the rest: RFC 6152 section 3, RFC 2046 section 5.2.1."""
    sink(rcpt={"bob@good.example": "550 5.1.1 No"})
    gateway.back.config.extensions = ("PIPELINING",)
    configure(gateway)
    mime = (
        b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\n"
        b"Content-Transfer-Encoding: 8bit\r\n"
    )
    gateway.put("bob@good.example", message=mime + MESSAGE + b"\xe4\xf6\xfc\r\n")
    with gateway.running():
        (notice,) = wait_for_notices(gateway, 1)
    assert gateway.back.messages[0].data.isascii()
    (original,) = notice.original.get_payload()
    assert "\u00e4\u00f6\u00fc" in original.get_content()


@pytest.mark.parametrize("is_final, action", [("no", "relayed"), ("yes", "delivered")])
def test_lmtp_may_be_the_last_station(gateway, sink, is_final, action):
    sink("127.0.5.9", 2525, lmtp=True, extensions=("PIPELINING",))
    configure(
        gateway,
        {"transport": "x.example lmtp:inet:127.0.5.9:2525\n"},
        lmtp_assume_final=is_final,
    )
    result = gateway.hopseal.run(
        "sendmail", "-f", SENDER, "-N", "success", "bob@x.example", stdin=MESSAGE
    )
    assert result.code == 0, result
    with gateway.running():
        (notice,) = wait_for_notices(gateway, 1)
    assert notice.rcpts[0]["Action"] == action


def test_a_postmaster_is_told_of_a_lost_notice(gateway, sink):
    sink(rcpt={"bob@good.example": "550 5.1.1 No"})
    configure(
        gateway,
        {"transport": "post.example smtp:[127.0.5.8]:2525\n"},
        notify_classes="2bounce",
        **{"2bounce_notice_recipient": "boss@post.example"},
    )
    gateway.put("bob@good.example", sender="")
    with gateway.running():
        gateway.wait_for_fate("boss@post.example", "sent")
    (message,) = gateway.back.messages
    assert message.sender.startswith("MAIL FROM:<double-bounce@")
    assert b"Subject: A notice could not be delivered\r\n" in message.data
    assert b"Your message" not in message.data.split(b"Content-Description: Your")[0]


def test_a_postmaster_is_told_what_senders_are(gateway, sink):
    """notify_classes = bounce, delay: header sections to the postmasters, from an address of which
    nothing comes back; 2bounce is part of bounce. Nobody is told of what is for a postmaster."""
    sink(rcpt={
        "gone@good.example": "550 5.1.1 No",
        "boss@good.example": "550 5.1.1 No",
        "slow@good.example": "450 4.2.0 Later",
    })
    configure(
        gateway,
        {"transport": "post.example smtp:[127.0.5.8]:2525\n"},
        notify_classes="bounce, delay",
        delay_warning_time="1s",
        **{
            "bounce_notice_recipient": "bounces@post.example",
            "delay_notice_recipient": "boss@good.example",
            "2bounce_notice_recipient": "lost@post.example",
        },
    )
    gateway.put("gone@good.example", sender=SENDER)
    gateway.put("gone@good.example", sender="")
    gateway.put("slow@good.example", sender=SENDER)
    with gateway.running():
        gateway.wait_for_fate("bounces@post.example", "sent")
        gateway.wait_for_fate("lost@post.example", "sent")
        gateway.wait_for_fate("boss@good.example", "bounced")  # and nobody hears of it
        gateway.wait_for(lambda: "undeliverable notification discarded" in gateway.text(), "its end")
        gateway.wait_for(lambda: len(gateway.back.messages) == 4, "what senders are told")
    told = {m.recipients[0]: m for m in gateway.back.messages}
    copy = next(m for to, m in told.items() if "bounces@" in to)
    assert copy.sender.startswith("MAIL FROM:<double-bounce@")
    assert b"Subject: A message could not be delivered\r\n" in copy.data
    assert b"A line." not in copy.data and b"Subject: hello" in copy.data  # headers alone
    text = gateway.text()
    assert text.count("postmaster non-delivery notification: ") == 1
    assert text.count("postmaster delay notification: ") == 1
    assert text.count("told the postmaster: ") == 1
    assert text.count(" sender non-delivery notification: ") == 1


def test_a_postmaster_is_not_told_without_end(gateway, sink):
    """Of a flood of bounces as many as say that there is one; each sender hears of his own."""
    sink(rcpt={"gone@good.example": "550 5.1.1 No"})
    configure(
        gateway,
        {"transport": "post.example smtp:[127.0.5.8]:2525\n"},
        notify_classes="bounce",
        bounce_notice_recipient="bounces@post.example",
        hopseal_listeners=f"smtp:127.0.0.1:{PORT}",
        hopseal_workers="1",
    )
    with gateway.running():
        with smtplib.SMTP("127.0.0.1", PORT) as client:
            for _ in range(105):
                client.sendmail(SENDER, ["gone@good.example"], MESSAGE)
        gateway.wait_for(
            lambda: gateway.text().count(" sender non-delivery notification: ") == 105, "notices"
        )
    assert gateway.text().count("postmaster non-delivery notification: ") == 100
