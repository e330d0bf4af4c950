;; Has a configuration schema that is 1 MiB of opening brackets: a reader that recurses must not run out of stack.
(memory $memory (export "memory") 20)
(global $schema_length i32 (i32.const 0x00100000))
(func $fill
  (memory.fill (i32.const 2048) (i32.const 0x5b) (i32.const 0x00100000)))
(data $schema (i32.const 2048) "[")
(start $fill)
