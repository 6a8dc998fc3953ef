/* Names, addresses, mailboxes, next-hops and status codes: the first octet chooses. */

#include "fuzz.h"

#include "base/limits.h"
#include "mail/address.h"
#include "mail/nexthop.h"
#include "mail/outcome.h"

static bool is_within(struct str part, struct str whole)
{
	return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void fuzz_address(struct arena *a, struct str text)
{
	struct address addr, again;

	if (!address_parse(text, &addr))
		return;
	struct str canonical = address_text(a, &addr);
	CHECK(address_parse(canonical, &again) && address_eq(&addr, &again));
	CHECK(str_eq(canonical, address_text(a, &again)));
}

static void fuzz_domain(struct arena *a, struct str text)
{
	struct str folded = domain_fold(a, text), ascii;

	CHECK(!domain_is_utf8(text) || domain_is_utf8(folded));
	CHECK(!domain_is_ascii(text) || folded.n == text.n);
	if (domain_to_ascii(a, text, &ascii)) {
		CHECK(domain_is_ascii(ascii));
		CHECK(domain_is_ascii(text) || domain_is_hostname(ascii));
	}
	if (domain_is_hostname(text))
		CHECK(domain_is_ascii(text) && text.n <= DOMAIN_NAME_MAX);
}

static void fuzz_nexthop(struct str text)
{
	struct nexthop n;
	enum nexthop_parse got = nexthop_parse(text, 25, true, &n);

	CHECK((got == NEXTHOP_OK) == (n.problem.n == 0));
	CHECK(is_within(n.domain, text) && is_within(n.service, text));
	if (got == NEXTHOP_OK)
		CHECK(n.port > 0 && n.domain.n > 0);
	if (got != NEXTHOP_BAD_SYNTAX)
		CHECK(n.is_address || domain_is_hostname_utf8(n.domain, true));
}

static void fuzz_mailbox(struct str text)
{
	struct mailbox box;

	if (!mailbox_parse(text, &box))
		return;
	CHECK(is_within(box.local, text) && is_within(box.domain, text));
	CHECK(box.local.n + box.domain.n + (box.domain.n > 0) == text.n);
	CHECK(!str_contains(text, '\n') && !str_contains(text, '\r') && !str_contains(text, '\0'));
}

static void fuzz_status(struct arena *a, struct str text)
{
	static const int codes[] = { 250, 354, 450, 550 };
	struct status s;
	struct str rest;

	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		if (!status_parse(text, codes[i], &s, &rest))
			continue;
		CHECK(s.class == codes[i] / 100 && is_within(rest, text));
		CHECK(status_text(a, s).n >= 5);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_from(str_span((const char *)data, size), 1);
	struct arena *a = arena_new();

	switch (size > 0 ? data[0] : 0) {
	case 'a':
		fuzz_address(a, text);
		break;
	case 'd':
		fuzz_domain(a, text);
		break;
	case 'n':
		fuzz_nexthop(text);
		break;
	case 'm':
		fuzz_mailbox(text);
		break;
	case 's':
		fuzz_status(a, text);
		break;
	}
	arena_free(a);
	return 0;
}
