/* Queue ids and their text. */

#include "store/room.h"

#include <string.h>

enum { STORE_ID_DIGITS = STORE_ID_TEXT_MAX - 1, STORE_ID_BASE = 52 };

static const char digits[] = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";

_Static_assert(sizeof(digits) - 1 == STORE_ID_BASE, "one digit for each value");

uint64_t store_ids_next(struct store_ids *ids, uint64_t now_us)
{
	ids->last_us = now_us > ids->last_us ? now_us : ids->last_us + 1;
	return ids->last_us << 8 | ids->maker;
}

int64_t store_id_ms(uint64_t id)
{
	return (int64_t)((id >> 8) / 1000);
}

uint64_t store_id_from_ms(int64_t ms)
{
	return ms <= 0 ? 0 : (uint64_t)ms * 1000 << 8;
}

struct str store_id_text(uint64_t id, char out[STORE_ID_TEXT_MAX])
{
	for (int i = STORE_ID_DIGITS; i-- > 0; id /= STORE_ID_BASE)
		out[i] = digits[id % STORE_ID_BASE];
	out[STORE_ID_DIGITS] = '\0';
	return str_span(out, STORE_ID_DIGITS);
}

bool store_id_parse(struct str text, uint64_t *id)
{
	uint64_t sum = 0;

	if (text.n != STORE_ID_DIGITS)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		const char *at = memchr(digits, text.p[i], STORE_ID_BASE);
		if (!at)
			return false;
		sum = sum * STORE_ID_BASE + (uint64_t)(at - digits); /* 52^11 < 2^63 */
	}
	if (sum == 0)
		return false;
	*id = sum;
	return true;
}
