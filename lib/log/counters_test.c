#include "base/test.h"
#include "log/counters.h"

TEST(each_has_a_name_and_says_what_it_is)
{
	for (int i = 0; i < COUNTER_COUNT; i++)
		ok(counter_name((enum log_counter)i).n > 0 &&
			   str_has_suffix(counter_prose((enum log_counter)i), STR(".")),
		   "a counter");
	for (int i = 0; i < HISTOGRAM_COUNT; i++)
		ok(histogram_name((enum log_histogram)i).n > 0 &&
			   str_has_suffix(histogram_prose((enum log_histogram)i), STR(".")),
		   "a histogram");
}

TEST(kinds_of_a_family_stand_together)
{
	for (int i = 0; i < FAMILY_COUNT; i++)
		ok(counter_family_name((enum log_family)i).n > 0 &&
			   counter_family_label((enum log_family)i).n > 0 &&
			   str_has_suffix(counter_family_prose((enum log_family)i), STR(".")),
		   "a family");
	ok(counter_kind_family((enum log_kind)0) == (enum log_family)0, "the first");
	for (int i = 1; i < KIND_COUNT; i++) {
		int step = (int)counter_kind_family((enum log_kind)i) -
			   (int)counter_kind_family((enum log_kind)(i - 1));
		ok(counter_kind_value((enum log_kind)i).n > 0 && (step == 0 || step == 1),
		   "in order");
	}
	ok(counter_kind_family((enum log_kind)(KIND_COUNT - 1)) == FAMILY_COUNT - 1,
	   "none without kinds");
}

TEST(kinds_are_counted_apart)
{
	struct log_counters c = { 0 };

	counter_kind_add(&c, KIND_refused_relay, 2);
	counter_kind_add(&c, KIND_refused_relay, 1);
	ok(counter_kind_read(&c, KIND_refused_relay) == 3, "this one");
	ok(counter_kind_read(&c, KIND_refused_limit) == 0, "no other");
}

TEST(bounds_rise)
{
	for (int h = 0; h < HISTOGRAM_COUNT; h++)
		for (size_t i = 1; i < HISTOGRAM_BUCKETS - 1; i++)
			ok(histogram_bound_ms((enum log_histogram)h, i - 1) <
				   histogram_bound_ms((enum log_histogram)h, i),
			   "bounds");
}

TEST(a_bound_belongs_to_its_bucket)
{
	struct log_counters c = { 0 }, other = { 0 };
	struct histogram_sum sum = { 0 };

	histogram_add(&c, HISTOGRAM_tls_handshake, 0);
	histogram_add(&c, HISTOGRAM_tls_handshake, 1);
	histogram_add(&c, HISTOGRAM_tls_handshake, 2);
	histogram_add(&other, HISTOGRAM_tls_handshake, 100001);
	histogram_read(&c, HISTOGRAM_tls_handshake, &sum);
	histogram_read(&other, HISTOGRAM_tls_handshake, &sum);
	ok(sum.bucket[0] == 2 && sum.bucket[1] == 1, "up to it, and above it");
	ok(sum.bucket[HISTOGRAM_BUCKETS - 1] == 1, "above all of them");
	ok(sum.count == 4 && sum.sum_ms == 100004, "of both threads");
}

TEST_MAIN(RUN(each_has_a_name_and_says_what_it_is), RUN(kinds_of_a_family_stand_together),
	  RUN(kinds_are_counted_apart), RUN(bounds_rise), RUN(a_bound_belongs_to_its_bucket))
