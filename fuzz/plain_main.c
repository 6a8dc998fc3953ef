/* Runs a fuzz target over files, without libFuzzer: plain_main FILE-OR-FOLDER...
 * Every input lies in a heap block of exactly its size, so that AddressSanitizer sees a
 * read of one octet too many. */

#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void die(const char *path)
{
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	exit(1);
}

static unsigned run_file(const char *path, size_t size)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = malloc(size);

	if (f == NULL || (data == NULL && size > 0) || fread(data, 1, size, f) != size)
		die(path);
	fclose(f);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	return 1;
}

static unsigned run_path(const char *path);

static unsigned run_folder(const char *path)
{
	struct dirent **entries;
	unsigned ran = 0;
	int n = scandir(path, &entries, NULL, alphasort);

	if (n < 0)
		die(path);
	for (int i = 0; i < n; i++) {
		char inner[PATH_MAX];
		int len = snprintf(inner, sizeof(inner), "%s/%s", path, entries[i]->d_name);

		if (entries[i]->d_name[0] != '.' && len > 0 && (size_t)len < sizeof(inner))
			ran += run_path(inner);
		free(entries[i]);
	}
	free(entries);
	return ran;
}

static unsigned run_path(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		die(path);
	return S_ISDIR(st.st_mode) ? run_folder(path) : run_file(path, (size_t)st.st_size);
}

int main(int argc, char **argv)
{
	unsigned ran = 0;

	LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	for (int i = 1; i < argc; i++)
		ran += run_path(argv[i]);
	printf("%u inputs\n", ran);
	return ran > 0 ? 0 : 1;
}
