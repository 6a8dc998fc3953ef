"""A name server that fails as the first label of the question's parent says.

It answers for the zone delegated to dns.FAULTY_SERVER. `x.servfail.fault.example` gets SERVFAIL,
`x.refused...` REFUSED, `x.drop...` no answer at all, `x.truncate...` TC over UDP and no TCP; every
other name has MX, A and AAAA records as given.
"""

import socket
import threading

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from lab.dns import FAULTY_SERVER


class FaultyServer:
    """Serves UDP port 53 of FAULTY_SERVER from construction until close()."""

    def __init__(self, records=None, address=FAULTY_SERVER):
        self.records = records or {}
        self.questions = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 53))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self):
        """Ends the server."""
        self._socket.close()

    def _serve(self):
        while True:
            try:
                octets, peer = self._socket.recvfrom(4096)
                reply = self._reply(dns.message.from_wire(octets))
                if reply is not None:
                    self._socket.sendto(reply.to_wire(), peer)
            except OSError:
                return

    def _reply(self, query):
        question = query.question[0]
        name, kind = question.name.to_text().lower(), dns.rdatatype.to_text(question.rdtype)
        self.questions.append((name, kind))
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.AA
        labels = name.split(".")
        if "drop" in labels:
            return None
        if "servfail" in labels:
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif "refused" in labels:
            reply.set_rcode(dns.rcode.REFUSED)
        elif "truncate" in labels:
            reply.flags |= dns.flags.TC
        else:
            for text in self.records.get((name, kind), []):
                reply.answer.append(dns.rrset.from_text(name, 60, "IN", kind, text))
        return reply
