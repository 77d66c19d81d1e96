#!/usr/bin/env bash
# Builds the example and runs it in QEMU; its exit status is the program's.
#
#   ./run.sh             the audit must be in order: exit status 0
#   ./run.sh withhold    one reading is kept from the audit: exit status 1
#   ./run.sh commands    the program with a FIFO queue: exit status 0
#
# Uses the Rust on PATH if it has the target (rustup target add thumbv7m-none-eabi), else Debian's
# compiler with its library sources (rustc-web cargo-web rust-web-src gcc-arm-none-eabi). Needs
# qemu-system-arm. `BUILD_ONLY=1` builds and prints the sizes.
set -euo pipefail
cd "$(dirname "$0")"

target=thumbv7m-none-eabi
cargo=(cargo)
flags=(--release)
program=ringmain-firmware
case "${1:-}" in
  "") ;;
  withhold) flags+=(--features withhold) ;;
  commands) flags+=(--features commands) program=commands ;;
  *) echo "usage: $0 [withhold | commands]" >&2; exit 2 ;;
esac

# CARGO_ENCODED_RUSTFLAGS and RUSTFLAGS would replace what .cargo/config.toml says.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
if [ ! -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]; then
  export RUSTC=/usr/bin/rustc RUSTDOC=/usr/bin/rustdoc RUSTC_BOOTSTRAP=1
  export CARGO_TARGET_THUMBV7M_NONE_EABI_LINKER=arm-none-eabi-ld
  cargo=(/usr/bin/cargo -Z build-std=core)
fi

if [ -n "${BUILD_ONLY:-}" ]; then
  "${cargo[@]}" build --locked "${flags[@]}" --bin "$program"
  arm-none-eabi-size "${CARGO_TARGET_DIR:-target}/$target/release/$program"
else
  "${cargo[@]}" run --locked "${flags[@]}" --bin "$program"
fi
