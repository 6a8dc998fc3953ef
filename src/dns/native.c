/* The system's own name service: the hosts file, NIS, whatever nsswitch.conf(5) says. */

#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/limits.h"
#include "dns/room.h"

struct dns_native {
	char name[DOMAIN_NAME_MAX + 1];
	int family;
	bool has_family[2];
	int code; /* of getaddrinfo */
	struct addrinfo *found;
	void (*done)(void *arg, const struct answer *answer); /* NULL: nobody waits any more */
	void *arg;
};

static void dns_native_work(void *arg)
{
	struct dns_native *n = arg;
	struct addrinfo hints = { .ai_family = n->family, .ai_socktype = SOCK_STREAM };

	n->code = getaddrinfo(n->name, NULL, &hints, &n->found);
}

static bool dns_native_address(const struct addrinfo *ai, struct address *out)
{
	const void *octets;
	size_t n;

	if (ai->ai_family == AF_INET) {
		octets = &((const struct sockaddr_in *)(const void *)ai->ai_addr)->sin_addr;
		n = 4;
	} else if (ai->ai_family == AF_INET6) {
		octets = &((const struct sockaddr_in6 *)(const void *)ai->ai_addr)->sin6_addr;
		n = 16;
	} else {
		return false;
	}
	*out = (struct address){ .family = n == 4 ? ADDRESS_V4 : ADDRESS_V6 };
	memcpy(out->octets, octets, n);
	return true;
}

static void dns_native_found(const struct dns_native *n, struct arena *a, struct answer *out)
{
	struct address *v = ARENA_ARRAY(a, DNS_RECORDS_MAX, struct address);

	for (size_t f = 0; f < 2; f++)
		out->family[f] = (struct address_answer){ .status = ANSWER_NONE,
							  .is_asked = n->has_family[f] };
	for (const struct addrinfo *ai = n->found; ai; ai = ai->ai_next) {
		if (out->n_addresses == DNS_RECORDS_MAX ||
		    !dns_native_address(ai, &v[out->n_addresses]))
			continue;
		out->family[v[out->n_addresses++].family].status = ANSWER_FOUND;
	}
	out->addresses = v;
	out->status = out->n_addresses ? ANSWER_FOUND : ANSWER_NONE;
}

static bool dns_native_is_absent(int code)
{
	return code == EAI_NONAME || code == EAI_NODATA || code == EAI_ADDRFAMILY;
}

static struct answer dns_native_answer(const struct dns_native *n, struct arena *a)
{
	struct answer answer = { .status = ANSWER_NONE, .canonical = str_of(n->name) };

	if (n->code == 0)
		dns_native_found(n, a, &answer);
	else if (!dns_native_is_absent(n->code)) {
		answer.status = ANSWER_FAILED;
		answer.failure = arena_fmt(a, "native lookup: %s", gai_strerror(n->code));
	}
	return answer;
}

static void dns_native_done(void *arg)
{
	struct dns_native *n = arg;
	struct arena *a = arena_new();

	if (n->done) {
		struct answer answer = dns_native_answer(n, a);
		n->done(n->arg, &answer);
	}
	if (n->found)
		freeaddrinfo(n->found);
	arena_free(a);
	free(n);
}

struct dns_native *dns_native_new(struct net_loop *l, struct str name, const bool has_family[2],
				  void (*done)(void *arg, const struct answer *answer), void *arg)
{
	struct dns_native *n = base_alloc(sizeof(*n));

	CHECK(name.n <= DOMAIN_NAME_MAX);
	memcpy(n->name, name.p, name.n);
	memcpy(n->has_family, has_family, sizeof(n->has_family));
	n->family = has_family[ADDRESS_V4] && has_family[ADDRESS_V6] ? AF_UNSPEC
		    : has_family[ADDRESS_V4]                         ? AF_INET
								     : AF_INET6;
	n->done = done;
	n->arg = arg;
	net_loop_work(l, dns_native_work, dns_native_done, n);
	return n;
}

void dns_native_cancel(struct dns_native *n)
{
	n->done = NULL; /* the thread still uses the rest; dns_native_done frees it */
}
