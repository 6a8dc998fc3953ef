/* Addresses with ports as text and for the system; the words of failures. */

#include "net/room.h"

#include <stdio.h>
#include <string.h>

struct str net_endpoint_text(const struct net_endpoint *e, char out[NET_ENDPOINT_TEXT_MAX])
{
	bool is_v6 = e->address.family == ADDRESS_V6;
	char ip[INET6_ADDRSTRLEN];

	CHECK(uv_inet_ntop(is_v6 ? AF_INET6 : AF_INET, e->address.octets, ip, sizeof(ip)) == 0);
	snprintf(out, NET_ENDPOINT_TEXT_MAX, is_v6 ? "[%s]:%u" : "%s:%u", ip, (unsigned)e->port);
	return str_of(out);
}

bool net_endpoint_parse(struct str text, struct net_endpoint *out)
{
	struct str host, port;
	struct net_endpoint e;
	bool is_bracketed;
	uint64_t number;

	if (!str_rcut(text, ':', &host, &port) || host.n == 0)
		return false;
	is_bracketed = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
	if (is_bracketed)
		host = str_first(str_from(host, 1), host.n - 2);
	if (!address_parse(host, &e.address) || (e.address.family == ADDRESS_V6) != is_bracketed)
		return false;
	if (!str_to_u64(port, &number) || number > UINT16_MAX)
		return false;
	e.port = (uint16_t)number;
	*out = e;
	return true;
}

void net_sockaddr_of(const struct net_endpoint *e, union net_sockaddr *out)
{
	memset(out, 0, sizeof(*out));
	if (e->address.family == ADDRESS_V6) {
		out->v6.sin6_family = AF_INET6;
		out->v6.sin6_port = htons(e->port);
		memcpy(&out->v6.sin6_addr, e->address.octets, 16);
	} else {
		out->v4.sin_family = AF_INET;
		out->v4.sin_port = htons(e->port);
		memcpy(&out->v4.sin_addr, e->address.octets, 4);
	}
}

bool net_endpoint_of(const union net_sockaddr *sa, struct net_endpoint *out)
{
	*out = (struct net_endpoint){ 0 };
	if (sa->any.sa_family == AF_INET6) {
		out->address.family = ADDRESS_V6;
		out->port = ntohs(sa->v6.sin6_port);
		memcpy(out->address.octets, &sa->v6.sin6_addr, 16);
		return true;
	}
	out->address.family = ADDRESS_V4;
	out->port = ntohs(sa->v4.sin_port);
	memcpy(out->address.octets, &sa->v4.sin_addr, 4);
	return sa->any.sa_family == AF_INET;
}

bool net_socket_path(struct str path, char out[NET_PATH_MAX])
{
	if (path.n == 0 || path.n >= NET_PATH_MAX || str_contains(path, '\0'))
		return false;
	memcpy(out, path.p, path.n);
	out[path.n] = '\0';
	return true;
}

static enum net_fault fault_of(int uv_error)
{
	switch (uv_error) {
	case UV_ECONNREFUSED:
		return NET_FAULT_REFUSED;
	case UV_ETIMEDOUT:
		return NET_FAULT_TIMEOUT;
	case UV_EHOSTUNREACH:
	case UV_ENETUNREACH:
	case UV_ENETDOWN:
	case UV_EAFNOSUPPORT:
	case UV_EADDRNOTAVAIL: /* a family without an address of ours */
		return NET_FAULT_UNREACHABLE;
	case UV_ECONNRESET:
	case UV_ECONNABORTED:
	case UV_EPIPE:
		return NET_FAULT_RESET;
	case UV_EADDRINUSE:
	case UV_EACCES:
	case UV_EPERM:
	case UV_ENOENT:
	case UV_ENAMETOOLONG:
		return NET_FAULT_LOCAL;
	case UV_EMFILE:
	case UV_ENFILE:
	case UV_ENOBUFS:
	case UV_ENOMEM:
		return NET_FAULT_SHORTAGE;
	default:
		return NET_FAULT_OTHER;
	}
}

void net_failure_set(struct net_failure *f, int uv_error)
{
	f->fault = fault_of(uv_error);
	uv_strerror_r(uv_error, f->text, sizeof(f->text));
}
