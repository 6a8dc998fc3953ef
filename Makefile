# A short way to say what Meson, ninja and the scripts do.

PREFIX ?= /usr/local

.PHONY: build run check bench install lint format clean

# The program for daily work: optimised as what is installed and tested, with debug information.
build:
	scripts/bootstrap build
	[ -f build/build.ninja ] || meson setup build -Doptimization=3
	ninja -C build src/hopseal

# The main job on real sockets: builds, shows it, and starts the gateway on loopback.
run: build
	scripts/demo

# Every test; ends with one line "N passed, N failed".
check:
	scripts/check

# What decisions and lookups cost, beside Postfix's postmap; some minutes.
bench:
	scripts/bootstrap test
	bench/run

# make install PREFIX=/usr DESTDIR=/tmp/package
install:
	scripts/bootstrap build
	meson setup build/release --buildtype=release --prefix=$(PREFIX) \
		$(if $(wildcard build/release/build.ninja),--reconfigure)
	ninja -C build/release
	meson install -C build/release --no-rebuild

lint:
	scripts/bootstrap test
	tools/check_layers .
	tools/check_style .

format:
	scripts/bootstrap test
	tools/check_style . --fix

clean:
	rm -rf build
