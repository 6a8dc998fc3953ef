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

bool net_own_addresses(struct arena *a, const struct address **out, size_t *n, struct error *e)
{
	uv_interface_address_t *found;
	int count;
	int r = uv_interface_addresses(&found, &count);

	if (r != 0)
		return error_set(e, ERROR_SYSTEM, "listing this machine's addresses: %s",
				 uv_strerror(r));
	struct address *own = ARENA_ARRAY(a, (size_t)count, struct address);
	*n = 0;
	for (int i = 0; i < count; i++)
		if (interface_address(&found[i], &own[*n]))
			(*n)++;
	uv_free_interface_addresses(found, count);
	*out = own;
	return true;
}
