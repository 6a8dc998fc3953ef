/* A name server on a thread of the test: 127.0.0.1, UDP, a port of its own. It answers A with
 * 192.0.2.1 and MX with "10 mx.example", as the first label of the name says:
 *
 *	drop.* nothing    fail.* SERVFAIL    refuse.* REFUSED    nx.* no such name    v6only.* no A
 *
 * and everything else with records that live 60 seconds. */

#ifndef HOPSEAL_DNS_DNS_FAKE_H
#define HOPSEAL_DNS_DNS_FAKE_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/test.h"
#include "dns/dns.h"

struct dns_fake {
	int fd;
	char server[64]; /* "127.0.0.1@12345" */
	atomic_int n_questions;
	pthread_t thread;
};

static inline size_t dns_fake_name_end(const uint8_t *packet, size_t n)
{
	size_t at = 12;

	while (at < n && packet[at])
		at += packet[at] + 1u;
	return at + 1;
}

static inline size_t dns_fake_record(uint8_t *out, int type)
{
	static const uint8_t a[] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1 };
	static const uint8_t aaaa[] = { 0xc0, 12,   0, 28, 0, 1, 0, 0, 0, 60, 0, 16, 0x20, 1,
					0x0d, 0xb8, 0, 0,  0, 0, 0, 0, 0, 0,  0, 0,  0,    1 };
	static const uint8_t mx[] = { 0xc0, 12, 0,   15,  0, 1,   0,   0,   0,   60,  0,   14,  0,
				      10,   2,  'M', 'x', 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0 };
	const uint8_t *record = type == 1 ? a : type == 28 ? aaaa : mx;
	size_t n = type == 1 ? sizeof(a) : type == 28 ? sizeof(aaaa) : sizeof(mx);

	memcpy(out, record, n);
	return n;
}

static inline bool dns_fake_is(const uint8_t *packet, const char *label)
{
	return packet[12] == strlen(label) && memcmp(packet + 13, label, strlen(label)) == 0;
}

/* The reply's size, 0 for none; `packet` has room for it. */
static inline size_t dns_fake_reply(uint8_t *packet, size_t n)
{
	size_t end = dns_fake_name_end(packet, n) + 4;
	int type = packet[end - 3];
	int rcode = dns_fake_is(packet, "fail")     ? 2
		    : dns_fake_is(packet, "nx")     ? 3
		    : dns_fake_is(packet, "refuse") ? 5
						    : 0;
	bool has_data = rcode == 0 && !(dns_fake_is(packet, "v6only") && type == 1);

	if (end > n || dns_fake_is(packet, "drop"))
		return 0;
	packet[2] = 0x81;
	packet[3] = (uint8_t)(0x80 | rcode);
	memset(packet + 6, 0, 6);
	packet[7] = has_data;
	return has_data ? end + dns_fake_record(packet + end, type) : end;
}

static inline void *dns_fake_run(void *arg)
{
	struct dns_fake *f = arg;
	uint8_t packet[1024];
	struct sockaddr_in from;

	for (;;) {
		socklen_t size = sizeof(from);
		ssize_t n = recvfrom(f->fd, packet, 512, 0, (struct sockaddr *)&from, &size);
		if (n < 17)
			return NULL; /* dns_fake_stop */
		f->n_questions++;
		size_t reply = dns_fake_reply(packet, (size_t)n);
		if (reply)
			(void)!sendto(f->fd, packet, reply, 0, (struct sockaddr *)&from, size);
	}
}

static inline void dns_fake_start(struct dns_fake *f)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t size = sizeof(at);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	memset(f, 0, sizeof(*f));
	f->fd = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(f->fd >= 0 && bind(f->fd, (struct sockaddr *)&at, size) == 0 &&
	      getsockname(f->fd, (struct sockaddr *)&at, &size) == 0);
	snprintf(f->server, sizeof(f->server), "127.0.0.1@%d", ntohs(at.sin_port));
	CHECK(pthread_create(&f->thread, NULL, dns_fake_run, f) == 0);
}

/* An empty datagram to itself ends the thread. */
static inline void dns_fake_stop(struct dns_fake *f)
{
	struct sockaddr_in at;
	socklen_t size = sizeof(at);

	CHECK(getsockname(f->fd, (struct sockaddr *)&at, &size) == 0 &&
	      sendto(f->fd, "", 0, 0, (struct sockaddr *)&at, size) == 0);
	pthread_join(f->thread, NULL);
	close(f->fd);
}

static inline struct dns *
dns_fake_resolver(struct dns_fake *f, struct net_loop *l, uint64_t timeout_ms)
{
	struct str server = str_of(f->server);
	struct dns_options o = { .servers = &server,
				 .n_servers = 1,
				 .timeout_ms = timeout_ms,
				 .has_ipv4 = true,
				 .has_ipv6 = true };
	struct error e;
	struct dns *d = dns_new(l, &o, &e);

	CHECK(d);
	return d;
}

#endif
