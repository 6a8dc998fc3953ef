"""What became of each message that got a 250."""

import collections
import json
import re

ID = re.compile(rb"^Received: .*?\bid (\w+)", re.DOTALL)


def queue_id(message):
    """The id under which the gateway had a message that a sink received."""
    return ID.match(message.data).group(1).decode()


class Account:
    """The messages that `promised()` names, by queue id, between a gateway and a sink. Each end of
    the daemon is told by ended(), before it is started again."""

    def __init__(self, gateway, sink, promised):
        self.gateway, self.sink, self.promised = gateway, sink, promised
        self.doubtful = collections.Counter()
        self.ends = 0

    def received(self):
        """How often each came."""
        return collections.Counter(queue_id(m) for m in list(self.sink.messages))

    def queued(self):
        """Those in the queue, read while no daemon runs."""
        lines = self.gateway.hopseal.run("queue", "list", "--json")
        assert lines.code == 0, lines
        return {json.loads(line)["queue_id"] for line in lines.out.splitlines()}

    def ended(self):
        """Nothing may have vanished. What was received and is in the queue still was under way, and
        its record not written: it may come once more."""
        self.ends += 1
        promised = set(self.promised())
        queued, received = self.queued(), set(self.received())
        lost = promised - queued - received
        assert not lost, f"{len(lost)} of {len(promised)} vanished at end {self.ends}: {lost}"
        self.doubtful.update(queued & received)

    def closed(self):
        """All was delivered, and twice only what was in doubt at an end; gives the figures."""
        promised, received = set(self.promised()), self.received()
        assert promised <= set(received), promised - set(received)
        wrong = {k: n for k, n in received.items() if n > 1 + self.doubtful[k]}
        assert not wrong, f"delivered again without a doubt: {wrong}"
        return {
            "ends": self.ends,
            "promised": len(promised),
            "received": len(received),
            "in doubt": sum(self.doubtful.values()),
            "again": sum(received.values()) - len(received),
            "received without a 250 that was heard": len(set(received) - promised),
        }
