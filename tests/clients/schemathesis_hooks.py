"""What the description cannot tell schemathesis: how the bytes of a component look on their way."""

import schemathesis


@schemathesis.serializer("application/wasm")
def component(_context, value):
    return value if isinstance(value, bytes) else repr(value).encode()
