"""What became of each message that got a 250."""

import collections
import json
import re

ID = re.compile(rb"^Received: .*?\bid (\w+)", re.DOTALL)
NOTICE_ID = re.compile(rb"^Message-ID: <(\w+)@", re.MULTILINE | re.IGNORECASE)
ABOUT = re.compile(rb"^X-Hopseal-Queue-ID: (\w+)", re.MULTILINE)
ACTION = re.compile(rb"^Action: (\w+)", re.MULTILINE)


def is_notice(message):
    return message.sender.startswith("MAIL FROM:<>")


def queue_id(message):
    """The id under which the gateway had a message that a sink received."""
    found = (NOTICE_ID.search if is_notice(message) else ID.match)(message.data)
    return found.group(1).decode()


class Account:
    """The messages that `promised()` names, by queue id, between a gateway and a sink. Each end of
    the daemon is told by ended(), before it is started again."""

    def __init__(self, gateway, sink, promised):
        self.gateway, self.sink, self.promised = gateway, sink, promised
        self.doubtful = collections.Counter()
        self.seen = collections.Counter()  # received, at the end before
        self.deleted = set()  # by operators: all that they tried to delete
        self.ends = 0

    def received(self):
        """How often each came."""
        return collections.Counter(queue_id(m) for m in list(self.sink.messages))

    def notices(self, action="failed"):
        """The ids of the notices of that kind, by what they are about."""
        found = collections.defaultdict(set)
        for m in list(self.sink.messages):
            if is_notice(m) and ACTION.search(m.data).group(1).decode() == action:
                found[ABOUT.search(m.data).group(1).decode()].add(queue_id(m))
        return found

    def queued(self):
        """Those in the queue, read while no daemon runs."""
        lines = self.gateway.hopseal.run("queue", "list", "--json")
        assert lines.code == 0, lines
        return {json.loads(line)["queue_id"] for line in lines.out.splitlines()}

    def settled(self):
        """Received, returned, or deleted."""
        return set(self.received()) | set(self.notices()) | self.deleted

    def ended(self):
        """Nothing may have vanished. What was received since the last end and is in the queue still
        was under way, and its record not written: it may come once more."""
        self.ends += 1
        promised = set(self.promised())
        queued, received = self.queued(), self.received()
        lost = promised - queued - self.settled() - self.given_up()
        assert not lost, f"{len(lost)} of {len(promised)} vanished at end {self.ends}: {lost}"
        self.doubtful.update(k for k in queued if received[k] > self.seen[k])
        self.seen = received

    def given_up(self):
        """What the log says was refused for good: its notice is in the queue, or has to come."""
        return set(re.findall(r": (\w+): to=<.*status=bounced", self.gateway.text()))

    def closed(self):
        """All was delivered or returned, twice only what was in doubt at an end, and nobody was told
        twice; gives the figures."""
        promised, received = set(self.promised()), self.received()
        assert promised <= self.settled(), promised - self.settled()
        wrong = {k: n for k, n in received.items() if n > 1 + self.doubtful[k]}
        assert not wrong, f"delivered again without a doubt: {wrong}"
        for action in ("failed", "delayed"):
            told = {k: ids for k, ids in self.notices(action).items() if len(ids) > 1}
            assert not told, f"told twice of what {action}: {told}"
        unpromised = {k for k in received if k not in promised} - set().union(
            *self.notices().values(), *self.notices("delayed").values()
        )
        return {
            "ends": self.ends,
            "promised": len(promised),
            "received": len(received),
            "returned": len(self.notices()),
            "delays told": len(self.notices("delayed")),
            "deleted": len(self.deleted),
            "in doubt": sum(self.doubtful.values()),
            "again": sum(received.values()) - len(received),
            "received without a 250 that was heard": len(unpromised),
        }
