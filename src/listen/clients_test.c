#include "listen/room.h"

#include "base/test.h"

static const struct address one = { ADDRESS_V4, { 192, 0, 2, 1 } };
static const struct address two = { ADDRESS_V4, { 192, 0, 2, 2 } };

TEST(connections_of_all)
{
	struct listen_clients *c = listen_clients_new();

	ok(listen_clients_enter(c, 2) && listen_clients_enter(c, 2), "two");
	ok(!listen_clients_enter(c, 2), "and no third");
	ok(listen_clients_connections(c) == 2, "which is not counted");
	listen_clients_leave(c);
	ok(listen_clients_enter(c, 2), "when one has gone, another may come");
	ok(listen_clients_are_crowded(c, 2) && !listen_clients_are_crowded(c, 3), "crowded");
	listen_clients_set_most(c, 3);
	ok(listen_clients_enter(c, 9) && !listen_clients_enter(c, 9), "what files allow");
	listen_clients_leave(c);
	listen_clients_free(c);
}

TEST(connections_of_one)
{
	struct listen_clients *c = listen_clients_new();

	ok(listen_clients_connect(c, &one, 0) == 1 && listen_clients_connect(c, &one, 0) == 2,
	   "counted");
	ok(listen_clients_connect(c, &two, 0) == 1, "each for itself");
	listen_clients_disconnect(c, &one, 0);
	ok(listen_clients_connect(c, &one, 1000000) == 2, "however long it takes");
	listen_clients_free(c);
}

TEST(events_in_a_time_unit)
{
	struct listen_clients *c = listen_clients_new();

	ok(listen_clients_count(c, &one, LISTEN_RATE_MESSAGES, 100, 1000) == 1, "the first");
	ok(listen_clients_count(c, &one, LISTEN_RATE_MESSAGES, 100, 1099) == 2, "the second");
	ok(listen_clients_count(c, &one, LISTEN_RATE_RECIPIENTS, 100, 1099) == 1,
	   "of another kind");
	ok(listen_clients_count(c, &two, LISTEN_RATE_MESSAGES, 100, 1099) == 1,
	   "of another client");
	ok(listen_clients_count(c, &one, LISTEN_RATE_MESSAGES, 100, 1100) == 1, "a new unit");
	ok(listen_clients_count(c, &one, LISTEN_RATE_RECIPIENTS, 100, 1100) == 1, "for all kinds");
	listen_clients_free(c);
}

/* Addresses that come once do not stay for ever. */
TEST(many_clients)
{
	struct listen_clients *c = listen_clients_new();

	for (uint32_t i = 0; i < 500000; i++) {
		struct address a = { ADDRESS_V4,
				     { 10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i } };

		ok(listen_clients_count(c, &a, LISTEN_RATE_MESSAGES, 10, i) == 1, "counted");
	}
	listen_clients_free(c);
}

TEST_MAIN(RUN(connections_of_all), RUN(connections_of_one), RUN(events_in_a_time_unit),
	  RUN(many_clients))
