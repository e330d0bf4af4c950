#!/bin/sh
# Compiles src/*.c and the kit to a core module, of which `exeat plugin build` makes a component.
# CLANG names another compiler: CLANG=/opt/llvm/bin/clang, or CLANG="python3 -m ziglang cc".
set -eu
cd "$(dirname "$0")"

CLANG=${CLANG:-$(command -v clang-19 || command -v clang || true)}
if [ -z "$CLANG" ]; then
    echo "No clang was found. On Debian: apt-get install clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32" >&2
    echo "Anywhere else: pip install ziglang, then CLANG=\"python3 -m ziglang cc\"" >&2
    exit 1
fi

# A stack at the bottom of the memory: one that overflows stops the plugin and overwrites nothing.
# zig does so by itself and does not know the flag.
case $CLANG in
*zig*) STACK=-Wl,-z,stack-size=262144 ;;
*) STACK=-Wl,--stack-first,-z,stack-size=262144 ;;
esac

mkdir -p build
$CLANG --target=wasm32-wasi -std=c11 -O3 -flto -Wall -Wextra -mexec-model=reactor -Wl,--strip-all "$STACK" \
    -I.exeat/c -o "build/{{name}}.core.wasm" \
    src/*.c .exeat/c/exeat*.c .exeat/c/transform_*.c
