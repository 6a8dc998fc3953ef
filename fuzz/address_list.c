/* Lists of addresses: the reading ends, whatever stands there, and each address that is found is
 * one that is found again when it stands alone. */

#include "fuzz.h"

#include "mail/address_list.h"
#include "mail/mailbox.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	struct str in = str_span((const char *)data, size), address, again, rest;
	enum address_list got;
	struct mailbox m;

	for (size_t left = in.n; (got = address_list_next(&in, a, &address)) != ADDRESS_LIST_END;
	     left = in.n) {
		CHECK(in.n < left);
		if (got != ADDRESS_LIST_ONE)
			continue;
		CHECK(mailbox_parse(address, &m));
		rest = address;
		CHECK(address_list_next(&rest, a, &again) == ADDRESS_LIST_ONE);
		CHECK(str_eq(again, address) && rest.n == 0);
	}
	CHECK(in.n == 0);
	arena_free(a);
	return 0;
}
