/* The order in which addresses are tried. Inside lib/route only. */

#ifndef HOPSEAL_ROUTE_ORDER_H
#define HOPSEAL_ROUTE_ORDER_H

#include "route/config.h"

struct route_order {
	uint64_t seed;
	bool is_random; /* smtp_randomize_addresses: equals are shuffled, then families sorted */
	enum route_preference preference;
	size_t limit; /* smtp_mx_address_limit; 0: none */
	bool is_balanced;
};

/* Sorts by MX preference. Stable: what came first stays first among equals. */
void route_sort_by_preference(struct mx_record *v, size_t n);
/* Random among equal MX preference, then by family, then cut to the limit so that neither family
 * crowds the other out. Gives how many are left. */
size_t route_order_hosts(struct route_host *v, size_t n, const struct route_order *o);

#endif
