#include <string.h>
#include <uv.h>

#include "net/net.h"

static bool interface_address(const uv_interface_address_t *from, struct address *to)
{
	if (from->address.address4.sin_family == AF_INET) {
		to->family = ADDRESS_V4;
		memcpy(to->octets, &from->address.address4.sin_addr, 4);
		return true;
	}
	if (from->address.address6.sin6_family == AF_INET6) {
		to->family = ADDRESS_V6;
		memcpy(to->octets, &from->address.address6.sin6_addr, 16);
		return true;
	}
	return false;
}

static unsigned prefix_of(const unsigned char *mask, size_t n)
{
	unsigned bits = 0;

	for (size_t i = 0; i < n; i++)
		for (int bit = 7; bit >= 0; bit--) {
			if (!(mask[i] >> bit & 1))
				return bits;
			bits++;
		}
	return bits;
}

static bool interface_network(const uv_interface_address_t *from, struct net_network *to)
{
	if (!interface_address(from, &to->address))
		return false;
	if (to->address.family == ADDRESS_V4)
		to->prefix = prefix_of((const void *)&from->netmask.netmask4.sin_addr, 4);
	else
		to->prefix = prefix_of((const void *)&from->netmask.netmask6.sin6_addr, 16);
	if (to->prefix == 0)
		to->prefix = to->address.family == ADDRESS_V4 ? 32 : 128;
	return true;
}

static bool list_failed(int r, struct error *e)
{
	return error_set(e, ERROR_SYSTEM, "listing this machine's addresses: %s", uv_strerror(r));
}

bool net_own_networks(struct arena *a, const struct net_network **out, size_t *n, struct error *e)
{
	uv_interface_address_t *found;
	int count;
	int r = uv_interface_addresses(&found, &count);

	if (r != 0)
		return list_failed(r, e);
	struct net_network *own = ARENA_ARRAY(a, (size_t)count, struct net_network);
	*n = 0;
	for (int i = 0; i < count; i++)
		if (interface_network(&found[i], &own[*n]))
			(*n)++;
	uv_free_interface_addresses(found, count);
	*out = own;
	return true;
}

bool net_own_addresses(struct arena *a, const struct address **out, size_t *n, struct error *e)
{
	uv_interface_address_t *found;
	int count;
	int r = uv_interface_addresses(&found, &count);

	if (r != 0)
		return list_failed(r, e);
	struct address *own = ARENA_ARRAY(a, (size_t)count, struct address);
	*n = 0;
	for (int i = 0; i < count; i++)
		if (interface_address(&found[i], &own[*n]))
			(*n)++;
	uv_free_interface_addresses(found, count);
	*out = own;
	return true;
}
